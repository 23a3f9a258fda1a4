//! How ingestion stands, as `/status` answers it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use serde::Serialize;

/// What the worker does now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkerState {
    /// It waits for the next look into the vault.
    Idle,
    /// Uploads are being looked for, read or merged.
    Working,
    /// There is work, and something that it needs is left alone for a while.
    Waiting,
    /// It does not run: no vault is set, or it was not started.
    #[default]
    Off,
}

/// How ingestion stands. Counts are since the process began.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct IngestStatus {
    /// Whether a vault is set.
    pub enabled: bool,
    /// What the worker does now.
    pub state: WorkerState,
    /// Names this replica in leases.
    pub replica: String,
    /// When the inbox was listed with success last.
    pub last_poll_at: Option<DateTime<Utc>>,
    /// When the whole vault was looked through with success last.
    pub last_sweep_at: Option<DateTime<Utc>>,
    /// When the vault is looked into next.
    pub next_poll_at: Option<DateTime<Utc>>,
    /// Uploads that wait.
    pub queue: u64,
    /// Uploads that are being read or merged.
    pub in_flight: u64,
    /// Age of the oldest upload that waits or is in work; 0 where there is none.
    pub lag_seconds: f64,
    /// Uploads that were merged.
    pub uploads_merged: u64,
    /// Memories that were not here before.
    pub memories_added: u64,
    /// Memories that were here and have a newer revision.
    pub memories_updated: u64,
    /// Changes that made no difference.
    pub memories_skipped: u64,
    /// New contents of memories that their system had already under another id.
    pub duplicates: u64,
    /// Uploads that are set aside, whole or in part.
    pub quarantined: u64,
    /// Bytes that were read from the vault.
    pub bytes: u64,
    /// What went wrong last and is not mended yet.
    pub last_error: Option<String>,
}

/// The status that the parts of a worker write. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Board(Arc<Mutex<IngestStatus>>);

impl Board {
    /// Returns the status as it is now.
    pub(crate) fn read(&self) -> IngestStatus {
        self.lock().clone()
    }

    /// Changes the status.
    pub(crate) fn update(&self, change: impl FnOnce(&mut IngestStatus)) {
        change(&mut self.lock());
    }

    fn lock(&self) -> MutexGuard<'_, IngestStatus> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
