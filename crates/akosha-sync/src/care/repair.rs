//! Sends again what a vault has lost and this home still knows.
//!
//! A segment that can be made again byte for byte takes its old place. Where an upload cannot be
//! mended like that, or its manifest is gone, a new upload brings every change that no whole upload
//! holds, and stands for those that are broken. What belongs to other machines is left alone.

mod files;
mod head;

use std::collections::HashSet;

use akosha_core::UploadId;
use akosha_store::{Begun, PushState, PushedFile, Store};
use serde::Serialize;

use super::Care;
use super::replacement::{Files, Purpose, Replacement};
use crate::cloud::{Publication, Segments, UPLOAD_ROWS, UPLOAD_SEGMENTS};
use crate::disk::on_disk;
use crate::manifest::{MAX_REPLACED, Replaced, SegmentEntry};
use crate::survey::{Named, Survey, Unreadable, Upload};
use crate::vault::{CurrentHead, VaultKey};
use crate::verify::Problem;
use crate::{MethodReport, Progress, SyncError};

/// What a repair did. What is left to be said, a check of the vault says.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct RepairReport {
    /// Heads that were written again.
    pub heads_restored: u64,
    /// Segments that were made again, byte for byte, and sent.
    pub segments_restored: u64,
    /// Uploads that were broken, or gone, and for which a new one stands now.
    pub uploads_replaced: u64,
    /// Changes that went out with such a new upload.
    pub memories_resent: u64,
    /// Pieces of files that were damaged and were removed, to be sent again.
    pub pieces_removed: u64,
    /// Files of which pieces are missing: the sync that follows sends them where they are here.
    pub files_resent: Vec<String>,
    /// Bytes that were sent.
    pub bytes_transferred: u64,
    /// What was left alone, with the reason.
    pub problems: Vec<Problem>,
}

