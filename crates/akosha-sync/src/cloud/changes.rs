//! Writes local changes as segments, in files on the home's disk.

use akosha_core::SystemId;
use akosha_store::Store;
use tempfile::TempPath;

use super::NewSegment;
use crate::SyncError;
use crate::crypt::Sealer;
use crate::segment::SegmentFile;

/// Changes that are read from the store at once.
const PAGE: usize = 500;

/// Writes the local changes of a system as segments, one after another.
pub(crate) struct Segments {
    store: Store,
    system_id: SystemId,
    sealer: Option<Sealer>,
    after: i64,
    up_to: i64,
}

impl Segments {
    /// Starts with the first change after `after` and ends with `up_to`. Where there is a
    /// `sealer`, the segments are sealed with it.
    pub(crate) fn new(
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
    pub(crate) fn reached(&self) -> i64 {
        self.after
    }

    /// Writes the next segment into a file that vanishes with its path; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<(SegmentFile, TempPath)>, SyncError> {
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
        let sealer = self.sealer.as_ref();
        let mut segment = NewSegment::begin(self.store.home(), &self.system_id, sealer)?;
        while !segment.is_full() {
            let page = self
                .store
                .changes(&self.system_id, self.after, self.up_to, PAGE, false)?;
            if page.is_empty() {
                self.after = self.up_to;
                break;
            }
            for change in &page {
                segment.push(change)?;
                self.after = change.seq;
                if segment.is_full() {
                    break;
                }
            }
        }
        segment.finish()
    }
}
