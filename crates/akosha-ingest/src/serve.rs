//! Work until it is stopped: a poll every interval, a sweep now and then.

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use akosha_sync::SyncError;
use akosha_sync::intake::Candidate;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::engine::{Engine, Report, no_merger};
use crate::look::{Look, Piece};
use crate::once::{ended, until};
use crate::scrub::Scrubbing;
use crate::{News, OrchestratorMode, Scheduler, Turn, WorkerState};

/// Pause between two sweeps.
const SWEEP_EVERY: Duration = Duration::from_hours(1);

/// Shortest pause between two sweeps where a vault fails and comes back again and again.
const SWEEP_AT_MOST_EVERY: Duration = Duration::from_mins(5);

/// How long work waits for the end of the look that found it, where a scheduler is to be told.
const LONGEST_LOOK: Duration = Duration::from_mins(1);

/// Systems that a scheduler is told of, at most.
const TOLD_SYSTEMS: usize = 100;

/// The worker of a server.
struct Serving<'a> {
    engine: Engine,
    interval: Duration,
    scheduler: Option<Arc<dyn Scheduler>>,
    woken: &'a Notify,
    next_look: Instant,
    next_sweep: Instant,
    /// When the last sweep began.
    swept: Option<Instant>,
    looking: Option<JoinHandle<Result<(), SyncError>>>,
    /// What the look that is under way found.
    news: News,
    /// The question to the scheduler whose turn it is.
    asking: Option<JoinHandle<Turn>>,
    /// Work that waits for the scheduler's word.
    held: Option<Hold>,
    scrubbing: Scrubbing,
}

/// Work that waits for the scheduler's word.
#[derive(Debug, Clone, Copy)]
struct Hold {
    /// When this process goes ahead without it.
    until: Instant,
    /// Whether the scheduler took it on to say when.
    is_promised: bool,
}

/// Runs the engine until it is cancelled.
///
/// # Errors
/// Fails where the thread that merges is gone.
pub(crate) async fn run(
    engine: Engine,
    interval: Duration,
    scheduler: Option<Arc<dyn Scheduler>>,
    woken: &Notify,
    cancel: &CancellationToken,
) -> Result<(), SyncError> {
    let mut serving = Serving::new(engine, interval, scheduler, woken);
    let mut result = Ok(());
    while result.is_ok() && !cancel.is_cancelled() {
        result = serving.step(cancel).await;
    }
    let Serving {
        engine,
        looking,
        asking,
        scrubbing,
        ..
    } = serving;
    if let Some(asking) = asking {
        asking.abort();
    }
    let board = engine.board.clone();
    let stopped = engine.stop().await;
    if let Some(looking) = looking {
        let _ = looking.await;
    }
    scrubbing.stop().await;
    board.update(|status| {
        status.state = WorkerState::Off;
        status.next_poll_at = None;
    });
    result.and(stopped)
}

impl<'a> Serving<'a> {
    fn new(
        engine: Engine,
        interval: Duration,
        scheduler: Option<Arc<dyn Scheduler>>,
        woken: &'a Notify,
    ) -> Self {
        let now = Instant::now();
        Self {
            engine,
            interval,
            scheduler,
            woken,
            next_look: now,
            next_sweep: now,
            swept: None,
            looking: None,
            news: News::default(),
            asking: None,
            held: None,
            scrubbing: Scrubbing::new(),
        }
    }

    /// Starts what is due and waits for what happens next.
    ///
    /// # Errors
    /// Fails where the thread that merges is gone.
    async fn step(&mut self, cancel: &CancellationToken) -> Result<(), SyncError> {
        let now = Instant::now();
        if let Some(hold) = self.held.take_if(|hold| hold.until <= now)
            && hold.is_promised
            && let Some(scheduler) = &self.scheduler
        {
            scheduler.missed();
        }
        // Where the vault is left alone, a look finds out whether it is back, and work waits for it.
        if self.looking.is_none() && (self.next_look <= now || self.engine.is_left_alone()) {
            self.start_look(now);
        }
        let is_blocked = self.held.is_none() && self.engine.start_work();
        self.show(is_blocked);
        let engine = &mut self.engine;
        let look_at = self.looking.is_none().then_some(self.next_look);
        let is_free = self.held.is_none() && !is_blocked;
        let due = engine.queue.next_due().filter(|_| is_free);
        let held_until = self.held.map(|hold| hold.until);
        let timer = [look_at, due, held_until].into_iter().flatten().min();
        let has_room = engine.has_room();
        tokio::select! {
            Some(joined) = engine.tasks.join_next_with_id() => match engine.joined(joined).await {
                Ok(Report::Merged(_)) => self.scrubbing.merged(),
                Ok(_) => {}
                Err(error) => engine.board.update(|it| it.last_error = Some(error.to_string())),
            },
            thread = ended(&mut engine.thread) => {
                engine.thread = None;
                return thread.map_err(|error| no_merger(&error));
            }
            Some(piece) = engine.found.recv(), if has_room => self.take(piece),
            looked = ended(&mut self.looking) => {
                self.looking = None;
                self.looked(looked.ok()).await;
            }
            turn = ended(&mut self.asking) => {
                self.asking = None;
                // A scheduler that panics is none.
                match turn.unwrap_or(Turn::Local) {
                    Turn::Local => self.held = None,
                    Turn::Scheduler => {
                        if let Some(hold) = &mut self.held {
                            hold.is_promised = true;
                        }
                    }
                }
            }
            () = self.scrubbing.ended() => {}
            () = self.woken.notified() => {
                self.held = None;
                self.next_look = Instant::now();
            }
            () = until(timer) => {}
            () = cancel.cancelled() => {}
        }
        Ok(())
    }

