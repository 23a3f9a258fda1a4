//! What is done with the vault beside push and pull: its files come back, its content is proved and
//! cared for.

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

use akosha_core::{SystemId, UploadId};
use akosha_store::Store;
use tokio_util::sync::CancellationToken;

use super::{Syncer, reachable};
use crate::care::{Care, CollectOptions, CollectReport, DUE_AFTER, RepairReport};
use crate::disk::on_disk;
use crate::files::{self, FetchError, FetchedFile, FileError, FileVersion};
use crate::manifest::Manifest;
use crate::verify::{Check, Problem, VerifyReport};
use crate::{CloudSync, Progress, SyncError};

impl Syncer {
    /// Returns the files that a system has in the vault: as its newest upload has them, or the one
    /// that is named.
    ///
    /// # Errors
    /// Fails where no vault is set or it cannot be read.
    pub async fn files(
        &self,
        system_id: &SystemId,
        upload_id: Option<&UploadId>,
    ) -> Result<Vec<FileVersion>, SyncError> {
        let cloud = self.cloud(&self.store)?;
        let manifest = self.files_manifest(&cloud, system_id, upload_id).await?;
        let files = manifest.as_ref().map(FileVersion::all_of);
        Ok(files.unwrap_or_default())
    }

    /// Brings a file of a system, with the logs that belong to it, into a folder; `progress` is
    /// told the bytes. Where something else lies there, nothing is touched unless `replace`.
    ///
    /// # Errors
    /// Fails where no upload holds the file, the vault does not hold what the manifest says, or
    /// the folder cannot be written.
    pub async fn fetch_file(
        &self,
        system_id: &SystemId,
        upload_id: Option<&UploadId>,
        name: &str,
        folder: &Path,
        replace: bool,
        progress: &dyn Progress,
    ) -> Result<Vec<FetchedFile>, FetchError> {
        let cloud = self.cloud(&self.store)?;
        let manifest = self.files_manifest(&cloud, system_id, upload_id).await?;
        let manifest = manifest.ok_or_else(|| FileError::NotStored { name: name.into() })?;
        let keys = cloud.keys().await?;
        let key = manifest.encryption();
        let coding = files::Coding::new(system_id, key.and_then(|id| keys.find(id)));
        let to = files::Destination { folder, replace };
        files::fetch(cloud.vault()?, &manifest, &coding, name, to, progress).await
    }

    async fn files_manifest(
        &self,
        cloud: &CloudSync,
        system_id: &SystemId,
        upload_id: Option<&UploadId>,
    ) -> Result<Option<Manifest>, SyncError> {
        let now = self.store.sources().clock.now();
        let (vault, keys) = (cloud.vault()?, cloud.keys().await?);
        files::find(vault, system_id, upload_id, now, keys).await
    }

    /// Checks what the vault holds of the named systems, or of all; with `deep` every byte.
    ///
    /// # Errors
    /// Fails where no vault is set or it does not answer.
    pub async fn verify_vault(
        &self,
        systems: &[SystemId],
        deep: bool,
        progress: &dyn Progress,
    ) -> Result<VerifyReport, SyncError> {
        let cloud = self.cloud(&self.store)?;
        let (vault, keys) = (cloud.vault()?, cloud.keys().await?);
        reachable(vault).await?;
        let target = CloudSync::target(vault);
        let pushed = on_disk(&self.store, move |store| {
            let mut pushed = HashMap::new();
            for system_id in store.local_systems()? {
                let uploads = store.pushed_uploads(&target, &system_id)?;
                if !uploads.is_empty() {
                    pushed.insert(system_id, uploads);
                }
            }
            Ok(pushed)
        })
        .await?;
        let check = Check {
            vault,
            keys,
            store: &self.store,
            pushed: &pushed,
            deep,
            progress,
        };
        check.run(systems).await
    }

    /// Merges small uploads of this node's systems and removes what nothing needs of them, as the
    /// only one of the home that syncs.
    ///
    /// # Errors
    /// Fails where no vault is set, it does not answer, or another one writes there.
    pub async fn collect_garbage(
        &self,
        options: CollectOptions,
        cancel: &CancellationToken,
    ) -> Result<CollectReport, SyncError> {
        self.claimed(cancel, async |claimed, cancel| {
            tokio::select! {
                collected = self.collect_claimed(claimed, options) => collected,
                () = cancel.cancelled() => Err(SyncError::Cancelled),
            }
        })
        .await
    }