impl Care<'_> {
    /// Repairs what this home wrote of the system, and adds what was done to the report; with
    /// `deep` every byte is looked at.
    ///
    /// # Errors
    /// Fails where another one writes, or the vault does not answer.
    pub(crate) async fn repair(
        &self,
        deep: bool,
        progress: &dyn Progress,
        report: &mut RepairReport,
    ) -> Result<(), SyncError> {
        self.restore_head(report).await?;
        let Some(at) = self.publication.settled(true).await? else {
            // Nothing is visible: the sync that follows sends everything.
            return Ok(());
        };
        let mut survey = self.survey().await?;
        if deep {
            self.remove_damaged(&mut survey, progress, report).await?;
        }
        let mut broken = self.mend(&survey, report).await?;
        broken.add_lost(self, &survey).await?;
        let files = match self.look_at_files(&broken, report).await? {
            listed if listed.is_empty() => Files::From(survey.newest_with_files().cloned()),
            listed => Files::Listed(listed),
        };
        self.replace(&survey, (broken, files), at, report).await
    }

    /// Makes missing segments again where they come out as they were. Returns the uploads of this
    /// home that stay broken.
    async fn mend(&self, survey: &Survey, report: &mut RepairReport) -> Result<Broken, SyncError> {
        let begun = self.begun(survey.all_uploads()).await?;
        let mut broken = Broken::default();
        let mut whole = HashSet::new();
        let files = self.publication.on_disk(Store::pushed_files).await?;
        let is_piece = |key: &VaultKey| matches!(key, VaultKey::Chunk { .. });
        let has_strays = survey.unnamed().any(|(key, _)| is_piece(key));
        for Unreadable {
            upload_id,
            fault,
            is_damaged,
        } in &survey.unreadable
        {
            let Some(known) = begun.get(upload_id) else {
                continue;
            };
            let is_listing = |file: &PushedFile| file.upload_id == *upload_id;
            if *is_damaged && has_strays && !files.iter().any(is_listing) {
                // It may be what names those pieces, and nobody knows of which files.
                let why = format!("{fault}; it stays, since it may list files");
                report.leave(survey, upload_id, &why);
            } else if *is_damaged {
                broken.uploads.push(replaced(upload_id, known));
                broken.there.push(upload_id.clone());
            } else {
                // What it holds counts as not there; it stays for whoever has the key.
                report.leave(survey, upload_id, fault);
            }
        }
        for (upload_id, upload) in &survey.uploads {
            let Some(known) = begun.get(upload_id) else {
                continue;
            };
            if self.mend_upload(survey, upload, report).await? {
                let ranges = upload.segments.iter();
                broken
                    .covered
                    .extend(ranges.map(|entry| (entry.min_seq, entry.max_seq)));
                whole.insert(upload_id);
            } else if upload.is_plain {
                broken.uploads.extend(upload.replaces.iter().cloned());
                broken.uploads.push(replaced(upload_id, known));
                broken.there.push(upload_id.clone());
            } else {
                let why = "it is more than memories, and stays as it is";
                report.leave(survey, upload_id, why);
            }
        }
        // What is there and whole needs nobody to stand for it.
        broken
            .uploads
            .retain(|replaced| !whole.contains(&replaced.upload_id));
        Ok(broken)
    }

    /// Returns whether all segments of an upload are there now.
    async fn mend_upload(
        &self,
        survey: &Survey,
        upload: &Upload,
        report: &mut RepairReport,
    ) -> Result<bool, SyncError> {
        let keys = self.publication.keys;
        for entry in &upload.segments {
            let key = entry.key(&survey.system_id);
            if survey.fault_of(&key, &Named::Segment(*entry)).is_none() {
                continue;
            }
            // What was written before encryption is not written in the clear again.
            if upload.encryption.is_none() && keys.to_encrypt().is_some() {
                return Ok(false);
            }
            let sealer = upload.encryption.and_then(|id| keys.find(id));
            let Publication {
                store, system_id, ..
            } = self.publication;
            let (after, up_to) = (entry.min_seq - 1, entry.max_seq);
            let mut segments = Segments::new(store, system_id, sealer, after, up_to);
            let Some(segment) = segments.next().await? else {
                return Ok(false);
            };
            if SegmentEntry::from(segment.0) != *entry {
                return Ok(false);
            }
            on_disk(store, Store::check_claim).await?;
            self.publication.put_segment(segment).await?;
            report.segments_restored += 1;
            report.bytes_transferred += entry.size_bytes;
        }
        Ok(true)
    }

    /// Sends every change that no whole upload holds, in uploads of which the last stands for what is
    /// broken and lists the files again where that is lost, and takes the broken ones back.
    async fn replace(
        &self,
        survey: &Survey,
        (broken, files): (Broken, Files),
        at: (PushState, CurrentHead),
        report: &mut RepairReport,
    ) -> Result<(), SyncError> {
        let Publication {
            store,
            keys,
            system_id,
            ..
        } = self.publication;
        let last = at.0.acked_seq;
        let mut gaps = gaps(broken.covered, last).into_iter().peekable();
        let mut at = Some(at);
        while let Some(here) = at.take() {
            let mut sent = MethodReport::default();
            let (mut entries, mut rows) = (Vec::new(), 0);
            let mut replacement = None;
            while let Some((after, up_to)) = gaps.peek_mut()
                && rows < UPLOAD_ROWS
                && entries.len() < UPLOAD_SEGMENTS
            {
                let sealer = keys.to_encrypt();
                let mut segments = Segments::new(store, system_id, sealer, *after, *up_to);
                let Some(segment) = segments.next().await? else {
                    gaps.next();
                    continue;
                };
                *after = segments.reached();
                if sealer.is_none() && survey.has_sealed() {
                    return Err(in_the_clear(survey));
                }
                if replacement.is_none() {
                    replacement = Some(Replacement::begin(self.publication, here.clone()).await?);
                }
                let entry = SegmentEntry::from(segment.0);
                self.publication.put_segment(segment).await?;
                sent.bytes_transferred += entry.size_bytes;
                rows += entry.rows;
                entries.push(entry);
            }
            let is_last = gaps.peek().is_none();
            let stands_for = if is_last {
                (broken.uploads.clone(), files.clone())
            } else {
                let files_from = survey.newest_with_files().cloned();
                (Vec::new(), Files::From(files_from))
            };
            if entries.is_empty() && stands_for.0.is_empty() {
                break;
            }
            let replacement = match replacement {
                Some(replacement) => replacement,
                None => Replacement::begin(self.publication, here).await?,
            };
            let purpose = Purpose::Repair;
            replacement
                .publish(entries, stands_for, purpose, &mut sent)
                .await?;
            report.memories_resent += rows;
            report.bytes_transferred += sent.bytes_transferred;
            if is_last {
                report.uploads_replaced += broken.uploads.len() as u64;
                for upload_id in &broken.there {
                    self.publication.take_back(upload_id).await?;
                }
                return Ok(());
            }
            at = self.publication.settled(true).await?;
        }
        Ok(())
    }
}

