//! The one entry to sync: what the command line, the MCP tools and the queue call.

mod adopt;
mod examine;
mod uploads;
mod vault;

use std::sync::Arc;
use std::time::{Duration, Instant};

use akosha_core::config::{Encryption, LoadedConfig};
use akosha_core::{ErrorKind, JobId, SystemId};
use akosha_store::{DRAIN_LEASE, Lease, Store, StoreError, Trigger};
use tokio_util::sync::CancellationToken;

pub use self::adopt::Adoption;
pub use self::examine::Examination;
pub use self::uploads::{UploadPage, UploadSummary};
use crate::breaker::Breakers;
use crate::disk::on_disk;
use crate::hybrid::HybridSync;
use crate::intake::Intake;
use crate::lease::Kept;
use crate::vault::Vault;
use crate::{
    Availability, CloudSync, Progress, PullReport, SyncError, SyncReport, SyncRequest, pull,
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
    breakers: Option<Breakers>,
}

impl Syncer {
    /// Creates the sync of `store` under `config`.
    pub fn new(store: Store, config: Arc<LoadedConfig>) -> Self {
        Self {
            store,
            config,
            breakers: None,
        }
    }

    /// Lets pushes leave alone for a while what fails again and again, for a process that lives long.
    #[must_use]
    pub fn with_breakers(mut self, breakers: Breakers) -> Self {
        self.breakers = Some(breakers);
        self
    }

    /// Returns the store.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Runs a call of the store on a blocking thread.
    ///
    /// # Errors
    /// Fails as the call does.
    pub async fn on_store<T: Send + 'static>(
        &self,
        call: impl FnOnce(&Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, SyncError> {
        on_disk(&self.store, call).await
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
            report.fail(vec![error]);
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
        self.claimed(cancel, async |claimed, cancel| {
            self.sync_on_record(claimed, report, request, trigger, progress, cancel)
                .await
        })
        .await
    }

    /// Works as the only one of the home that syncs, with the store under the drain lease and the
    /// token that ends with the lease.
    async fn claimed<T>(
        &self,
        cancel: &CancellationToken,
        work: impl AsyncFnOnce(&Store, &CancellationToken) -> Result<T, SyncError>,
    ) -> Result<T, SyncError> {
        let lease = Kept::new(self.wait_for_lease(cancel).await?, cancel);
        let done = work(&lease.store(&self.store), lease.token()).await;
        lease.release().await?;
        done
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
    #[tracing::instrument(name = "push", skip_all, fields(trigger = trigger.as_str()))]
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
            return report.fail(vec![error]);
        }
        let cleaned = on_disk(claimed, |store| {
            store.check_claim()?;
            let now = store.sources().clock.now();
            store.home().remove_leftovers(now);
            Ok(())
        });
        if let Err(error) = cleaned.await {
            return report.fail(vec![error]);
        }
        match HybridSync::new(claimed, &config.config, request, self.breakers.as_ref()) {
            Ok(hybrid) => {
                report.fill(hybrid.sync(request, trigger, progress, cancel).await);
            }
            Err(error) => report.fail(vec![error]),
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
        let intake = self.intake().await?;
        intake.reach().await?;
        tokio::select! {
            result = pull::run(&intake, systems, progress) => result.map_err(SyncError::in_pull),
            () = cancel.cancelled() => Err(SyncError::Cancelled),
        }
    }

    /// Returns what takes the uploads of the vault in. Contacts nothing.
    ///
    /// # Errors
    /// Fails where no vault is set, or its settings or keys are wrong.
    pub async fn intake(&self) -> Result<Intake, SyncError> {
        let cloud = self.cloud(&self.store)?;
        let vault = cloud.vault()?.clone();
        let keys = cloud.keys().await?.clone();
        Ok(Intake::new(vault, keys, self.store.clone()))
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

/// Fails where a vault surely cannot be reached: a folder that is not there is no empty one.
pub(crate) async fn reachable(vault: &Vault) -> Result<(), SyncError> {
    match vault.availability().await {
        Availability::Unavailable(reason) => Err(SyncError::CloudUpload {
            message: format!("not reachable: {reason}"),
            hint: Some("see what stands in the way: `akosha doctor`".into()),
            kind: ErrorKind::Unavailable,
            source: None,
        }),
        _ => Ok(()),
    }
}

/// Returns a request as a job keeps it: equal requests have equal texts.
fn job_text(request: &SyncRequest) -> String {
    serde_json::json!(request).to_string()
}
