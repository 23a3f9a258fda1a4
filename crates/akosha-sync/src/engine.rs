//! The one entry to sync: what the command line, the MCP tools and the queue call.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use akosha_core::config::{Encryption, LoadedConfig};
use akosha_core::{ErrorKind, JobId, SystemId, UploadId};
use akosha_store::{DRAIN_LEASE, Dispute, Lease, Store, Trigger};
use tokio_util::sync::CancellationToken;

use crate::disk::on_disk;
use crate::files::{self, FetchError, FetchedFile, FileError, FileVersion};
use crate::hybrid::{HybridOutcome, HybridSync};
use crate::lease::Kept;
use crate::manifest::Manifest;
use crate::proof::{self, VerifyReport};
use crate::{
    Availability, CloudSync, HttpSync, MethodError, Progress, ProgressState, PullReport, SyncError,
    SyncReport, SyncRequest, epoch, pull,
};

/// Longest wait for a drainer of the same home that is at work.
const WAIT_FOR_DRAINER: Duration = Duration::from_mins(2);

/// Pause between two looks at whether it is done.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Sync for one home. Clones share it. Nothing is opened or contacted before it is needed.
#[derive(Debug, Clone)]
pub struct Syncer {
    store: Store,
    config: Arc<LoadedConfig>,
}

/// What became of the wish to take a system id over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Adoption {
    /// The epoch under which this home writes.
    pub epoch: i64,
    /// Whether anybody else had the id.
    pub adopted: bool,
}

impl Syncer {
    /// Creates the sync of `store` under `config`.
    pub fn new(store: Store, config: Arc<LoadedConfig>) -> Self {
        Self { store, config }
    }

    /// Returns the store.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Returns the configuration.
    pub fn config(&self) -> &LoadedConfig {
        &self.config
    }

    /// Pushes what is unsynced, now, under a job of its own. Waits for a drainer that is at work.
    /// Failures are in the report; the call itself does not fail.
    pub async fn sync(
        &self,
        request: &SyncRequest,
        trigger: Trigger,
        progress: &dyn Progress,
        cancel: &CancellationToken,
    ) -> SyncReport {
        let started = Instant::now();
        let mut report = SyncReport {
            method: "none",
            triggered_by: trigger.as_str(),
            ..SyncReport::default()
        };
        let outcome = self
            .sync_as_job(&mut report, request, trigger, progress, cancel)
            .await;
        if let Err(error) = outcome {
            fail(&mut report, vec![error]);
        }
        report.took(started.elapsed());
        report
    }

    async fn sync_as_job(
        &self,
        report: &mut SyncReport,
        request: &SyncRequest,
        trigger: Trigger,
        progress: &dyn Progress,
        cancel: &CancellationToken,
    ) -> Result<(), SyncError> {
        let lease = Kept::new(self.wait_for_lease(cancel).await?, cancel);
        let store = lease.store(&self.store);
        let recorded = self
            .sync_on_record(&store, report, request, trigger, progress, lease.token())
            .await;
        lease.release().await?;
        recorded
    }

    /// Syncs under a job that was not queued. The caller holds the drain lease.
    async fn sync_on_record(
        &self,
        claimed: &Store,
        report: &mut SyncReport,
        request: &SyncRequest,
        trigger: Trigger,
        progress: &dyn Progress,
        cancel: &CancellationToken,
    ) -> Result<(), SyncError> {
        let text = job_text(request);
        let job_id = on_disk(&self.store, move |store| store.start_job(trigger, &text)).await?;
        report.job_id = Some(job_id.clone());
        self.push(claimed, report, request, trigger, progress, cancel)
            .await;
        let error = report.error.clone();
        on_disk(&self.store, move |store| match error {
            None => store.finish_job(&job_id),
            Some(error) => store.fail_job(&job_id, &error),
        })
        .await
    }

    /// Runs the allowed methods and writes what came of it into the report. `claimed` is the store
    /// under the drain lease.
    pub(crate) async fn push(
        &self,
        claimed: &Store,
        report: &mut SyncReport,
        request: &SyncRequest,
        trigger: Trigger,
        progress: &dyn Progress,
        cancel: &CancellationToken,
    ) {
        let config = &self.config;
        if let Err(error) = self.check_ready().await {
            return fail(report, vec![error]);
        }
        let cleaned = on_disk(claimed, |store| {
            store.check_claim()?;
            let now = store.sources().clock.now();
            store.home().remove_leftovers(now);
            Ok(())
        });
        if let Err(error) = cleaned.await {
            return fail(report, vec![error]);
        }
        match HybridSync::new(claimed, &config.config, request) {
            Ok(hybrid) => {
                let outcome = hybrid.sync(request, trigger, progress, cancel).await;
                fill(report, outcome);
            }
            Err(error) => fail(report, vec![error]),
        }
    }

