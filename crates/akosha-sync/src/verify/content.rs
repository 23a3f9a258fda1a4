//! Reads, hashes and decodes the objects of a system.

use std::collections::HashMap;
use std::fs::File;

use akosha_core::SystemId;

use super::system::{Named, Origin};
use super::{Check, VerifyReport, fault};
use crate::crypt::Sealer;
use crate::files::Coding;
use crate::manifest::{ChunkEntry, SegmentEntry};
use crate::vault::VaultKey;
use crate::{ProgressState, SyncError, received, segment};

impl Check<'_> {
    /// Checks every byte of objects that are there.
    pub(super) async fn contents(
        &self,
        system_id: &SystemId,
        objects: HashMap<(VaultKey, Named), Origin>,
        report: &mut VerifyReport,
    ) -> Result<(), SyncError> {
        let total_bytes = Some(report.bytes);
        for ((key, object), Origin { upload_id, key: id }) in objects {
            let sealer = id.and_then(|id| self.keys.find(id));
            let problem = match object {
                Named::Segment(entry) => self.segment(system_id, entry, sealer).await?,
                Named::Chunk(entry) => {
                    let coding = Coding::new(system_id, sealer);
                    self.chunk(&key, entry, coding).await?
                }
            };
            if let Some(problem) = problem {
                report.note(system_id, Some(&upload_id), &key, problem);
            }
            report.bytes_read += object.size();
            self.progress.update(ProgressState {
                bytes: report.bytes_read,
                total_bytes,
                ..ProgressState::default()
            });
        }
        Ok(())
    }

    /// Returns what is wrong with a segment.
    async fn segment(
        &self,
        system_id: &SystemId,
        entry: SegmentEntry,
        sealer: Option<&Sealer>,
    ) -> Result<Option<String>, SyncError> {
        let folder = self.store.home().temporary();
        let received = received::segment(self.vault, sealer, system_id, &entry, &folder).await;
        let path = match received {
            Ok(path) => path,
            Err(error) => return fault(error).map(Some),
        };
        let system_id = system_id.clone();
        let read = tokio::task::spawn_blocking(move || -> Result<(), String> {
            let file = File::open(&path).map_err(|error| error.to_string())?;
            let rows =
                segment::read(file, &system_id, &entry).map_err(|error| error.to_string())?;
            for batch in rows {
                for row in batch.map_err(|error| error.to_string())? {
                    row.map_err(|error| error.to_string())?;
                }
            }
            Ok(())
        });
        let read = read.await.map_err(|error| SyncError::of_join(&error))?;
        Ok(read.err())
    }

    /// Returns what is wrong with a piece of a file.
    async fn chunk(
        &self,
        key: &VaultKey,
        entry: ChunkEntry,
        coding: Coding,
    ) -> Result<Option<String>, SyncError> {
        let object = match self.vault.get(key, entry.stored_bytes).await {
            Ok(object) => object,
            Err(error) => return fault(error.into()).map(Some),
        };
        let decoded = tokio::task::spawn_blocking(move || coding.decode(&object, &entry).map(drop));
        let decoded = decoded.await.map_err(|error| SyncError::of_join(&error))?;
        Ok(decoded.err())
    }
}
