//! Sends again what a vault has lost and this home still knows.
//!
//! A segment that can be made again byte for byte takes its old place. Where an upload cannot be
//! mended like that, or its manifest is gone, a new upload brings every change that no whole upload
//! holds, and stands for those that are broken. What belongs to other machines is left alone.

use std::collections::{BTreeSet, HashMap, HashSet};

use akosha_core::UploadId;
use akosha_store::{Begun, Store};
use serde::Serialize;

use super::Care;
use super::replacement::{Purpose, Replacement};
use crate::cloud::{Publication, Segments, UPLOAD_ROWS, UPLOAD_SEGMENTS};
use crate::disk::on_disk;
use crate::files::{Group, StoredPieces};
use crate::manifest::{Replaced, SegmentEntry};
use crate::survey::{Named, Survey, Unreadable, Upload};
use crate::vault::{CurrentHead, Head, VaultError, VaultKey};
use crate::verify::Check;
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
    /// Files of which pieces are missing: the sync that follows sends them.
    pub files_resent: Vec<String>,
    /// Bytes that were sent.
    pub bytes_transferred: u64,
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
        let Some(at) = self.publication.settled().await? else {
            // Nothing is visible: the sync that follows sends everything.
            return Ok(());
        };
        let mut survey = self.survey().await?;
        if deep {
            self.remove_damaged(&mut survey, progress, report).await?;
        }
        let mut broken = self.mend(&survey, report).await?;
        broken
            .add_lost(self, &survey, at.0.last_upload_id.as_ref())
            .await?;
        self.forget_files(&broken, report).await?;
        self.replace(broken, at, report).await
    }

    /// Writes a head again that is gone or cannot be read, where nobody else can have written it.
    async fn restore_head(&self, report: &mut RepairReport) -> Result<(), SyncError> {
        let Publication {
            store,
            vault,
            system_id,
            ..
        } = self.publication;
        let is_there = match vault.read_head(system_id).await {
            Ok(Some(_)) => return Ok(()),
            Ok(None) => false,
            Err(VaultError::Damaged { .. } | VaultError::TooLarge { .. }) => true,
            Err(error) => return Err(error.into()),
        };
        let state = self.publication.state().await?;
        let Some(last) = state.last_upload_id.clone() else {
            return Ok(());
        };
        let survey = self.survey().await?;
        let uploads = survey.uploads.keys().cloned();
        let unreadable = survey
            .unreadable
            .iter()
            .map(|found| found.upload_id.clone());
        let all: Vec<UploadId> = uploads.chain(unreadable).collect();
        let begun = self.begun(all.iter().cloned()).await?;
        // Another machine may have taken the id over: its uploads are the later ones.
        if all.iter().any(|id| !begun.contains_key(id) && *id > last) {
            return Ok(());
        }
        on_disk(store, Store::check_claim).await?;
        if is_there {
            vault.delete(&VaultKey::head(system_id)).await?;
        }
        // Where the last one is gone too, pushes go on from the newest that is left.
        let newest = if survey.has(&last) {
            Some(last)
        } else {
            let left = begun
                .iter()
                .filter(|(id, _)| survey.uploads.contains_key(*id));
            let newest = left.max_by_key(|(_, begun)| (begun.intent.to_seq, begun.intent.at));
            newest.map(|(id, _)| id.clone())
        };
        let Some(upload_id) = newest else {
            // The sync that follows begins anew; what is left cannot be read.
            let damaged = survey.unreadable.into_iter().filter(|it| it.is_damaged);
            let damaged = damaged.map(|found| found.upload_id);
            let own = damaged.filter(|id| begun.contains_key(id)).collect();
            return self.take_back(own).await;
        };
        let head = Head {
            upload_id,
            system_id: system_id.clone(),
            writer_id: store.writer_id().clone(),
            epoch: state.epoch,
            updated_at: store.sources().clock.now(),
        };
        vault.swap_head(None, &head).await?;
        report.heads_restored += 1;
        Ok(())
    }

    /// Reads every object. One that is a damaged piece of a file is removed, since it would count
    /// as there; a damaged segment counts as missing.
    async fn remove_damaged(
        &self,
        survey: &mut Survey,
        progress: &dyn Progress,
        report: &mut RepairReport,
    ) -> Result<(), SyncError> {
        let Publication { store, vault, .. } = self.publication;
        let check = Check {
            vault,
            keys: &self.keys,
            store,
            pushed: &HashMap::new(),
            deep: true,
            progress,
        };
        for (key, object) in check.damaged(survey).await? {
            if matches!(object, Named::Chunk(_)) {
                on_disk(store, Store::check_claim).await?;
                vault.delete(&key).await?;
                report.pieces_removed += 1;
            }
            survey.objects.remove(&key);
        }
        Ok(())
    }

    /// Makes missing segments again where they come out as they were. Returns the uploads of this
    /// home that stay broken.
    async fn mend(&self, survey: &Survey, report: &mut RepairReport) -> Result<Broken, SyncError> {
        let all = survey.uploads.keys().cloned();
        let unreadable = survey
            .unreadable
            .iter()
            .map(|found| found.upload_id.clone());
        let begun = self.begun(all.chain(unreadable)).await?;
        let mut broken = Broken::default();
        for Unreadable { upload_id, .. } in survey.unreadable.iter().filter(|it| it.is_damaged) {
            if let Some(known) = begun.get(upload_id) {
                broken.uploads.push(replaced(upload_id, known));
                broken.there.push(upload_id.clone());
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
            } else {
                broken.uploads.extend(upload.replaces.iter().cloned());
                broken.uploads.push(replaced(upload_id, known));
                broken.there.push(upload_id.clone());
            }
        }
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

    /// Sends every change that no whole upload holds, in uploads of which the first stands for what
    /// is broken, and takes the broken ones back.
    async fn replace(
        &self,
        broken: Broken,
        at: (akosha_store::PushState, CurrentHead),
        report: &mut RepairReport,
    ) -> Result<(), SyncError> {
        if broken.uploads.is_empty() {
            return Ok(());
        }
        let Publication {
            store,
            keys,
            system_id,
            ..
        } = self.publication;
        let mut gaps = gaps(broken.covered, at.0.acked_seq).into_iter();
        let mut gap = gaps.next();
        let mut replaces = broken.uploads;
        report.uploads_replaced += replaces.len() as u64;
        let mut at = Some(at);
        while let Some(here) = at.take() {
            let replacement = Replacement::begin(self.publication, here).await?;
            let mut sent = MethodReport::default();
            let (mut entries, mut rows) = (Vec::new(), 0);
            while let Some((after, up_to)) = gap {
                if rows >= UPLOAD_ROWS || entries.len() >= UPLOAD_SEGMENTS {
                    break;
                }
                let sealer = keys.to_encrypt();
                let mut segments = Segments::new(store, system_id, sealer, after, up_to);
                match segments.next().await? {
                    None => gap = gaps.next(),
                    Some(segment) => {
                        let entry = self.publication.send_segment(segment, &mut sent).await?;
                        rows += entry.rows;
                        entries.push(entry);
                        gap = Some((segments.reached(), up_to));
                    }
                }
            }
            if entries.is_empty() && replaces.is_empty() {
                replacement.abandon().await?;
                break;
            }
            let replaces = std::mem::take(&mut replaces);
            replacement
                .publish(entries, replaces, Purpose::Repair, &mut sent)
                .await?;
            report.memories_resent += rows;
            report.bytes_transferred += sent.bytes_transferred;
            if gap.is_some() {
                at = self.publication.settled().await?;
            }
        }
        self.take_back(broken.there).await
    }

    /// Removes uploads that are broken.
    async fn take_back(&self, uploads: Vec<UploadId>) -> Result<(), SyncError> {
        let Publication {
            store,
            vault,
            system_id,
            ..
        } = self.publication;
        for upload_id in uploads {
            on_disk(store, Store::check_claim).await?;
            vault.delete(&VaultKey::inbox(&upload_id)).await?;
            let manifest = VaultKey::manifest(system_id, &upload_id);
            vault.delete(&manifest).await?;
        }
        Ok(())
    }

    /// Lets files of which pieces are missing count as changed, and all files as never pushed where
    /// the upload that lists them is broken.
    async fn forget_files(
        &self,
        broken: &Broken,
        report: &mut RepairReport,
    ) -> Result<(), SyncError> {
        let Publication {
            store,
            vault,
            target,
            system_id,
            ..
        } = self.publication;
        let stored = StoredPieces::of(vault, system_id, []).await?;
        let (target, system_id) = (target.clone(), system_id.clone());
        let gone: HashSet<UploadId> = broken
            .uploads
            .iter()
            .map(|it| it.upload_id.clone())
            .collect();
        let resent = on_disk(store, move |store| {
            let mut files = store.pushed_files(&target, &system_id)?;
            if files.iter().any(|file| gone.contains(&file.upload_id)) {
                store.record_files(&target, &system_id, &[])?;
                return Ok(files.into_iter().map(|file| file.name).collect());
            }
            let mut resent = Vec::new();
            for file in &mut files {
                let group = Group::of(file);
                if group.is_none_or(|group| stored.missing(&group.entries).is_some()) {
                    file.signature.clear();
                    resent.push(file.name.clone());
                }
            }
            if !resent.is_empty() {
                store.record_files(&target, &system_id, &files)?;
            }
            Ok(resent)
        });
        report.files_resent.extend(resent.await?);
        Ok(())
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
    /// Adds the uploads that this home began, that are gone, and that are missed: by the one after
    /// it, or by this home, which pushed them.
    async fn add_lost(
        &mut self,
        care: &Care<'_>,
        survey: &Survey,
        newest: Option<&UploadId>,
    ) -> Result<(), SyncError> {
        let replaced_already = survey.replaced();
        let Publication {
            store,
            target,
            system_id,
            ..
        } = care.publication;
        let (target, system_id) = (target.clone(), system_id.clone());
        let pushed = on_disk(store, move |store| {
            store.pushed_uploads(&target, &system_id)
        })
        .await?;
        let parents = survey
            .uploads
            .values()
            .filter_map(|upload| upload.parent.as_ref());
        let gone: BTreeSet<UploadId> = parents
            .chain(newest)
            .chain(&pushed)
            .filter(|id| !survey.has(id) && !replaced_already.contains(id))
            .cloned()
            .collect();
        let begun = care.begun(gone).await?;
        self.uploads
            .extend(begun.iter().map(|(id, known)| replaced(id, known)));
        let mut seen = HashSet::new();
        self.uploads
            .retain(|entry| seen.insert(entry.upload_id.clone()));
        self.uploads
            .sort_by(|one, other| one.upload_id.cmp(&other.upload_id));
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
