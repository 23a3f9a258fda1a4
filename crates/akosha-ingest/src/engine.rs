//! What the worker's two ways of working share: the queue and the uploads in work.

mod settle;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use akosha_core::ErrorKind;
use akosha_store::Store;
use akosha_sync::SyncError;
use akosha_sync::breaker::{Breakers, Permit};
use akosha_sync::intake::{Candidate, Intake};
use chrono::{DateTime, Utc};
use tokio::sync::mpsc;
use tokio::task::{self, JoinError, JoinHandle, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::lease::Leases;
use crate::limits::Limits;
use crate::look::{Absent, Look, Looking, Piece};
use crate::merger::{self, Merger};
use crate::queue::Queue;
use crate::record;
use crate::status::Board;
use crate::suspects::Suspects;
use crate::task::{Ended, Shared, take_in};

pub(crate) use settle::{Report, note};

/// Uploads that wait, at which a look is made to wait too.
const MOST_WAITING: usize = 50_000;

/// Pieces of a look that wait to be queued.
const PIECES: usize = 2;

/// How the worker works: until it is stopped, or once.
#[derive(Debug)]
pub(crate) struct Mode {
    /// The change from which is counted what is new; `None` counts each upload from its own start.
    pub(crate) since: Option<i64>,
    /// Whether what fails is waited for, as against reported.
    pub(crate) is_patient: bool,
}

/// Uploads on their way in.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) shared: Arc<Shared>,
    pub(crate) queue: Queue,
    pub(crate) tasks: JoinSet<(Ended, Permit)>,
    pub(crate) found: mpsc::Receiver<Piece>,
    pub(crate) board: Board,
    breakers: Breakers,
    merger: Merger,
    /// The thread that merges, until its end is seen.
    pub(crate) thread: Option<JoinHandle<()>>,
    /// What each task works on.
    working: HashMap<task::Id, Candidate>,
    pub(crate) sender: mpsc::Sender<Piece>,
    absent: Absent,
    suspects: Suspects,
    is_patient: bool,
    /// When the age of the oldest upload was worked out last.
    shown: Option<(Instant, f64)>,
}

impl Engine {
    /// Creates the engine of a replica. Its work is cancelled with `cancel`.
    pub(crate) fn new(
        intake: Intake,
        breakers: Breakers,
        board: Board,
        mode: &Mode,
        slots: usize,
        cancel: &CancellationToken,
    ) -> Self {
        let holder = intake.store().sources().ulid();
        let stop = cancel.child_token();
        let (merger, thread) = Merger::start(merger::Setting {
            intake: intake.clone(),
            database: breakers.database.clone(),
            board: board.clone(),
            since: mode.since,
            is_patient: mode.is_patient,
            stop: stop.clone(),
        });
        let leases = Leases::new(intake.vault().clone(), intake.store().clone(), &holder);
        let (sender, found) = mpsc::channel(PIECES);
        Self {
            shared: Arc::new(Shared {
                intake,
                leases,
                limits: Limits::new(),
                database: breakers.database.clone(),
                stop,
            }),
            queue: Queue::new(slots),
            tasks: JoinSet::new(),
            found,
            board,
            breakers,
            merger,
            thread: Some(thread),
            working: HashMap::new(),
            sender,
            absent: Absent::default(),
            suspects: Suspects::default(),
            is_patient: mode.is_patient,
            shown: None,
        }
    }

    /// Starts to look into the vault; refused where its breaker is open, until when.
    pub(crate) fn look(&self, look: Look) -> Result<JoinHandle<Result<(), SyncError>>, Instant> {
        let permit = self.breakers.bucket.admit();
        let permit = permit.map_err(|open| Instant::now() + open.retry_in)?;
        let looking = Looking {
            shared: Arc::clone(&self.shared),
            absent: self.absent.clone(),
            found: self.sender.clone(),
            is_eager: !self.is_patient,
        };
        let stop = self.shared.stop.clone();
        let board = self.board.clone();
        Ok(tokio::spawn(async move {
            let store = looking.shared.intake.store().clone();
            let result = tokio::select! {
                result = looking.run(look) => result,
                () = stop.cancelled() => Err(SyncError::Cancelled),
            };
            match &result {
                Err(SyncError::Cancelled) => drop(permit),
                Err(error @ SyncError::CloudUpload { .. }) => permit.failed(&error.to_string()),
                Ok(()) | Err(_) => permit.succeeded(),
            }
            let error = result.as_ref().err().map(ToString::to_string);
            record::looked(&board, look, store.sources().clock.now(), error);
            result
        }))
    }

