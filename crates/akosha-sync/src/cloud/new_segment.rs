//! A segment on its way from rows to an object, in files on the home's disk.

use akosha_core::SystemId;
use akosha_store::{Change, Home, PUSH_PREFIX};
use tempfile::TempPath;

use crate::SyncError;
use crate::crypt::Sealer;
use crate::segment::{SegmentError, SegmentFile, SegmentWriter};

/// A segment that is being written, sealed at its end where there is a `sealer`. Blocks on the
/// disk.
pub(crate) struct NewSegment {
    writer: SegmentWriter,
    path: TempPath,
    home: Home,
    system_id: SystemId,
    sealer: Option<Sealer>,
}

impl NewSegment {
    pub(crate) fn begin(
        home: &Home,
        system_id: &SystemId,
        sealer: Option<&Sealer>,
    ) -> Result<Self, SyncError> {
        let file = tempfile::Builder::new()
            .prefix(PUSH_PREFIX)
            .tempfile_in(home.temporary())
            .map_err(SegmentError::Io)?;
        let (file, path) = file.into_parts();
        Ok(Self {
            writer: SegmentWriter::new(system_id, file)?,
            path,
            home: home.clone(),
            system_id: system_id.clone(),
            sealer: sealer.cloned(),
        })
    }

    pub(crate) fn push(&mut self, change: &Change) -> Result<(), SyncError> {
        Ok(self.writer.push(change)?)
    }

    /// Returns whether another one should be begun.
    pub(crate) fn is_full(&self) -> bool {
        self.writer.is_full()
    }

    /// Ends the segment; `None` where it has no rows. The file vanishes with its path.
    pub(crate) fn finish(self) -> Result<Option<(SegmentFile, TempPath)>, SyncError> {
        if self.writer.rows() == 0 {
            return Ok(None);
        }
        let plain = self.writer.finish()?;
        let Some(sealer) = &self.sealer else {
            return Ok(Some((plain, self.path)));
        };
        let folder = self.home.temporary();
        let object = sealer.seal_segment(&self.system_id, &self.path, &folder)?;
        let segment = SegmentFile {
            sha256: object.sha256,
            size_bytes: object.size_bytes,
            ..plain
        };
        Ok(Some((segment, object.path)))
    }
}