    async fn wait_for_lease(&self, cancel: &CancellationToken) -> Result<Lease, SyncError> {
        let deadline = Instant::now() + WAIT_FOR_DRAINER;
        loop {
            let lease = on_disk(&self.store, |store| store.try_lease(DRAIN_LEASE, Kept::TTL));
            if let Some(lease) = lease.await? {
                return Ok(lease);
            }
            if Instant::now() > deadline {
                return Err(SyncError::Local {
                    message: "another process of this home has been syncing for over 2 minutes"
                        .into(),
                    hint: "it sends what is unsynced; see how far it is: `akosha status`".into(),
                    kind: ErrorKind::Unavailable,
                });
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK_AGAIN) => {}
                () = cancel.cancelled() => return Err(SyncError::Cancelled),
            }
        }
    }

    /// Queues a sync; it is durable when this returns. Blocks on the disk, not on the network.
    pub fn enqueue(&self, trigger: Trigger, request: &SyncRequest) -> Result<JobId, SyncError> {
        Ok(self.store.enqueue(trigger, &job_text(request))?)
    }

    /// Pulls what is new: of the named systems, or of all.
    ///
    /// # Errors
    /// Fails where no vault is set or it cannot be reached.
    pub async fn pull(
        &self,
        systems: &[SystemId],
        progress: &dyn Progress,
        cancel: &CancellationToken,
    ) -> Result<PullReport, SyncError> {
        let cloud = self.cloud(&self.store)?;
        let vault = cloud.vault()?;
        let keys = cloud.keys().await?;
        if let Availability::Unavailable(reason) = vault.availability().await {
            return Err(SyncError::CloudUpload {
                message: format!("not reachable: {reason}"),
                hint: None,
                kind: ErrorKind::Unavailable,
                source: None,
            }
            .in_pull());
        }
        tokio::select! {
            result = pull::run(vault, keys, &self.store, systems, progress) => {
                result.map_err(SyncError::in_pull)
            }
            () = cancel.cancelled() => Err(SyncError::Cancelled),
        }
    }

    /// Takes over a system id of this node that another writer has, in the vault or on the Akosha
    /// at `akosha_url`: this home becomes the writer and the epoch is raised, so that the other
    /// machine's next push is told. Does nothing where nobody else has the id.
    ///
    /// # Errors
    /// Fails where this node does not write as the system, no vault is set, it cannot be reached,
    /// or another home adopts at the same time.
    pub async fn adopt(&self, system_id: &SystemId) -> Result<Adoption, SyncError> {
        self.check_config()?;
        let cancel = CancellationToken::new();
        let lease = Kept::new(self.wait_for_lease(&cancel).await?, &cancel);
        let adopted = self
            .adopt_claimed(&lease.store(&self.store), system_id)
            .await;
        lease.release().await?;
        adopted
    }

    async fn adopt_claimed(
        &self,
        claimed: &Store,
        system_id: &SystemId,
    ) -> Result<Adoption, SyncError> {
        let config = &self.config.config;
        let server = HttpSync::target(&config.akosha_url);
        let (own, disputes) = on_disk(claimed, {
            let server = server.clone();
            move |store| Ok((store.local_systems()?, store.disputes(&server)?))
        })
        .await?;
        if !own.contains(system_id) {
            let own: Vec<String> = own.iter().map(|id| format!("`{id}`")).collect();
            return Err(SyncError::Config {
                message: format!(
                    "`{system_id}` is no system id of this machine, which writes as {}",
                    own.join(", ")
                ),
                hint: "to take over the id of a machine that is gone, set `system_id` to it first"
                    .into(),
            });
        }
        let rival = disputes
            .into_iter()
            .find(|dispute| dispute.system_id == *system_id);
        let mut in_vault = None;
        if !config.cloud_bucket.is_empty() || rival.is_none() {
            in_vault = Some(self.cloud(claimed)?.adopt(system_id).await?);
        }
        let Some(Dispute {
            epoch,
            hint,
            message,
            ..
        }) = rival
        else {
            return Ok(in_vault.unwrap_or_default());
        };
        let Some(epoch) = epoch.and_then(epoch::after) else {
            let taken = SyncError::Conflict {
                method: "http",
                epoch,
                message,
                hint,
            };
            return in_vault.filter(|found| found.adopted).ok_or(taken);
        };
        let system_id = system_id.clone();
        on_disk(claimed, move |store| {
            store.outbid(&server, &system_id, epoch)
        })
        .await?;
        Ok(Adoption {
            epoch,
            adopted: true,
        })
    }

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
        let manifest = self.files_manifest(system_id, upload_id).await?;
        Ok(manifest
            .as_ref()
            .map(FileVersion::all_of)
            .unwrap_or_default())
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
        let missing = || FileError::NotStored { name: name.into() };
        let manifest = self.files_manifest(system_id, upload_id).await?;
        let manifest = manifest.ok_or_else(missing)?;
        let files = manifest.files().iter();
        let total_bytes = files
            .filter(|file| file.name.starts_with(name))
            .map(|file| file.size_bytes)
            .sum();
        let fetched = AtomicU64::new(0);
        let done = |bytes: u64| {
            progress.update(ProgressState {
                bytes: fetched.fetch_add(bytes, Ordering::Relaxed) + bytes,
                total_bytes: Some(total_bytes),
                ..ProgressState::default()
            });
        };
        let keys = cloud.keys().await?;
        let key = manifest.encryption();
        let sealer = key.and_then(|key_id| keys.find(key_id));
        let coding = files::Coding::new(system_id, sealer);
        let to = files::Destination { folder, replace };
        files::fetch(
            cloud.vault().map_err(SyncError::from)?,
            &manifest,
            &coding,
            name,
            to,
            &done,
        )
        .await
    }

    async fn files_manifest(
        &self,
        system_id: &SystemId,
        upload_id: Option<&UploadId>,
    ) -> Result<Option<Manifest>, SyncError> {
        let cloud = self.cloud(&self.store)?;
        let now = self.store.sources().clock.now();
        files::find(
            cloud.vault()?,
            system_id,
            upload_id,
            now,
            cloud.keys().await?,
        )
        .await
    }

    /// Refuses to sync by any method what is to be encrypted and cannot be: whoever asks for it
    /// must not find memories elsewhere in the clear.
    async fn check_ready(&self) -> Result<(), SyncError> {
        self.check_config()?;
        if self.config.config.encryption == Encryption::Off {
            return Ok(());
        }
        let cloud = CloudSync::new(self.store.clone(), &self.config.config);
        cloud.keys().await.map(drop)
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
        let target = CloudSync::target(vault);
        let last = on_disk(&self.store, move |store| {
            let mut last = HashMap::new();
            for system_id in store.local_systems()? {
                if let Some(upload_id) = store.push_state(&target, &system_id)?.last_upload_id {
                    last.insert(system_id, upload_id);
                }
            }
            Ok(last)
        })
        .await?;
        proof::verify(vault, keys, &self.store, systems, &last, deep, progress).await
    }

    /// Refuses to sync under a configuration with errors: it may not be the one that is meant.
    fn check_config(&self) -> Result<(), SyncError> {
        match self.config.errors.first() {
            None => Ok(()),
            Some(error) => Err(SyncError::Config {
                message: format!("`{}` {}", error.key, error.message),
                hint: error.hint.clone(),
            }),
        }
    }

    fn cloud(&self, store: &Store) -> Result<CloudSync, SyncError> {
        self.check_config()?;
        let config = &self.config.config;
        if config.cloud_bucket.is_empty() {
            return Err(SyncError::no_bucket("no vault is set".into()));
        }
        Ok(CloudSync::new(store.clone(), config))
    }
}

