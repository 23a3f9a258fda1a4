//! The worker itself.

use std::sync::Arc;

use akosha_store::{Store, StoreError};
use akosha_sync::breaker::Breakers;
use akosha_sync::intake::{Candidate, Intake};
use akosha_sync::{Progress, PullReport, SyncError, Syncer};
use tokio::sync::{Notify, OnceCell};
use tokio_util::sync::CancellationToken;

use crate::engine::{Engine, Mode};
use crate::once::Work;
use crate::status::Board;
use crate::{IngestStatus, Orchestrator, OrchestratorHealth, Scheduler, once, serve};

/// Takes the uploads of a vault in. Clones share everything; creating one contacts nothing.
#[derive(Debug, Clone)]
pub struct IngestWorker {
    syncer: Syncer,
    breakers: Breakers,
    scheduler: Option<Arc<dyn Scheduler>>,
    board: Board,
    woken: Arc<Notify>,
    intake: Arc<OnceCell<Intake>>,
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
        let orchestrator = Orchestrator::configured(&syncer, breakers.orchestrator.clone());
        Self {
            syncer,
            breakers,
            scheduler: orchestrator.map(|it| Arc::new(it) as Arc<dyn Scheduler>),
            board,
            woken: Arc::default(),
            intake: Arc::default(),
        }
    }

    /// Lets a scheduler say when news is worked on, in place of the orchestrator that is configured.
    #[must_use]
    pub fn with_scheduler(mut self, scheduler: Arc<dyn Scheduler>) -> Self {
        self.scheduler = Some(scheduler);
        self
    }

    /// Polls and takes in what is found until it is cancelled; then finishes or gives back what is
    /// in work. Where no vault is set it only waits.
    ///
    /// # Errors
    /// Fails where the configuration or the keys of the vault are wrong, and where its merging
    /// thread is gone. What the vault or the store refuses is in the status, and tried again.
    pub async fn run(&self, cancel: CancellationToken) -> Result<(), SyncError> {
        if !self.board.read().enabled {
            cancel.cancelled().await;
            return Ok(());
        }
        let mode = Mode {
            since: None,
            is_patient: true,
        };
        let engine = self.engine(&mode, &cancel).await?;
        let interval = self.syncer.config().config.poll_interval;
        let scheduler = self.scheduler.clone();
        // The store may not be complete after an upgrade; nobody waits for that.
        let derive = async {
            if let Err(error) = self.syncer.derive(&cancel).await {
                tracing::warn!(%error, "what the store holds was not counted");
            }
        };
        let serve = serve::run(engine, interval, scheduler, &self.woken, &cancel);
        let (served, ()) = tokio::join!(serve, derive);
        served
    }

    /// Looks through the whole vault and takes in what is there until nothing is left. May run
    /// beside [`IngestWorker::run`], as another replica may.
    ///
    /// # Errors
    /// Fails where no vault is set, it cannot be reached, or the store refuses.
    pub async fn run_once(
        &self,
        progress: &dyn Progress,
        cancel: &CancellationToken,
    ) -> Result<PullReport, SyncError> {
        self.intake().await?.reach().await?;
        self.work_once(Work::Vault, progress, cancel).await
    }

    /// Takes in these uploads alone.
    pub(crate) async fn take_in(
        &self,
        uploads: Vec<Candidate>,
        progress: &dyn Progress,
        cancel: &CancellationToken,
    ) -> Result<PullReport, SyncError> {
        self.work_once(Work::These(uploads), progress, cancel).await
    }

    async fn work_once(
        &self,
        work: Work,
        progress: &dyn Progress,
        cancel: &CancellationToken,
    ) -> Result<PullReport, SyncError> {
        let mode = Mode {
            since: Some(self.on_store(Store::newest_seq).await?),
            is_patient: false,
        };
        let engine = self.engine(&mode, cancel).await?;
        once::run(engine, work, progress, cancel).await
    }

    /// Runs a call of the store on a blocking thread.
    pub(crate) async fn on_store<T: Send + 'static>(
        &self,
        call: impl FnOnce(&Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, SyncError> {
        self.syncer.on_store(call).await
    }

    /// Looks into the vault now. Where an external scheduler was told of news, it says by this when
    /// that is worked on.
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

    pub(crate) async fn intake(&self) -> Result<&Intake, SyncError> {
        self.intake.get_or_try_init(|| self.syncer.intake()).await
    }

    async fn engine(&self, mode: &Mode, cancel: &CancellationToken) -> Result<Engine, SyncError> {
        let intake = self.intake().await?.clone();
        let slots = self.syncer.config().config.max_concurrent_ingests as usize;
        let (breakers, board) = (self.breakers.clone(), self.board.clone());
        Ok(Engine::new(intake, breakers, board, mode, slots, cancel))
    }
}
