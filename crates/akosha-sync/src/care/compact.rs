//! Merges small uploads: each session leaves one, and whoever restores reads them one by one.
//!
//! The changes of consecutive uploads are written again from the store, as the segments of one upload
//! that names those for which it stands. What was erased since is not in the store and so not in it.
//! The small ones stay until a later collection removes them, so that nobody who reads them now is
//! disturbed.

use std::collections::{HashMap, HashSet};

use akosha_core::UploadId;
use akosha_store::{Begun, Store};

use super::Care;
use super::replacement::{Files, Purpose, Replacement};
use crate::cloud::{Publication, Segments, UPLOAD_ROWS};
use crate::disk::on_disk;
use crate::manifest::{MAX_REPLACED, Replaced};
use crate::survey::{Survey, Upload};
use crate::{MethodReport, SyncError};

/// Bytes of segments from which an upload is not small any more: 8 MiB.
const SMALL_BYTES: u64 = 8 << 20;

/// Most bytes of segments that are merged at once: 32 MiB.
const MOST_BYTES: u64 = 32 << 20;

/// Most uploads for which a merged one stands; a repair of it names them all, and others too.
const MOST_REPLACED: usize = MAX_REPLACED / 2;

impl Care<'_> {
    /// Merges small uploads as long as there are `fewest` of them, at least 2. Returns how many were
    /// merged. Where anything is missing or cannot be read, nothing is.
    ///
    /// # Errors
    /// Fails where another one writes, or the vault does not answer.
    pub(crate) async fn compact(&self, fewest: usize) -> Result<u64, SyncError> {
        let fewest = fewest.max(2);
        let mut merged = 0;
        let mut done = HashSet::new();
        while let Some(at) = self.publication.settled(false).await? {
            let survey = self.survey().await?;
            // A collection that follows says them.
            let obstacles = self.obstacles(&survey, &at.1.head.upload_id).await?;
            if !obstacles.is_empty() {
                break;
            }
            let begun = self.begun(survey.uploads.keys().cloned()).await?;
            let is_sealed = self.publication.keys.to_encrypt().is_some();
            let may_merge = |id: &UploadId, upload: &Upload| {
                // What is sealed is not written in the clear.
                let keeps_secret = is_sealed || upload.encryption.is_none();
                keeps_secret && !done.contains(id)
            };
            let Some(run) = Run::choose(&survey, &begun, may_merge, fewest) else {
                break;
            };
            done.extend(run.uploads.iter().map(|(id, _)| (*id).clone()));
            let replacement = Replacement::begin(self.publication, at).await?;
            let files = survey.newest_with_files().cloned();
            merged += self.merge(&run, files, replacement).await?;
        }
        Ok(merged)
    }

    /// Writes one upload in place of a run. Returns how many were merged.
    async fn merge(
        &self,
        run: &Run<'_>,
        files_from: Option<UploadId>,
        replacement: Replacement<'_>,
    ) -> Result<u64, SyncError> {
        let Publication {
            store,
            keys,
            system_id,
            ..
        } = self.publication;
        let mut report = MethodReport::default();
        let (after, up_to) = (run.first_seq - 1, run.last_seq);
        let mut segments = Segments::new(store, system_id, keys.to_encrypt(), after, up_to);
        let mut entries = Vec::new();
        while let Some(segment) = segments.next().await? {
            entries.push(self.publication.send_segment(segment, &mut report).await?);
        }
        let rows: u64 = entries.iter().map(|entry| entry.rows).sum();
        let id = system_id.clone();
        let has_erased = on_disk(store, move |store: &Store| store.has_erased(&id)).await?;
        if rows < run.rows && !has_erased {
            // The store lacks what the vault has. It must not be taken for all there is.
            tracing::warn!(rows, expected = run.rows, "uploads are not merged");
            replacement.abandon().await?;
            return Ok(0);
        }
        let stands_for = (run.replaced(), Files::From(files_from));
        let upload_id = replacement
            .publish(entries, stands_for, Purpose::Compaction, &mut report)
            .await?;
        let count = run.uploads.len() as u64;
        tracing::info!(%upload_id, count, "stands for small uploads");
        Ok(count)
    }
}

/// Uploads that follow each other, oldest first.
#[derive(Default)]
struct Run<'a> {
    uploads: Vec<(&'a UploadId, &'a Upload)>,
    first_seq: i64,
    last_seq: i64,
    rows: u64,
    bytes: u64,
    stands_for: usize,
}

impl<'a> Run<'a> {
    /// Returns the oldest run of enough small uploads that this home made and that may be merged.
    fn choose(
        survey: &'a Survey,
        begun: &HashMap<UploadId, Begun>,
        may_merge: impl Fn(&UploadId, &Upload) -> bool,
        fewest: usize,
    ) -> Option<Self> {
        let replaced = survey.replaced();
        let mut own: Vec<(&UploadId, &Upload, (i64, i64))> = survey
            .uploads
            .iter()
            .filter(|(id, _)| begun.contains_key(*id) && !replaced.contains(id))
            .filter_map(|(id, upload)| Some((id, upload, upload.seqs()?)))
            .collect();
        own.sort_by_key(|(_, _, seqs)| *seqs);
        let mut run = Self::default();
        for (id, upload, (first, last)) in own {
            let is_fit = upload.is_plain
                && upload.segment_bytes() < SMALL_BYTES
                && survey.is_intact(upload)
                && may_merge(id, upload);
            if !is_fit || first <= run.last_seq || !run.has_room_for(upload) {
                if run.uploads.len() >= fewest {
                    return Some(run);
                }
                run = Self::default();
            }
            if is_fit && run.has_room_for(upload) {
                if run.uploads.is_empty() {
                    run.first_seq = first;
                }
                run.bytes += upload.segment_bytes();
                run.rows += upload.rows();
                run.stands_for += 1 + upload.replaces.len();
                run.last_seq = last;
                run.uploads.push((id, upload));
            }
        }
        Some(run).filter(|run| run.uploads.len() >= fewest)
    }

    fn has_room_for(&self, upload: &Upload) -> bool {
        self.bytes + upload.segment_bytes() <= MOST_BYTES
            && self.rows + upload.rows() <= UPLOAD_ROWS
            && self.stands_for + 1 + upload.replaces.len() <= MOST_REPLACED
    }

    /// Returns everything for which the merged upload stands.
    fn replaced(&self) -> Vec<Replaced> {
        let all = self.uploads.iter().flat_map(|(id, upload)| {
            let itself = Replaced {
                upload_id: (*id).clone(),
                uploaded_at: upload.uploaded_at,
                max_seq: upload.seqs().map_or(0, |(_, last)| last),
                via: None,
            };
            let inherited = upload.replaces.iter().map(|replaced| Replaced {
                via: Some((*id).clone()),
                ..replaced.clone()
            });
            inherited.chain([itself])
        });
        all.collect()
    }
}
