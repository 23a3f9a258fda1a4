//! What the worker's two ways of working share: the queue, the uploads in work, and what becomes
//! of each.

use std::sync::Arc;
use std::time::Duration;

use akosha_store::Store;
use akosha_sync::breaker::{Breakers, Permit};
use akosha_sync::intake::{Candidate, Fault, Intake, Intaken};
use akosha_sync::{PullReport, SyncError};
use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::lease::Leases;
use crate::limits::Limits;
use crate::look::{Absent, Look, Looking, Piece};
use crate::merger::{self, Merger};
use crate::queue::Queue;
use crate::record;
use crate::status::Board;
use crate::task::{Ended, Outcome, Shared, take_in};

/// Uploads that wait, at which a look is made to wait too.
const MOST_WAITING: usize = 50_000;

/// Pieces of a look that wait to be queued.
const PIECES: usize = 2;

/// Pause before an upload is looked at again that another replica has: by then the ledger of the
/// store that they share mostly says that it is merged.
const TAKEN_PAUSE: Duration = Duration::from_millis(500);

/// Pause before an upload is read again that the vault did not give.
const VAULT_PAUSE: Duration = Duration::from_secs(5);

/// Pause before an upload is tried again that may pass later, doubled each time.
const FIRST_RETRY: TimeDelta = TimeDelta::minutes(1);

/// Longest such pause.
const LAST_RETRY: TimeDelta = TimeDelta::hours(6);

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
    thread: JoinHandle<()>,
    sender: mpsc::Sender<Piece>,
    absent: Absent,
    is_patient: bool,
    /// When the age of the oldest upload was worked out last.
    shown: Option<(Instant, f64)>,
}

/// What became of an upload, as far as who runs the engine has to know.
#[derive(Debug)]
pub(crate) enum Report {
    /// Nothing to tell.
    Nothing,
    /// It is merged.
    Merged(Intaken),
    /// It is set aside.
    SetAside(Candidate, String),
    /// It went away since it was found.
    Gone,
    /// The vault failed at it.
    Vault(SyncError),
    /// The store failed, and will at every other one.
    Store(SyncError),
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
                stop,
            }),
            queue: Queue::new(slots),
            tasks: JoinSet::new(),
            found,
            board,
            breakers,
            merger,
            thread,
            sender,
            absent: Absent::default(),
            is_patient: mode.is_patient,
            shown: None,
        }
    }

    /// Starts to look into the vault; refused where its breaker is open, until when.
    pub(crate) fn look(&self, look: Look) -> Result<JoinHandle<Looked>, Instant> {
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
            Looked { look, result }
        }))
    }

    /// Returns whether more of what a look finds is taken.
    pub(crate) fn has_room(&self) -> bool {
        self.queue.len() < MOST_WAITING
    }

    /// Starts work on as many uploads as there are slots. Returns until when the vault is left
    /// alone, where it is.
    pub(crate) fn start_work(&mut self) -> Option<Instant> {
        loop {
            let permit = match self.breakers.bucket.admit() {
                Ok(permit) => permit,
                Err(_) if self.queue.len() == 0 => return None,
                Err(open) => return Some(Instant::now() + open.retry_in),
            };
            let candidate = self.queue.take(Instant::now())?;
            let (shared, merger) = (Arc::clone(&self.shared), self.merger.clone());
            self.tasks
                .spawn(async move { (take_in(shared, merger, candidate).await, permit) });
        }
    }

    /// Settles what became of an upload.
    ///
    /// # Errors
    /// Fails where the store cannot note it.
    pub(crate) async fn settle(
        &mut self,
        ended: Ended,
        permit: Permit,
    ) -> Result<Report, SyncError> {
        let Ended {
            candidate,
            outcome,
            took,
        } = ended;
        match &outcome {
            Outcome::Failed(Fault::Vault(error)) => permit.failed(&error.to_string()),
            Outcome::Left | Outcome::Failed(Fault::Store(_)) => drop(permit),
            _ => permit.succeeded(),
        }
        let now = Instant::now();
        match outcome {
            Outcome::Merged(intaken) => {
                self.queue.finish(&candidate);
                record::merged(&self.board, &intaken, took);
                Ok(Report::Merged(intaken))
            }
            Outcome::Known | Outcome::Left => {
                self.queue.finish(&candidate);
                Ok(Report::Nothing)
            }
            Outcome::Taken => {
                record::ended("taken");
                self.queue.put_back(candidate, now, TAKEN_PAUSE);
                Ok(Report::Nothing)
            }
            Outcome::Gone => {
                self.queue.finish(&candidate);
                self.absent.note(&candidate.upload_id);
                Ok(Report::Gone)
            }
            Outcome::Failed(Fault::Vault(error)) => {
                record::ended("retried");
                self.board
                    .update(|it| it.last_error = Some(error.to_string()));
                if self.is_patient {
                    self.queue.put_back(candidate, now, VAULT_PAUSE);
                } else {
                    self.queue.finish(&candidate);
                }
                Ok(Report::Vault(error))
            }
            Outcome::Failed(Fault::Store(error)) => {
                record::ended("retried");
                self.board
                    .update(|it| it.last_error = Some(error.to_string()));
                if self.is_patient {
                    self.queue.put_back(candidate, now, VAULT_PAUSE);
                } else {
                    self.queue.finish(&candidate);
                }
                Ok(Report::Store(error))
            }
            Outcome::Failed(Fault::Upload(reason) | Fault::Missing(reason)) => {
                self.queue.finish(&candidate);
                self.set_aside(&candidate, &reason).await?;
                Ok(Report::SetAside(candidate, reason))
            }
            Outcome::Failed(Fault::ForGood(reason)) => {
                self.queue.finish(&candidate);
                self.set_aside_for_good(&candidate, &reason).await?;
                Ok(Report::SetAside(candidate, reason))
            }
        }
    }

    /// Sets an upload aside that may pass later.
    async fn set_aside(&self, candidate: &Candidate, reason: &str) -> Result<(), SyncError> {
        let Candidate {
            system_id,
            upload_id,
            ..
        } = candidate.clone();
        tracing::info!(%system_id, %upload_id, reason, "set aside, to be tried again");
        record::ended("retried");
        let reason = reason.to_owned();
        let intake = &self.shared.intake;
        intake
            .on_store(move |store| {
                let now = store.sources().clock.now();
                store.retry_upload(&system_id, &upload_id, &reason, |attempts| {
                    next_try(now, attempts)
                })
            })
            .await?;
        self.count_quarantined().await
    }

    /// Sets an upload aside that will not pass until its manifest is another one.
    async fn set_aside_for_good(
        &self,
        candidate: &Candidate,
        reason: &str,
    ) -> Result<(), SyncError> {
        let Candidate {
            system_id,
            upload_id,
            seen,
            ..
        } = candidate.clone();
        tracing::info!(%system_id, %upload_id, reason, "set aside for good");
        record::ended("quarantined");
        let intake = &self.shared.intake;
        let seen = match seen {
            Some(seen) => seen,
            // Where it cannot be looked up, the next sweep finds that it is another one, and reads
            // it once more.
            None => match intake.find(&system_id, &upload_id).await {
                Ok(found) => found.and_then(|it| it.seen).unwrap_or_default(),
                Err(_) => String::new(),
            },
        };
        let reason = reason.to_owned();
        intake
            .on_store(move |store| {
                store.quarantine_for_good(&upload_id, &system_id, &reason, &seen)
            })
            .await?;
        self.count_quarantined().await
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
    pub(crate) async fn stop(mut self) {
        self.shared.stop.cancel();
        self.queue.clear();
        while let Some(ended) = self.tasks.join_next().await {
            if let Ok((ended, permit)) = ended {
                // What cannot be noted now is found again.
                let _ = self.settle(ended, permit).await;
            }
        }
        self.show_load();
        let Self { merger, thread, .. } = self;
        drop(merger);
        let _ = thread.await;
    }

    /// Returns the time of this machine.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.shared.intake.store().sources().clock.now()
    }
}