impl RepairReport {
    fn leave(&mut self, survey: &Survey, upload_id: &UploadId, why: &str) {
        self.problems.push(Problem {
            system_id: survey.system_id.to_string(),
            upload_id: Some(upload_id.to_string()),
            key: VaultKey::manifest(&survey.system_id, upload_id).to_string(),
            problem: why.into(),
        });
    }
}

fn in_the_clear(survey: &Survey) -> SyncError {
    SyncError::Config {
        message: format!(
            "the vault has sealed uploads of `{}`, and `encryption` is off: nothing is sent again \
             in the clear",
            survey.system_id
        ),
        hint: "set `encryption = \"on\"`, then repeat it: `akosha vault repair`".into(),
    }
}

/// Uploads of this home that cannot be mended.
#[derive(Default)]
struct Broken {
    /// For which a new upload has to stand.
    uploads: Vec<Replaced>,
    /// Of them, those whose manifests are there.
    there: Vec<UploadId>,
    /// The changes that whole uploads hold, from and to.
    covered: Vec<(i64, i64)>,
}

impl Broken {
    /// Adds the uploads that this home made, that are gone, and that are missed: by the one after
    /// it, or by this home, which pushed them.
    async fn add_lost(&mut self, care: &Care<'_>, survey: &Survey) -> Result<(), SyncError> {
        let pushed = care.pushed().await?;
        let gone = survey.missing(&pushed).into_keys().cloned();
        let begun = care.begun(gone).await?;
        let lost = begun.iter().map(|(id, known)| replaced(id, known));
        self.uploads.extend(lost);
        let mut seen = HashSet::new();
        self.uploads
            .retain(|entry| seen.insert(entry.upload_id.clone()));
        self.uploads
            .sort_by(|one, other| one.upload_id.cmp(&other.upload_id));
        // What does not fit is missed by the next repair.
        self.uploads.truncate(MAX_REPLACED);
        Ok(())
    }
}

fn replaced(upload_id: &UploadId, begun: &Begun) -> Replaced {
    Replaced {
        upload_id: upload_id.clone(),
        uploaded_at: begun.intent.at,
        max_seq: begun.intent.to_seq,
        via: None,
    }
}

/// Returns the ranges, as `after` and `up_to`, that `covered` leaves of the changes to `last`.
fn gaps(mut covered: Vec<(i64, i64)>, last: i64) -> Vec<(i64, i64)> {
    covered.sort_unstable();
    let mut gaps = Vec::new();
    let mut after = 0;
    for (first, end) in covered {
        let before = first.saturating_sub(1).min(last);
        if before > after {
            gaps.push((after, before));
        }
        after = after.max(end);
    }
    if last > after {
        gaps.push((after, last));
    }
    gaps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_what_is_not_covered() {
        assert_eq!(gaps(vec![], 0), []);
        assert_eq!(gaps(vec![], 9), [(0, 9)]);
        assert_eq!(gaps(vec![(1, 9)], 9), []);
        assert_eq!(gaps(vec![(5, 6), (2, 3)], 9), [(0, 1), (3, 4), (6, 9)]);
        assert_eq!(gaps(vec![(1, 8), (2, 3)], 9), [(8, 9)]);
        assert_eq!(gaps(vec![(4, 20)], 9), [(0, 3)]);
        assert_eq!(gaps(vec![(12, 20)], 9), [(0, 9)]);
    }
}
