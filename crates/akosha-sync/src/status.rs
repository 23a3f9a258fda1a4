//! What `akosha_sync_status` answers.

use akosha_core::time;
use akosha_store::{Store, StoreError, Target};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::crypt::VaultKeys;
use crate::disk::on_disk;
use crate::vault::Vault;
use crate::{Availability, CloudSync, HttpSync, SyncError, SyncMethod, Syncer};

/// The state of sync on this node.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "the answer has one field per setting"
)]
pub struct SyncStatus {
    /// Whether a bucket is set.
    pub cloud_configured: bool,
    /// This node's id.
    pub system_id: String,
    /// This store's id as a writer: tells a server from the store that pushes to it.
    pub writer_id: String,
    /// Whether a sync may use the cloud.
    pub should_use_cloud: bool,
    /// Whether a sync may use HTTP.
    pub should_use_http: bool,
    /// `auto`, `cloud` or `http`.
    pub force_method: String,
    /// Whether HTTP is tried when the cloud fails.
    pub enable_fallback: bool,
    /// Whether a session's end queues a sync.
    pub upload_on_session_end: bool,
    /// The 13 main settings.
    pub configuration: Map<String, Value>,
    /// What is wrong with the configuration.
    pub configuration_errors: Vec<String>,
    /// The methods and whether they can work now.
    pub methods: Vec<MethodStatus>,
    /// The queue.
    pub queue: QueueStatus,
    /// What is not synced yet.
    pub lag: Lag,
    /// The vault.
    pub vault: VaultStatus,
    /// System ids of this node that another writer has: pushes under them are refused.
    pub sync_conflicts: Vec<SyncConflict>,
}

/// A system id that another writer has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SyncConflict {
    /// The id.
    pub system_id: String,
    /// The method that found it.
    pub method: &'static str,
    /// Who has it.
    pub error: String,
    /// What to do.
    pub hint: String,
    /// Since when it is known.
    pub since: String,
}

/// A method and whether it can work now.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MethodStatus {
    /// `cloud` or `http`.
    pub method: &'static str,
    /// Whether it can work now.
    pub available: bool,
    /// Why not.
    pub reason: Option<String>,
}

/// The state of the queue.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct QueueStatus {
    /// Jobs that wait.
    pub pending: u64,
    /// Jobs in work.
    pub running: u64,
    /// Jobs that failed for good.
    pub parked: u64,
    /// When a job last succeeded.
    pub last_success_at: Option<String>,
    /// What the last failure since then said.
    pub last_error: Option<String>,
    /// The job that failed for good last.
    pub parked_job: Option<ParkedJob>,
}

/// A job that waits for a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ParkedJob {
    /// Its id.
    pub job_id: String,
    /// Why it failed.
    pub error: String,
    /// What to do.
    pub hint: Option<String>,
    /// Since when it waits.
    pub since: String,
}

/// What is not synced yet to the first method that may be used.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Lag {
    /// Changes that are not acknowledged.
    pub unsynced_memories: u64,
    /// When the oldest of them was stored.
    pub oldest_unsynced_at: Option<String>,
}

/// The vault and this node's newest upload in it.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct VaultStatus {
    /// Its address without credentials; `None` where no bucket is set.
    pub url: Option<String>,
    /// Who holds it, as `docs/providers.md` names them; `None` for a folder.
    #[serde(skip)]
    pub provider: Option<&'static str>,
    /// Where the credentials of a bucket come from, as a phrase.
    #[serde(skip)]
    pub credentials: Option<String>,
    /// Whether credentials were found without asking a machine's own.
    #[serde(skip)]
    pub has_credentials: bool,
    /// The newest acknowledged upload.
    pub last_upload_id: Option<String>,
    /// When that upload was read back and found right.
    pub verified_at: Option<String>,
    /// What it cannot promise, as far as pushes have found out.
    pub warnings: Vec<String>,
}

impl Syncer {
    /// Returns the state of sync: settings, methods with their availability, queue, lag, vault.
    /// Asks the methods at the same time, each for at most a second.
    ///
    /// # Errors
    /// Fails where the store does.
    pub async fn status(&self) -> Result<SyncStatus, SyncError> {
        let config = &self.config().config;
        let (cloud_status, http_status) = tokio::join!(self.cloud_status(), self.http_status());
        let cloud = CloudSync::new(self.store().clone(), config);
        // What is wrong with a vault's settings is told by its availability.
        let vault = cloud.vault().ok();
        let described = VaultStatus {
            url: vault.map(Vault::url),
            provider: vault.and_then(Vault::provider),
            credentials: vault.and_then(Vault::credentials),
            has_credentials: vault.is_some_and(Vault::has_credentials),
            ..VaultStatus::default()
        };
        let cloud_target = vault.map(CloudSync::target);
        let server = HttpSync::target(&config.akosha_url);
        let first = self.first_target(cloud_target.as_ref());
        let mut used = Vec::new();
        if config.should_use_cloud() {
            used.extend(cloud_target.clone().map(|target| ("cloud", target)));
        }
        if config.should_use_http() {
            used.push(("http", server));
        }
        let loaded = self.config().clone();
        let (key_error, queue, lag, vault, sync_conflicts) = on_disk(self.store(), move |store| {
            Ok((
                VaultKeys::config_error(store.home(), &loaded),
                queue_status(store)?,
                lag_behind(store, &first)?,
                vault_status(store, described, cloud_target.as_ref())?,
                sync_conflicts(store, &used)?,
            ))
        })
        .await?;
        let configuration = config.sync_fields();
        let force_method = configuration.get("force_method").and_then(Value::as_str);
        Ok(SyncStatus {
            cloud_configured: !config.cloud_bucket.is_empty(),
            system_id: config.system_id.to_string(),
            writer_id: self.store().writer_id().to_string(),
            should_use_cloud: config.should_use_cloud(),
            should_use_http: config.should_use_http(),
            force_method: force_method.unwrap_or("auto").to_owned(),
            enable_fallback: config.enable_fallback,
            upload_on_session_end: config.upload_on_session_end,
            configuration,
            configuration_errors: self
                .config()
                .errors
                .iter()
                .chain(&key_error)
                .map(|error| format!("`{}` {}", error.key, error.message))
                .collect(),
            methods: vec![cloud_status, http_status],
            queue,
            lag,
            vault,
            sync_conflicts,
        })
    }