/// The end of a look.
#[derive(Debug)]
pub(crate) struct Looked {
    pub(crate) look: Look,
    pub(crate) result: Result<(), SyncError>,
}

/// Notes in a report what became of an upload.
pub(crate) fn note(report: &mut PullReport, outcome: &Report) {
    match outcome {
        Report::Merged(intaken) => {
            report.uploads_merged += 1;
            report.bytes_transferred += intaken.bytes;
            for (item, reason) in &intaken.refused {
                let reason = format!("memory `{item}`: {reason}");
                report.set_aside(&intaken.system_id, &intaken.upload_id, reason);
            }
        }
        Report::SetAside(candidate, reason) => {
            report.set_aside(&candidate.system_id, &candidate.upload_id, reason.clone());
        }
        Report::Vault(error) => {
            report.error.get_or_insert_with(|| error.to_string());
        }
        Report::Nothing | Report::Gone | Report::Store(_) => {}
    }
}

/// Returns when an upload is tried again that was set aside so often.
fn next_try(now: DateTime<Utc>, attempts: u32) -> DateTime<Utc> {
    let doubled = 1_i32
        .checked_shl(attempts.saturating_sub(1))
        .filter(|doubled| *doubled > 0)
        .unwrap_or(i32::MAX);
    let pause = FIRST_RETRY.checked_mul(doubled).unwrap_or(LAST_RETRY);
    now + pause.min(LAST_RETRY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_bound() {
        let start = DateTime::from_timestamp(0, 0).unwrap();
        let pause = |attempts| (next_try(start, attempts) - start).num_minutes();
        assert_eq!(
            [1, 2, 3, 9, 10, 31, 32, 33, 1000].map(pause),
            [1, 2, 4, 256, 360, 360, 360, 360, 360]
        );
    }
}
