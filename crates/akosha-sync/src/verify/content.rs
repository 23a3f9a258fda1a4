//! Reads, hashes and decodes the objects of a system.

use std::fs::File;

use akosha_core::SystemId;

use super::{Check, VerifyReport};
use crate::crypt::Sealer;
use crate::files::Coding;
use crate::manifest::{ChunkEntry, SegmentEntry};
use crate::received::ReceiveError;
use crate::survey::{Named, Origin, Survey};
use crate::vault::VaultKey;
use crate::{ProgressState, SyncError, received, segment};

impl Check<'_> {
    /// Checks every byte of objects that are there.
    pub(super) async fn contents(
        &self,
        survey: &Survey,
        report: &mut VerifyReport,
    ) -> Result<(), SyncError> {
        let total_bytes = Some(report.bytes);
        for ((key, object), origin) in &survey.named {
            if survey.fault_of(key, object).is_some() {
                continue;
            }
            if let Some(problem) = self.content(survey, key, object, origin).await? {
                report.note(&survey.system_id, Some(&origin.upload_id), key, problem);
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

    /// Returns the objects that are there and have other bytes than they have to.
    pub(crate) async fn damaged(
        &self,
        survey: &Survey,
    ) -> Result<Vec<(VaultKey, Named)>, SyncError> {
        let mut damaged = Vec::new();
        let mut bytes = 0;
        let total_bytes = Some(survey.named.keys().map(|(_, object)| object.size()).sum());
        for ((key, object), origin) in &survey.named {
            let is_there = survey.fault_of(key, object).is_none();
            if is_there && self.content(survey, key, object, origin).await?.is_some() {
                damaged.push((key.clone(), *object));
            }
            bytes += object.size();
            self.progress.update(ProgressState {
                bytes,
                total_bytes,
                ..ProgressState::default()
            });
        }
        Ok(damaged)
    }

    /// Returns what is wrong with the bytes of an object.
    async fn content(
        &self,
        survey: &Survey,
        key: &VaultKey,
        object: &Named,
        origin: &Origin,
    ) -> Result<Option<String>, SyncError> {
        let system_id = &survey.system_id;
        let sealer = origin.key.and_then(|id| self.keys.find(id));
        match *object {
            Named::Segment(entry) => self.segment(system_id, entry, sealer).await,
            Named::Chunk(entry) => self.chunk(key, entry, Coding::new(system_id, sealer)).await,
        }
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
            Err(error) => return error.into_fault().map(Some),
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
            Err(error) => return ReceiveError::from(error).into_fault().map(Some),
        };
        let decoded = tokio::task::spawn_blocking(move || coding.decode(&object, &entry).map(drop));
        let decoded = decoded.await.map_err(|error| SyncError::of_join(&error))?;
        Ok(decoded.err())
    }
}
