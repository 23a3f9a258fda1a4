//! Writes local changes as segments, in files on the home's disk.

use akosha_core::SystemId;
use akosha_store::{PUSH_PREFIX, Store};
use tempfile::TempPath;

use crate::SyncError;
use crate::crypt::Sealer;
use crate::segment::{SegmentError, SegmentFile, SegmentWriter};

/// Changes that are read from the store at once.
const PAGE: usize = 500;

/// Writes the local changes of a system as segments, one after another.
pub(super) struct Segments {
    store: Store,
    system_id: SystemId,
    sealer: Option<Sealer>,
    after: i64,
    up_to: i64,
}

impl Segments {
    /// Starts with the first change after `after` and ends with `up_to`. Where there is a
    /// `sealer`, the segments are sealed with it.
    pub(super) fn new(
        store: &Store,
        system_id: &SystemId,
        sealer: Option<&Sealer>,
        after: i64,
        up_to: i64,
    ) -> Self {
        Self {
            store: store.clone(),
            system_id: system_id.clone(),
            sealer: sealer.cloned(),
            after,
            up_to,
        }
    }

    /// Returns the last change that is written.
    pub(super) fn reached(&self) -> i64 {
        self.after
    }

    /// Writes the next segment into a file that vanishes with its path; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<(SegmentFile, TempPath)>, SyncError> {
        let sealer = self.sealer.as_ref();
        let mut rest = Self::new(&self.store, &self.system_id, sealer, self.after, self.up_to);
        let written = tokio::task::spawn_blocking(move || {
            let segment = rest.write()?;
            Ok::<_, SyncError>((segment, rest.after))
        });
        let (segment, after) = written
            .await
            .map_err(|error| SyncError::of_join(&error))??;
        self.after = after;
        Ok(segment)
    }

    fn write(&mut self) -> Result<Option<(SegmentFile, TempPath)>, SyncError> {
        let file = tempfile::Builder::new()
            .prefix(PUSH_PREFIX)
            .tempfile_in(self.store.home().temporary())
            .map_err(SegmentError::Io)?;
        let (file, path) = file.into_parts();
        let mut writer = SegmentWriter::new(&self.system_id, file)?;
        while !writer.is_full() {
            let page = self
                .store
                .changes(&self.system_id, self.after, self.up_to, PAGE, false)?;
            if page.is_empty() {
                self.after = self.up_to;
                break;
            }
            for change in &page {
                writer.push(change)?;
                self.after = change.seq;
                if writer.is_full() {
                    break;
                }
            }
        }
        if writer.rows() == 0 {
            return Ok(None);
        }
        let plain = writer.finish()?;
        let Some(sealer) = &self.sealer else {
            return Ok(Some((plain, path)));
        };
        let folder = self.store.home().temporary();
        let object = sealer.seal_segment(&self.system_id, &path, &folder)?;
        let segment = SegmentFile {
            sha256: object.sha256,
            size_bytes: object.size_bytes,
            ..plain
        };
        Ok(Some((segment, object.path)))
    }
}