    async fn collect_claimed(
        &self,
        claimed: &Store,
        options: CollectOptions,
    ) -> Result<CollectReport, SyncError> {
        let started = Instant::now();
        let cloud = self.cloud(claimed)?;
        reachable(cloud.vault()?).await?;
        let target = CloudSync::target(cloud.vault()?);
        let mut report = CollectReport::default();
        for system_id in on_disk(claimed, Store::local_systems).await? {
            let care = Care::new(cloud.publication(&target, &system_id).await?);
            let cared = async {
                if !options.dry_run {
                    report.uploads_merged += care.compact(options.merge_from).await?;
                }
                care.collect(options, &mut report).await
            };
            unless_left(claimed, &system_id, cared.await)?;
        }
        report.end(started);
        Ok(report)
    }

    /// Sends again what the vault has lost of this node's systems and this home still knows; with
    /// `deep` every byte is looked at. A sync has to follow.
    ///
    /// # Errors
    /// As [`Syncer::collect_garbage`].
    pub async fn repair_vault(
        &self,
        deep: bool,
        progress: &dyn Progress,
        cancel: &CancellationToken,
    ) -> Result<RepairReport, SyncError> {
        self.claimed(cancel, async |claimed, cancel| {
            tokio::select! {
                repaired = self.repair_claimed(claimed, deep, progress) => repaired,
                () = cancel.cancelled() => Err(SyncError::Cancelled),
            }
        })
        .await
    }

    async fn repair_claimed(
        &self,
        claimed: &Store,
        deep: bool,
        progress: &dyn Progress,
    ) -> Result<RepairReport, SyncError> {
        let cloud = self.cloud(claimed)?;
        reachable(cloud.vault()?).await?;
        let target = CloudSync::target(cloud.vault()?);
        let mut report = RepairReport::default();
        for system_id in on_disk(claimed, Store::local_systems).await? {
            let care = Care::new(cloud.publication(&target, &system_id).await?);
            let repaired = care.repair(deep, progress, &mut report).await;
            unless_left(claimed, &system_id, repaired)?;
        }
        Ok(report)
    }

    /// Cares for the vault after a sync in the background, where enough uploads were made since it
    /// was cared for last. What fails is logged, and tried again after as many uploads.
    pub(crate) async fn care_if_due(&self, claimed: &Store, cancel: &CancellationToken) {
        if self.config.config.cloud_bucket.is_empty() {
            return;
        }
        let care = async {
            let cloud = self.cloud(claimed)?;
            let target = CloudSync::target(cloud.vault()?);
            let due = on_disk(claimed, move |store| store.take_care(&target, DUE_AFTER)).await?;
            if due {
                let options = CollectOptions::default();
                let report = self.collect_claimed(claimed, options).await?;
                for Problem { key, problem, .. } in report.problems {
                    tracing::warn!(key, problem, "the vault was not cared for");
                }
            }
            Ok::<(), SyncError>(())
        };
        tokio::select! {
            cared = care => if let Err(error) = cared {
                tracing::warn!(%error, "the vault was not cared for");
            },
            () = self.job_comes(claimed) => {}
            () = cancel.cancelled() => {}
        }
    }

    /// Waits until a job is due: whoever asks for a sync does not wait for what can wait.
    pub(crate) async fn job_comes(&self, claimed: &Store) {
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let is_due = on_disk(claimed, Store::has_due_job).await;
            if is_due.unwrap_or(false) {
                return;
            }
        }
    }
}

/// Passes over what is wrong with an id that this node had before: mostly, it is another machine's
/// now, and what it has there is its own to care for.
fn unless_left(
    store: &Store,
    system_id: &SystemId,
    cared: Result<(), SyncError>,
) -> Result<(), SyncError> {
    match cared {
        Err(error @ (SyncError::Conflict { .. } | SyncError::CloudUpload { .. }))
            if system_id != store.system_id() && !error.is_retryable() =>
        {
            tracing::warn!(%system_id, %error, "what lies under a former id is left as it is");
            Ok(())
        }
        cared => cared,
    }
}
