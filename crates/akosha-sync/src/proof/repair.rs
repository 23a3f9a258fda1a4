//! Sends again what a vault has lost and this home still knows.

use akosha_core::SystemId;
use akosha_store::{Store, Target};
use serde::Serialize;

use super::Problem;
use super::survey::Survey;
use crate::SyncError;
use crate::cloud::Segments;
use crate::crypt::{Sealer, VaultKeys};
use crate::disk::on_disk;
use crate::manifest::SegmentEntry;
use crate::vault::{Vault, VaultKey};

/// What a repair did.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct RepairReport {
    /// Whether the vault has everything again, or will after the sync that follows.
    pub success: bool,
    /// Segments that were made again, byte for byte, and sent.
    pub segments_restored: u64,
    /// Bytes that were sent.
    pub bytes_transferred: u64,
    /// Segments that cannot be made again as they were, because memories in them were erased
    /// since: what is left of them goes out with the sync that follows.
    pub segments_resent: u64,
    /// Files of which pieces are missing: they go out with the sync that follows.
    pub files_resent: Vec<String>,
    /// What nobody here can repair.
    pub problems: Vec<Problem>,
}

impl RepairReport {
    /// Adds what was done for another system.
    pub(crate) fn add(&mut self, other: Self) {
        self.success &= other.success;
        self.segments_restored += other.segments_restored;
        self.bytes_transferred += other.bytes_transferred;
        self.segments_resent += other.segments_resent;
        self.files_resent.extend(other.files_resent);
        self.problems.extend(other.problems);
    }
}

/// Repairs what this home wrote under `system_id`.
///
/// # Errors
/// Fails where the vault does not answer or the store refuses.
pub(crate) async fn repair(
    vault: &Vault,
    keys: &VaultKeys,
    store: &Store,
    target: &Target,
    system_id: &SystemId,
) -> Result<RepairReport, SyncError> {
    let now = store.sources().clock.now();
    let survey = Survey::of(vault, system_id, now, keys).await?;
    let mut report = RepairReport {
        problems: survey.problems.clone(),
        ..RepairReport::default()
    };
    let mut rewind: Option<i64> = None;
    let mut lost_files = Vec::new();
    for manifest in &survey.manifests {
        for entry in manifest.segments() {
            if has(&survey, &entry.key(system_id), entry.size_bytes) {
                continue;
            }
            let sealer = manifest.encryption().and_then(|id| keys.find(id));
            if restore(vault, store, system_id, *entry, sealer).await? {
                report.segments_restored += 1;
                report.bytes_transferred += entry.size_bytes;
            } else {
                report.segments_resent += 1;
                let before = entry.min_seq - 1;
                rewind = Some(rewind.map_or(before, |seq| seq.min(before)));
            }
        }
        for file in manifest.files() {
            let is_lost = file.chunks.iter().any(|chunk| {
                let key = VaultKey::chunk(system_id, chunk.sha256);
                !has(&survey, &key, chunk.stored_bytes)
            });
            if is_lost && !lost_files.contains(&file.name) {
                lost_files.push(file.name.clone());
            }
        }
    }
    let (of, id) = (target.clone(), system_id.clone());
    let resent = on_disk(store, move |store| {
        if let Some(seq) = rewind {
            store.rewind_push(&of, &id, seq)?;
        }
        let mut resent = Vec::new();
        if !lost_files.is_empty() {
            let mut files = store.pushed_files(&of, &id)?;
            for file in &mut files {
                if lost_files.iter().any(|name| name.starts_with(&file.name)) {
                    file.signature.clear();
                    resent.push(file.name.clone());
                }
            }
            store.record_files(&of, &id, &files)?;
        }
        Ok(resent)
    });
    report.files_resent = resent.await?;
    report.success = report.problems.is_empty();
    Ok(report)
}

fn has(survey: &Survey, key: &VaultKey, size: u64) -> bool {
    let found = survey.objects.get(key);
    found.is_some_and(|listed| listed.size_bytes == size)
}

/// Makes a segment again and sends it; returns false where it is not the same any more.
async fn restore(
    vault: &Vault,
    store: &Store,
    system_id: &SystemId,
    entry: SegmentEntry,
    sealer: Option<&Sealer>,
) -> Result<bool, SyncError> {
    let (after, up_to) = (entry.min_seq - 1, entry.max_seq);
    let mut segments = Segments::new(store, system_id, sealer, after, up_to);
    let Some((file, path)) = segments.next().await? else {
        return Ok(false);
    };
    if SegmentEntry::from(file) != entry {
        return Ok(false);
    }
    vault.put_file(&entry.key(system_id), &path).await?;
    Ok(true)
}