/// Returns a request as a job keeps it: equal requests have equal texts.
fn job_text(request: &SyncRequest) -> String {
    serde_json::json!(request).to_string()
}

/// Writes the outcome into the report.
fn fill(report: &mut SyncReport, outcome: HybridOutcome) {
    let HybridOutcome {
        done,
        brought,
        report: sent,
        errors,
    } = outcome;
    report.files_uploaded = sent.files_uploaded;
    report.memories_uploaded = sent.memories_uploaded;
    report.bytes_transferred = sent.bytes_transferred;
    report.bytes_deduplicated = sent.bytes_deduplicated;
    report.upload_ids = sent.upload_ids.into_iter().map(String::from).collect();
    report.upload_id = report.upload_ids.last().cloned();
    report.method = done.or(brought).unwrap_or("none");
    let Some(method) = done else {
        return fail(report, errors);
    };
    report.fallback_from = errors.first().map(SyncError::method);
    report.errors = errors.iter().map(entry).collect();
    report.success = sent.refused.is_empty() && sent.files_failed.is_empty();
    report.lacks_files_alone = !sent.files_failed.is_empty() && sent.refused.is_empty();
    if let Some(first) = sent.files_failed.first() {
        report.error = Some(format!("[files] {}", first.message));
        let failed = sent.files_failed.iter().map(|failure| MethodError {
            method: "files",
            error: failure.message.clone(),
        });
        report.errors.extend(failed);
        // It is tried again by itself where time heals one of them.
        let kinds = || sent.files_failed.iter().map(|failure| failure.kind);
        report.kind = kinds().find(|kind| kind.is_retryable()).or(kinds().next());
        report.hint = Some(
            "everything else is synced; correct `files`, or repeat it later: `akosha sync`".into(),
        );
    }
    if let Some((memory_id, reason)) = sent.refused.first() {
        let count = sent.refused.len();
        let message =
            format!("{count} memories were refused, the first is `{memory_id}`: {reason}");
        report.error = Some(format!("[{method}] {message}"));
        report.errors.push(MethodError {
            method,
            error: message,
        });
        report.kind = Some(ErrorKind::Data);
        report.hint = Some(format!(
            "correct or forget it: `akosha get {memory_id}`; it is offered again on every sync"
        ));
    }
}

/// Writes a failure into the report.
fn fail(report: &mut SyncReport, mut errors: Vec<SyncError>) {
    report.success = false;
    report.errors = errors.iter().map(entry).collect();
    let error = match errors.pop() {
        Some(only) if errors.is_empty() => only,
        last => {
            errors.extend(last);
            SyncError::Hybrid { errors }
        }
    };
    report.error = Some(error.to_string());
    report.kind = Some(error.kind());
    report.hint = error.hint();
}

fn entry(error: &SyncError) -> MethodError {
    MethodError {
        method: error.method(),
        error: error.message(),
    }
}
