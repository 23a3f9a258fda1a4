//! Removes what nothing needs: objects that no manifest names, left by pushes that were interrupted
//! and never finished, and uploads for which another one stands.

use std::collections::HashSet;
use std::time::Instant;

use akosha_core::UploadId;
use chrono::{DateTime, TimeDelta, Utc};
use futures::future::try_join_all;
use serde::Serialize;

use super::Care;
use super::held::Held;
use crate::cloud::Publication;
use crate::survey::{Survey, Upload};
use crate::vault::VaultKey;
use crate::verify::Problem;
use crate::{SyncError, received};

/// Removals that are under way at once. Before each batch the head is looked at again.
const AT_ONCE: usize = 8;

/// What may be removed.
#[derive(Debug, Clone, Copy)]
pub struct CollectOptions {
    /// How old an object is at least, by the storage's clock: younger ones may belong to a push
    /// that is resumed, or to an upload that somebody reads.
    pub grace: TimeDelta,
    /// Fewest small uploads that are merged, at least 2.
    pub merge_from: usize,
    /// Whether nothing is changed, only counted.
    pub dry_run: bool,
}

impl Default for CollectOptions {
    /// A day of grace; some days of work are merged.
    fn default() -> Self {
        Self {
            grace: TimeDelta::hours(24),
            merge_from: 32,
            dry_run: false,
        }
    }
}

/// What a collection did.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct CollectReport {
    /// Whether every system could be looked through.
    pub success: bool,
    /// Small uploads that were merged into others before.
    pub uploads_merged: u64,
    /// Uploads that were removed because another one stands for them. Their objects go with a later
    /// collection.
    pub uploads_removed: u64,
    /// Objects that nothing names.
    pub unreferenced: u64,
    /// Of them, those that are younger than the grace and stay.
    pub kept: u64,
    /// Objects that were removed, or would be.
    pub removed: u64,
    /// Their sizes together in bytes.
    pub removed_bytes: u64,
    /// Why systems were left alone.
    pub problems: Vec<Problem>,
    /// Seconds that it took.
    pub duration_seconds: f64,
}

impl CollectReport {
    /// Notes how long it took since `started`, and whether anything stood in the way.
    pub(crate) fn end(&mut self, started: Instant) {
        self.success = self.problems.is_empty();
        self.duration_seconds = started.elapsed().as_secs_f64();
    }
}

impl Care<'_> {
    /// Removes what nothing needs of the system and adds it to the report.
    ///
    /// # Errors
    /// Fails where another one writes, or the vault does not answer. What was removed until then
    /// was not needed.
    pub(crate) async fn collect(
        &self,
        options: CollectOptions,
        report: &mut CollectReport,
    ) -> Result<(), SyncError> {
        let publication = self.publication;
        // A look changes nothing, and what is begun is left to the next push.
        let current = if options.dry_run {
            publication.vault.read_head(publication.system_id).await?
        } else {
            publication
                .settled(false)
                .await?
                .map(|(_, current)| current)
        };
        let Some(current) = current else {
            return Ok(());
        };
        let newest = current.head.upload_id.clone();
        let held = if options.dry_run {
            None
        } else {
            Some(Held::take(publication, current).await?)
        };
        let survey = self.survey().await?;
        let problems = self.obstacles(&survey, &newest).await?;
        if !problems.is_empty() {
            report.problems.extend(problems);
            return Ok(());
        }
        // The head was written just now, by the storage's clock.
        let written = survey.objects.get(&VaultKey::head(publication.system_id));
        let now = match (&held, written) {
            (Some(_), Some(written)) => written.last_modified,
            _ => publication.store.sources().clock.now(),
        };
        let is_old = |at: DateTime<Utc>| now - at >= options.grace;
        let needless = self.needless(&survey, &newest, is_old).await?;
        let mut doomed = Vec::new();
        for (key, object) in survey.unnamed() {
            report.unreferenced += 1;
            if is_old(object.last_modified) {
                doomed.push((key.clone(), object.size_bytes));
            } else {
                report.kept += 1;
            }
        }
        if let Some(held) = held {
            let manifest = |id| VaultKey::manifest(&survey.system_id, id);
            // Markers first: nobody shall be sent to a manifest that is gone.
            let markers: Vec<VaultKey> = needless.iter().map(VaultKey::inbox).collect();
            let manifests: Vec<VaultKey> = needless.iter().map(manifest).collect();
            let objects: Vec<VaultKey> = doomed.iter().map(|(key, _)| key.clone()).collect();
            for keys in [markers, manifests, objects] {
                for batch in keys.chunks(AT_ONCE) {
                    held.check().await?;
                    let vault = publication.vault;
                    try_join_all(batch.iter().map(|key| vault.delete(key))).await?;
                }
            }
            held.release().await?;
        }
        report.uploads_removed += needless.len() as u64;
        report.removed += doomed.len() as u64;
        report.removed_bytes += doomed.iter().map(|(_, size)| size).sum::<u64>();
        Ok(())
    }

    /// Returns the uploads for which another one stands that is whole, byte for byte, and old
    /// enough.
    ///
    /// Whatever a manifest says: an upload that lists files, has a name, is the newest, or has rows
    /// beyond those for which the other one stands, stays.
    async fn needless(
        &self,
        survey: &Survey,
        newest: &UploadId,
        is_old: impl Fn(DateTime<Utc>) -> bool,
    ) -> Result<Vec<UploadId>, SyncError> {
        let standing = survey.uploads.iter().filter(|(id, upload)| {
            let manifest = survey
                .objects
                .get(&VaultKey::manifest(&survey.system_id, id));
            // What was sent again for broken ones need not hold what whole ones do.
            !upload.replaces.is_empty()
                && !upload.holds_more
                && survey.is_intact(upload)
                && manifest.is_some_and(|manifest| is_old(manifest.last_modified))
        });
        let standing: Vec<_> = standing.collect();
        let begun = self
            .begun(standing.iter().map(|(id, _)| (*id).clone()))
            .await?;
        let mut needless = HashSet::new();
        for (_, upload) in standing.iter().filter(|(id, _)| begun.contains_key(*id)) {
            let replaced = upload.replaces.iter().filter(|replaced| {
                let found = survey.uploads.get(&replaced.upload_id);
                found.is_some_and(|found| {
                    let is_covered = found
                        .seqs()
                        .is_none_or(|(_, last)| last <= replaced.max_seq);
                    found.is_plain && is_covered && replaced.upload_id != *newest
                })
            });
            let replaced: Vec<UploadId> = replaced.map(|it| it.upload_id.clone()).collect();
            if !replaced.is_empty() && self.is_whole(upload).await? {
                needless.extend(replaced);
            }
        }
        let mut needless: Vec<UploadId> = needless.into_iter().collect();
        needless.sort();
        Ok(needless)
    }

    /// Returns whether the segments of an upload have the bytes that they have to.
    async fn is_whole(&self, upload: &Upload) -> Result<bool, SyncError> {
        let Publication {
            store,
            vault,
            system_id,
            ..
        } = self.publication;
        let folder = store.home().temporary();
        let sealer = upload.encryption.and_then(|id| self.keys.find(id));
        for entry in &upload.segments {
            let received = received::segment(vault, sealer, system_id, entry, &folder).await;
            if let Err(error) = received {
                let fault = error.into_fault()?;
                tracing::warn!(%system_id, fault, "an upload does not stand for others");
                return Ok(false);
            }
        }
        Ok(true)
    }
}
