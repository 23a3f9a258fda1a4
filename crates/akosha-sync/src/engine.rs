//! The one entry to sync: what the command line, the MCP tools and the queue call.

use std::sync::Arc;

use akosha_core::config::LoadedConfig;
use akosha_core::{JobId, SystemId};
use akosha_store::{Store, Trigger};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::{Progress, SyncError, SyncReport, SyncRequest};

/// Sync for one home. Clones share it. Nothing is opened or contacted before it is needed.
#[derive(Debug, Clone)]
pub struct Syncer {
    store: Store,
    config: Arc<LoadedConfig>,
}

/// What a pull did, as `akosha pull --json` answers it.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct PullReport {
    /// Whether every upload that was seen is merged.
    pub success: bool,
    /// Uploads that were not known before.
    pub uploads_seen: u64,
    /// Uploads that are merged now.
    pub uploads_merged: u64,
    /// Memories that were not here before.
    pub memories_added: u64,
    /// Memories that have a newer revision now.
    pub memories_updated: u64,
    /// Changes that were here already.
    pub memories_skipped: u64,
    /// What was set aside in this pull.
    pub quarantined: Vec<QuarantinedUpload>,
    /// Bytes received.
    pub bytes_transferred: u64,
    /// Seconds that it took.
    pub duration_seconds: f64,
    /// What went wrong with the whole.
    pub error: Option<String>,
}

/// An upload, or one memory of it, that was set aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct QuarantinedUpload {
    /// The upload.
    pub upload_id: String,
    /// The system under which it lies.
    pub system_id: String,
    /// Why; names the memory where only one is set aside.
    pub reason: String,
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
        _request: &SyncRequest,
        _trigger: Trigger,
        _progress: &dyn Progress,
        _cancel: &CancellationToken,
    ) -> SyncReport {
        SyncReport::default()
    }

    /// Queues a sync; it is durable when this returns. Blocks on the disk, not on the network.
    pub fn enqueue(&self, trigger: Trigger, request: &SyncRequest) -> Result<JobId, SyncError> {
        let request = serde_json::to_string(request).unwrap_or_default();
        Ok(self.store.enqueue(trigger, &request)?)
    }

    /// Pulls what is new: of the named systems, or of all.
    ///
    /// # Errors
    /// Fails where no vault is set or it cannot be reached.
    pub async fn pull(
        &self,
        _systems: &[SystemId],
        _progress: &dyn Progress,
        _cancel: &CancellationToken,
    ) -> Result<PullReport, SyncError> {
        Ok(PullReport::default())
    }

    /// Takes over a system id whose vault names another writer: this home becomes the writer and
    /// the epoch is raised, so that the other machine's next push is told.
    ///
    /// # Errors
    /// Fails where no vault is set, it cannot be reached, or another home adopts at the same time.
    pub async fn adopt(&self, _system_id: &SystemId) -> Result<i64, SyncError> {
        Ok(0)
    }

    /// Works through the queue until nothing is due, as the only drainer of the home. Returns at
    /// once where another one works and a third waits.
    ///
    /// # Errors
    /// Fails where the store does; failed jobs are on record in it.
    pub async fn drain(&self, _cancel: &CancellationToken) -> Result<(), SyncError> {
        Ok(())
    }

    /// Returns what `akosha_sync_status` answers: methods with their availability, queue, lag,
    /// vault.
    ///
    /// # Errors
    /// Fails where the store does.
    pub async fn status(&self) -> Result<SyncStatus, SyncError> {
        Ok(SyncStatus {})
    }
}

/// What `akosha_sync_status` answers.
#[derive(Debug, Clone, Serialize)]
pub struct SyncStatus {}
