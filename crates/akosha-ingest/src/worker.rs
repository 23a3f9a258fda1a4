//! The worker itself.

use std::sync::Arc;

use akosha_sync::breaker::Breakers;
use akosha_sync::{Progress, PullReport, SyncError, Syncer};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::status::Board;
use crate::{IngestStatus, OrchestratorHealth, Scheduler, WorkerState};

/// Takes the uploads of a vault in. Clones share everything; creating one contacts nothing.
#[derive(Debug, Clone)]
pub struct IngestWorker {
    syncer: Syncer,
    #[expect(dead_code, reason = "the next step asks them")]
    breakers: Breakers,
    scheduler: Option<Arc<dyn Scheduler>>,
    board: Board,
    woken: Arc<Notify>,
}

impl IngestWorker {
    /// Creates the worker of a node.
    pub fn new(syncer: Syncer, breakers: Breakers) -> Self {
        let board = Board::default();
        let enabled = !syncer.config().config.cloud_bucket.is_empty();
        let replica = syncer.store().sources().ulid();
        board.update(|status| {
            status.enabled = enabled;
            status.replica = replica;
        });
        Self {
            syncer,
            breakers,
            scheduler: None,
            board,
            woken: Arc::default(),
        }
    }

    /// Lets an external scheduler say when news is worked on.
    #[must_use]
    pub fn with_scheduler(mut self, scheduler: Arc<dyn Scheduler>) -> Self {
        self.scheduler = Some(scheduler);
        self
    }

    /// Polls and takes in what is found until it is cancelled; then finishes or gives back what is
    /// in work. Where no vault is set it only waits.
    ///
    /// # Errors
    /// Fails where the configuration is wrong. What the vault or the store refuses is in the
    /// status, and tried again.
    pub async fn run(&self, cancel: CancellationToken) -> Result<(), SyncError> {
        if !self.board.read().enabled {
            cancel.cancelled().await;
            return Ok(());
        }
        let interval = self.syncer.config().config.poll_interval;
        loop {
            match self.run_once(&akosha_sync::NoProgress, &cancel).await {
                Err(SyncError::Cancelled) => break,
                Err(error) => self.board.update(|status| {
                    status.last_error = Some(error.to_string());
                }),
                Ok(report) => self.board.update(|status| status.last_error = report.error),
            }
            tokio::select! {
                () = tokio::time::sleep(interval) => {}
                () = self.woken.notified() => {}
                () = cancel.cancelled() => break,
            }
        }
        self.board.update(|status| status.state = WorkerState::Off);
        Ok(())
    }

    /// Looks through the whole vault and takes in what is there until nothing is left.
    ///
    /// # Errors
    /// Fails where no vault is set, it cannot be reached, or the store refuses.
    pub async fn run_once(
        &self,
        progress: &dyn Progress,
        cancel: &CancellationToken,
    ) -> Result<PullReport, SyncError> {
        self.board
            .update(|status| status.state = WorkerState::Working);
        let pulled = self.syncer.pull(&[], progress, cancel).await;
        self.board.update(|status| status.state = WorkerState::Idle);
        if let Ok(report) = &pulled {
            self.board.update(|status| {
                status.uploads_merged += report.uploads_merged;
                status.memories_added += report.memories_added;
                status.memories_updated += report.memories_updated;
                status.memories_skipped += report.memories_skipped;
                status.quarantined = report.quarantined.len() as u64;
                status.bytes += report.bytes_transferred;
            });
        }
        pulled
    }

    /// Looks into the vault now.
    pub fn wake(&self) {
        if let Some(scheduler) = &self.scheduler {
            scheduler.triggered();
        }
        self.woken.notify_one();
    }

    /// Returns how ingestion stands; cheap.
    pub fn status(&self) -> IngestStatus {
        self.board.read()
    }

    /// Returns how the external scheduler stands.
    pub fn orchestrator(&self) -> OrchestratorHealth {
        match &self.scheduler {
            Some(scheduler) => scheduler.health(),
            None => OrchestratorHealth::default(),
        }
    }
}