    /// Returns whether more of what a look finds is taken.
    pub(crate) fn has_room(&self) -> bool {
        self.queue.len() < MOST_WAITING
    }

    /// Notes that a look has ended as it should.
    pub(crate) fn looked_well(&mut self) {
        self.suspects.answered();
    }

    /// Returns whether the vault is left alone, or only looked into to see if it is back. Who works
    /// until it is stopped looks; an upload that cannot be read must not stand for the vault.
    pub(crate) fn is_left_alone(&self) -> bool {
        self.is_patient && !self.breakers.bucket.is_closed()
    }

    /// Starts work on as many uploads as there are slots. Returns whether some wait because the
    /// vault is left alone.
    pub(crate) fn start_work(&mut self) -> bool {
        while !self.is_left_alone()
            && let Ok(permit) = self.breakers.bucket.admit()
        {
            let Some(candidate) = self.queue.take(Instant::now()) else {
                return false;
            };
            let (shared, merger) = (Arc::clone(&self.shared), self.merger.clone());
            let work = take_in(shared, merger, candidate.clone());
            self.spawn(candidate, async move { (work.await, permit) });
        }
        self.queue.len() > 0
    }

    /// Starts a task that works on an upload.
    pub(crate) fn spawn(
        &mut self,
        candidate: Candidate,
        work: impl Future<Output = (Ended, Permit)> + Send + 'static,
    ) {
        let id = self.tasks.spawn(work).id();
        self.working.insert(id, candidate);
    }

    /// Shows how many uploads are set aside.
    pub(crate) async fn count_quarantined(&self) -> Result<(), SyncError> {
        let intake = &self.shared.intake;
        let count = intake.on_store(Store::quarantined_uploads).await?;
        record::quarantined(&self.board, count);
        Ok(())
    }

    /// Shows how much work there is.
    pub(crate) fn show_load(&mut self) {
        const HOLDS: Duration = Duration::from_secs(1);
        let idle = self.queue.len() == 0 && self.queue.in_work() == 0;
        let lag = match self.shown {
            _ if idle => 0.0,
            Some((at, lag)) if at.elapsed() < HOLDS => lag,
            _ => {
                let now = self.now();
                let age = self.queue.oldest().map(|oldest| now - oldest);
                age.map_or(0.0, |age| age.as_seconds_f64().max(0.0))
            }
        };
        self.shown = match self.shown {
            Some((at, _)) if at.elapsed() < HOLDS && !idle => self.shown,
            _ => Some((Instant::now(), lag)),
        };
        record::load(&self.board, self.queue.len(), self.queue.in_work(), lag);
    }

    /// Stops: what is not with the merging thread is left, what is there is finished, every claim is
    /// given back.
    ///
    /// # Errors
    /// Fails where the merging thread did not end as it should.
    pub(crate) async fn stop(mut self) -> Result<(), SyncError> {
        self.shared.stop.cancel();
        self.queue.clear();
        while let Some(joined) = self.tasks.join_next_with_id().await {
            // What cannot be noted now is found again.
            let _ = self.joined(joined).await;
        }
        self.show_load();
        let Self { merger, thread, .. } = self;
        drop(merger);
        match thread {
            Some(thread) => thread.await.map_err(|error| no_merger(&error)),
            None => Ok(()),
        }
    }

    /// Returns the time of this machine.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.shared.intake.store().sources().clock.now()
    }
}

/// Says that the thread that merges is gone.
pub(crate) fn no_merger(error: &JoinError) -> SyncError {
    SyncError::Local {
        message: format!("the thread that merges uploads ended: {error}"),
        hint: "this is a defect: report it; what is not merged is found again".into(),
        kind: ErrorKind::Internal,
    }
}