    /// Returns what is not synced yet to the first method that may be used. Reads the store alone,
    /// on this thread.
    ///
    /// # Errors
    /// Fails where the store does.
    pub fn lag(&self) -> Result<Lag, StoreError> {
        let cloud = CloudSync::new(self.store().clone(), &self.config().config);
        let cloud_target = cloud.vault().ok().map(CloudSync::target);
        lag_behind(self.store(), &self.first_target(cloud_target.as_ref()))
    }

    /// Returns where a push goes first.
    fn first_target(&self, cloud: Option<&Target>) -> Target {
        let config = &self.config().config;
        match cloud {
            Some(target) if config.should_use_cloud() => target.clone(),
            _ => HttpSync::target(&config.akosha_url),
        }
    }

    async fn cloud_status(&self) -> MethodStatus {
        let config = &self.config().config;
        if !config.should_use_cloud() {
            let reason = if config.cloud_bucket.is_empty() {
                "no bucket is set"
            } else {
                "`force_method` is `http`"
            };
            return unused("cloud", reason);
        }
        ask(&CloudSync::new(self.store().clone(), config)).await
    }

    async fn http_status(&self) -> MethodStatus {
        let config = &self.config().config;
        if !config.should_use_http() {
            return unused("http", "`force_method` or `enable_fallback` rules it out");
        }
        ask(&HttpSync::new(self.store().clone(), config)).await
    }
}

async fn ask(method: &dyn SyncMethod) -> MethodStatus {
    let (available, reason) = match method.is_available().await {
        Availability::Available => (true, None),
        Availability::Unavailable(reason) | Availability::Unknown(reason) => (false, Some(reason)),
    };
    MethodStatus {
        method: method.name(),
        available,
        reason,
    }
}

fn unused(method: &'static str, reason: &str) -> MethodStatus {
    MethodStatus {
        method,
        available: false,
        reason: Some(reason.to_owned()),
    }
}

type StoreResult<T> = Result<T, akosha_store::StoreError>;

fn queue_status(store: &Store) -> StoreResult<QueueStatus> {
    let queue = store.queue()?;
    Ok(QueueStatus {
        pending: queue.pending,
        running: queue.running,
        parked: queue.parked,
        last_success_at: queue.last_success_at.map(time::format),
        last_error: queue.last_error,
        parked_job: queue.parked_job.map(|job| ParkedJob {
            job_id: job.job_id.into(),
            error: job.error,
            hint: job.hint,
            since: time::format(job.since),
        }),
    })
}

fn lag_behind(store: &Store, target: &Target) -> StoreResult<Lag> {
    let mut unsynced_memories = 0;
    let mut oldest = None;
    for system_id in store.local_systems()? {
        let unsynced = store.unsynced(target, &system_id)?;
        let refused = store.rejected(target, &system_id)?.len() as u64;
        unsynced_memories += unsynced.changes + refused;
        oldest = [oldest, unsynced.oldest_at].into_iter().flatten().min();
    }
    Ok(Lag {
        unsynced_memories,
        oldest_unsynced_at: oldest.map(time::format),
    })
}

fn vault_status(
    store: &Store,
    described: VaultStatus,
    target: Option<&Target>,
) -> StoreResult<VaultStatus> {
    let (state, warnings) = match target {
        Some(target) => (
            store.push_state(target, store.system_id())?,
            store.warnings(target)?,
        ),
        None => Default::default(),
    };
    Ok(VaultStatus {
        last_upload_id: state.last_upload_id.map(String::from),
        verified_at: state.verified_at.map(time::format),
        warnings,
        ..described
    })
}

fn sync_conflicts(
    store: &Store,
    targets: &[(&'static str, Target)],
) -> StoreResult<Vec<SyncConflict>> {
    let mut conflicts = Vec::new();
    for (method, target) in targets {
        conflicts.extend(
            store
                .disputes(target)?
                .into_iter()
                .map(|dispute| SyncConflict {
                    system_id: dispute.system_id.into(),
                    method,
                    error: dispute.message,
                    hint: dispute.hint,
                    since: time::format(dispute.since),
                }),
        );
    }
    Ok(conflicts)
}