    fn start_look(&mut self, now: Instant) {
        let look = if self.next_sweep <= now {
            Look::Sweep
        } else {
            Look::Poll
        };
        match self.engine.look(look) {
            Ok(looking) => {
                self.news = News::default();
                self.looking = Some(looking);
                if look == Look::Sweep {
                    self.swept = Some(now);
                    self.next_sweep = now + SWEEP_EVERY;
                }
            }
            Err(until) => self.next_look = until,
        }
    }

    async fn looked(&mut self, looked: Option<Result<(), SyncError>>) {
        let now = Instant::now();
        self.next_look = now + self.interval;
        if matches!(looked, Some(Ok(()))) {
            self.engine.looked_well();
        }
        if !matches!(looked, Some(Ok(()) | Err(SyncError::Cancelled))) {
            // What was written while the vault failed may lack its marker.
            let earliest = self.swept.map_or(now, |swept| swept + SWEEP_AT_MOST_EVERY);
            self.next_sweep = self.next_sweep.min(earliest.max(now));
        }
        if let Err(error) = self.engine.count_quarantined().await {
            tracing::info!(%error, "what is set aside was not counted");
        }
        // What the look gave last is part of its news.
        while let Ok(piece) = self.engine.found.try_recv() {
            self.take(piece);
        }
        self.tell_scheduler(now);
        if self.engine.queue.len() == 0 && self.engine.queue.in_work() == 0 {
            self.scrubbing.start(&self.engine.shared.intake);
        }
    }

    /// Queues what a look found. Where nothing else is worked on it is the scheduler's to say when;
    /// what comes while work goes on joins it.
    fn take(&mut self, piece: Piece) {
        let queue = &mut self.engine.queue;
        let is_idle = queue.len() == 0 && queue.in_work() == 0;
        if is_idle
            && !piece.uploads.is_empty()
            && let Some(scheduler) = &self.scheduler
            // One that failed before is told while the work goes on.
            && scheduler.health().mode == OrchestratorMode::Normal
        {
            self.held = Some(Hold {
                // Until the look ends and the scheduler is told; one that takes longer is not
                // waited for.
                until: Instant::now() + self.interval.max(LONGEST_LOOK),
                is_promised: false,
            });
        }
        for upload in piece.uploads {
            self.news.add(&upload);
            queue.push(upload);
        }
    }

    /// Tells the scheduler of news, and waits for its word for at most one interval.
    fn tell_scheduler(&mut self, now: Instant) {
        let Some(scheduler) = self.scheduler.clone() else {
            return;
        };
        let news = std::mem::take(&mut self.news);
        let is_new = self.held.is_some_and(|hold| !hold.is_promised);
        let is_trusted = scheduler.health().mode == OrchestratorMode::Normal;
        if news.uploads == 0 || self.asking.is_some() || (is_trusted && !is_new) {
            return;
        }
        if let Some(hold) = &mut self.held {
            hold.until = now + self.interval;
        }
        self.asking = Some(tokio::spawn(async move { scheduler.tell(&news).await }));
    }

    fn show(&mut self, is_blocked: bool) {
        self.engine.show_load();
        let queue = &self.engine.queue;
        let state = if queue.in_work() > 0 || self.looking.is_some() {
            WorkerState::Working
        } else if is_blocked || queue.len() > 0 {
            WorkerState::Waiting
        } else {
            WorkerState::Idle
        };
        let left = self.next_look.saturating_duration_since(Instant::now());
        let next = self.engine.now() + left;
        self.engine.board.update(|status| {
            status.state = state;
            status.next_poll_at = Some(next);
        });
    }
}

impl News {
    fn add(&mut self, upload: &Candidate) {
        self.uploads += 1;
        if self.systems.len() < TOLD_SYSTEMS && !self.systems.contains(&upload.system_id) {
            self.systems.push(upload.system_id.clone());
        }
        self.oldest = Some(
            self.oldest
                .map_or(upload.at, |oldest| oldest.min(upload.at)),
        );
    }
}
