//! Removes what no manifest names: objects of pushes that were interrupted and never finished.
//!
//! A push may be about to name an object that looks forgotten, because it found it there and did
//! not send it again. So a claim is left in the vault first, then the manifests are read, then
//! objects are removed, then the claim. A push that has written its manifest looks for the claim
//! before it trusts what it found, and checks its objects after the claim is gone. Whichever comes
//! first, either the collector sees the manifest, or the push sees what was removed and sends it.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use akosha_core::SystemId;
use akosha_store::Store;
use chrono::{DateTime, TimeDelta, Utc};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use serde::Serialize;

use super::Problem;
use super::survey::Survey;
use crate::SyncError;
use crate::crypt::VaultKeys;
use crate::vault::{Collection, Vault, VaultKey};

/// How long objects are removed under one claim, which outlives it.
const REMOVING: Duration = Duration::from_mins(4);

/// Removals that are under way at once.
const AT_ONCE: usize = 8;

/// What may be removed.
#[derive(Debug, Clone, Copy)]
pub struct CollectOptions {
    /// How old an object is at least, by the storage's clock: younger ones may belong to a push
    /// that is at work.
    pub grace: TimeDelta,
    /// Whether nothing is removed, only counted.
    pub dry_run: bool,
}

/// What a collection did.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct CollectReport {
    /// Whether everything that was to be removed is.
    pub success: bool,
    /// Objects that nothing names.
    pub unreferenced: u64,
    /// Of them, those that are younger than the grace and stay.
    pub kept: u64,
    /// Objects that were removed, or would be.
    pub removed: u64,
    /// Their sizes together in bytes.
    pub removed_bytes: u64,
    /// Systems that were left alone, because a manifest of theirs cannot be read: what it names is
    /// not known.
    pub problems: Vec<Problem>,
    /// Seconds that it took.
    pub duration_seconds: f64,
}

/// Removes what no manifest of the named systems names.
///
/// # Errors
/// Fails where the vault does not answer, or another collection is at work.
pub(crate) async fn collect(
    vault: &Vault,
    keys: &VaultKeys,
    store: &Store,
    systems: &[SystemId],
    options: CollectOptions,
) -> Result<CollectReport, SyncError> {
    let started = Instant::now();
    let mut report = CollectReport {
        success: true,
        ..CollectReport::default()
    };
    let claim = vault.begin_collection(store.sources()).await?;
    let under = Under {
        vault,
        keys,
        store,
        claim,
        started,
    };
    let collected = under.collect(systems, options, &mut report).await;
    vault.end_collection().await?;
    collected?;
    report.duration_seconds = started.elapsed().as_secs_f64();
    Ok(report)
}

/// A collection that has its claim.
struct Under<'a> {
    vault: &'a Vault,
    keys: &'a VaultKeys,
    store: &'a Store,
    claim: Collection,
    started: Instant,
}

impl Under<'_> {
    async fn collect(
        &self,
        systems: &[SystemId],
        options: CollectOptions,
        report: &mut CollectReport,
    ) -> Result<(), SyncError> {
        for system_id in systems {
            let now = self.store.sources().clock.now();
            let survey = Survey::of(self.vault, system_id, now, self.keys).await?;
            if !survey.problems.is_empty() {
                report.success = false;
                report.problems.extend(survey.problems);
                continue;
            }
            let forgotten = forgotten(system_id, &survey);
            report.unreferenced += forgotten.len() as u64;
            let mut old = Vec::new();
            for (key, size, last_modified) in forgotten {
                if is_old(last_modified, self.claim.at, options.grace) {
                    old.push((key, size));
                } else {
                    report.kept += 1;
                }
            }
            remove(self.vault, old, options.dry_run, self.started, report).await?;
        }
        Ok(())
    }
}

/// Returns the objects of a system that no manifest names.
fn forgotten(system_id: &SystemId, survey: &Survey) -> Vec<(VaultKey, u64, DateTime<Utc>)> {
    let mut named: HashSet<VaultKey> = HashSet::new();
    for manifest in &survey.manifests {
        named.extend(manifest.segments().iter().map(|entry| entry.key(system_id)));
        let chunks = manifest.files().iter().flat_map(|file| &file.chunks);
        named.extend(chunks.map(|chunk| VaultKey::chunk(system_id, chunk.sha256)));
    }
    survey
        .objects
        .values()
        .filter(|listed| {
            matches!(
                listed.key,
                VaultKey::Segment { .. } | VaultKey::Chunk { .. }
            ) && !named.contains(&listed.key)
        })
        .map(|listed| (listed.key.clone(), listed.size_bytes, listed.last_modified))
        .collect()
}

fn is_old(last_modified: DateTime<Utc>, now: DateTime<Utc>, grace: TimeDelta) -> bool {
    now - last_modified >= grace
}

async fn remove(
    vault: &Vault,
    objects: Vec<(VaultKey, u64)>,
    dry_run: bool,
    started: Instant,
    report: &mut CollectReport,
) -> Result<(), SyncError> {
    let mut waiting = objects.into_iter();
    let mut removing = FuturesUnordered::new();
    loop {
        while removing.len() < AT_ONCE
            && let Some((key, size)) = waiting.next()
        {
            if started.elapsed() > REMOVING {
                // The claim is about to end: the rest is for the next collection.
                report.success = false;
                waiting = Vec::new().into_iter();
                break;
            }
            removing.push(async move {
                if !dry_run {
                    vault.delete(&key).await?;
                }
                Ok::<u64, SyncError>(size)
            });
        }
        match removing.next().await {
            Some(size) => {
                report.removed += 1;
                report.removed_bytes += size?;
            }
            None => return Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_outlived_the_grace_is_old() {
        let now: DateTime<Utc> = "2026-01-02T03:04:05Z".parse().unwrap();
        let grace = TimeDelta::hours(24);
        assert!(is_old(now - grace, now, grace));
        assert!(!is_old(now - grace + TimeDelta::seconds(1), now, grace));
        // Written by a clock that is ahead.
        assert!(!is_old(now + grace, now, grace));
    }
}
