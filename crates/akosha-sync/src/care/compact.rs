//! Merges small uploads: each session leaves one, and whoever restores reads them one by one.
//!
//! The rows of consecutive uploads are written again, in their order, as the segments of one upload
//! that names those for which it stands. Memories that were erased since are left out. The small
//! ones stay until a later collection removes them, so that nobody who reads them now is disturbed.

use std::collections::{HashMap, HashSet};
use std::fs::File;

use akosha_core::{ErrorKind, SystemId, UploadId};
use akosha_store::{Begun, Op, Store};
use tempfile::TempPath;

use super::Care;
use super::replacement::{Purpose, Replacement};
use crate::cloud::{NewSegment, Publication, UPLOAD_ROWS};
use crate::crypt::Sealer;
use crate::manifest::{MAX_REPLACED, Replaced, SegmentEntry};
use crate::segment::{self, SegmentError, SegmentFile};
use crate::survey::{Survey, Upload};
use crate::{MethodReport, SyncError, received};

/// Bytes of segments from which an upload is not small any more: 8 MiB.
const SMALL_BYTES: u64 = 8 << 20;

/// Most bytes of segments that are merged at once: 64 MiB.
const MOST_BYTES: u64 = 64 << 20;

impl Care<'_> {
    /// Merges small uploads as long as there are `fewest` of them, at least 2. Returns how many were
    /// merged.
    ///
    /// # Errors
    /// Fails where another one writes, or the vault does not answer.
    pub(crate) async fn compact(&self, fewest: usize) -> Result<u64, SyncError> {
        let fewest = fewest.max(2);
        let mut merged = 0;
        let mut unfit = HashSet::new();
        while let Some(at) = self.publication.settled().await? {
            let survey = self.survey().await?;
            let begun = self.begun(survey.uploads.keys().cloned()).await?;
            let Some(run) = Run::choose(&survey, &begun, &unfit, fewest) else {
                break;
            };
            let replacement = Replacement::begin(self.publication, at).await?;
            match self.rewrite(&run).await? {
                Ok(segments) => {
                    let count = run.uploads.len() as u64;
                    let mut report = MethodReport::default();
                    let upload_id = replacement
                        .publish(segments, run.replaced(), Purpose::Compaction, &mut report)
                        .await?;
                    tracing::info!(%upload_id, count, "stands for small uploads");
                    merged += count;
                }
                Err(upload_id) => {
                    replacement.abandon().await?;
                    unfit.insert(upload_id);
                }
            }
        }
        Ok(merged)
    }

    /// Writes the rows of uploads as new segments and sends them; or names an upload that cannot be
    /// merged.
    async fn rewrite(
        &self,
        run: &Run<'_>,
    ) -> Result<Result<Vec<SegmentEntry>, UploadId>, SyncError> {
        let Publication {
            store,
            vault,
            keys,
            system_id,
            ..
        } = self.publication;
        let folder = store.home().temporary();
        let mut report = MethodReport::default();
        let mut sent = Vec::new();
        let mut rows = Some(Rows::new(store, system_id, keys.to_encrypt()));
        for (upload_id, upload) in &run.uploads {
            let sealer = upload.encryption.and_then(|id| self.keys.find(id));
            let mut segments = upload.segments.clone();
            segments.sort_by_key(|entry| entry.min_seq);
            for entry in segments {
                let received = received::segment(vault, sealer, system_id, &entry, &folder).await;
                let added = match (received, rows.take()) {
                    (Ok(path), Some(rows)) => blocking(move || rows.add(&path, &entry)).await?,
                    (Ok(_), None) => return Err(SyncError::Cancelled),
                    (Err(error), _) => Err(Unfit(error.into_fault()?)),
                };
                match added {
                    Ok((back, full)) => {
                        rows = Some(back);
                        for segment in full {
                            sent.push(self.publication.send_segment(segment, &mut report).await?);
                        }
                    }
                    Err(Unfit(reason)) => {
                        tracing::warn!(%upload_id, reason, "is not merged with others");
                        return Ok(Err((*upload_id).clone()));
                    }
                }
            }
        }
        if let Some(rows) = rows
            && let Some(last) = blocking(move || rows.finish()).await?
        {
            sent.push(self.publication.send_segment(last, &mut report).await?);
        }
        Ok(Ok(sent))
    }
}

/// Uploads that follow each other, oldest first.
#[derive(Default)]
struct Run<'a> {
    uploads: Vec<(&'a UploadId, &'a Upload)>,
    last_seq: i64,
    rows: u64,
    bytes: u64,
    stands_for: usize,
}

impl<'a> Run<'a> {
    /// Returns the oldest run of enough small uploads of this home, without those that are `unfit`.
    fn choose(
        survey: &'a Survey,
        begun: &HashMap<UploadId, Begun>,
        unfit: &HashSet<UploadId>,
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
                && !unfit.contains(id);
            if !is_fit || first <= run.last_seq || !run.has_room_for(upload) {
                if run.uploads.len() >= fewest {
                    return Some(run);
                }
                run = Self::default();
            }
            if is_fit && run.has_room_for(upload) {
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
            && self.stands_for + 1 + upload.replaces.len() <= MAX_REPLACED
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

/// Rows on their way into new segments. Blocks on the disk.
struct Rows {
    store: Store,
    system_id: SystemId,
    sealer: Option<Sealer>,
    segment: Option<NewSegment>,
}

/// What is wrong with an upload that is to be merged.
struct Unfit(String);

type Added = Result<(Rows, Vec<(SegmentFile, TempPath)>), Unfit>;

impl Rows {
    fn new(store: &Store, system_id: &SystemId, sealer: Option<&Sealer>) -> Self {
        Self {
            store: store.clone(),
            system_id: system_id.clone(),
            sealer: sealer.cloned(),
            segment: None,
        }
    }

    /// Adds the rows of a segment; returns the segments that are full now.
    fn add(mut self, path: &TempPath, entry: &SegmentEntry) -> Result<Added, SyncError> {
        let mut full = Vec::new();
        let file = File::open(path).map_err(SegmentError::Io)?;
        let batches = match segment::read(file, &self.system_id, entry) {
            Err(error) if error.kind() == ErrorKind::Data => {
                return Ok(Err(Unfit(error.to_string())));
            }
            read => read?,
        };
        for batch in batches {
            let batch = match batch {
                Err(error) if error.kind() == ErrorKind::Data => {
                    return Ok(Err(Unfit(error.to_string())));
                }
                batch => batch?,
            };
            for row in batch {
                let change = match row {
                    Err(error) => return Ok(Err(Unfit(error.to_string()))),
                    Ok(change) => change,
                };
                let newest = self
                    .store
                    .newest_change(&self.system_id, &change.memory_id)?;
                let is_erased = newest.is_some_and(|newest| newest.op == Op::Erase);
                if is_erased && change.op == Op::Put {
                    continue;
                }
                let mut segment = match self.segment.take() {
                    Some(segment) => segment,
                    None => {
                        NewSegment::begin(self.store.home(), &self.system_id, self.sealer.as_ref())?
                    }
                };
                segment.push(&change)?;
                if segment.is_full() {
                    full.extend(segment.finish()?);
                } else {
                    self.segment = Some(segment);
                }
            }
        }
        Ok(Ok((self, full)))
    }

    fn finish(self) -> Result<Option<(SegmentFile, TempPath)>, SyncError> {
        self.segment.map_or(Ok(None), NewSegment::finish)
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, SyncError> + Send + 'static,
) -> Result<T, SyncError> {
    let joined = tokio::task::spawn_blocking(work).await;
    joined.map_err(|error| SyncError::of_join(&error))?
}
