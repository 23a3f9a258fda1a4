//! What becomes of an upload once the work on it has ended.

use std::time::Duration;

use akosha_sync::breaker::Permit;
use akosha_sync::intake::{Candidate, Fault, Intaken};
use akosha_sync::{PullReport, SyncError};
use chrono::{DateTime, TimeDelta, Utc};
use tokio::task::{self, JoinError};
use tokio::time::Instant;

use super::Engine;
use crate::record;
use crate::suspects::Blame;
use crate::task::{Ended, Outcome};

/// Pause before an upload is looked at again that another replica has: by then the ledger of the
/// store that they share mostly says that it is merged.
const TAKEN_PAUSE: Duration = Duration::from_millis(500);

/// Pause before an upload is read again that the vault did not give.
const VAULT_PAUSE: Duration = Duration::from_secs(5);

/// Pause before an upload is tried again that may pass later, doubled each time.
const FIRST_RETRY: TimeDelta = TimeDelta::minutes(1);

/// Longest such pause.
const LAST_RETRY: TimeDelta = TimeDelta::hours(6);

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
    /// Settles the end of a task; where that ended without a result, its upload is set aside.
    ///
    /// # Errors
    /// Fails where the store cannot note it.
    pub(crate) async fn joined(
        &mut self,
        joined: Result<(task::Id, (Ended, Permit)), JoinError>,
    ) -> Result<Report, SyncError> {
        match joined {
            Ok((id, (ended, permit))) => {
                self.working.remove(&id);
                self.settle(ended, permit).await
            }
            Err(error) => {
                tracing::error!(%error, "the work on an upload ended without a result");
                let Some(candidate) = self.working.remove(&error.id()) else {
                    return Ok(Report::Nothing);
                };
                self.queue.finish(&candidate);
                let reason = format!("a defect of Akosha: {error}");
                self.set_aside(&candidate, &reason).await?;
                Ok(Report::SetAside(candidate, reason))
            }
        }
    }

    /// Settles what became of an upload.
    ///
    /// # Errors
    /// Fails where the store cannot note it.
    async fn settle(&mut self, ended: Ended, permit: Permit) -> Result<Report, SyncError> {
        let Ended {
            candidate,
            outcome,
            took,
        } = ended;
        let blame = self.blame(&candidate, &outcome, permit);
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
            Outcome::Failed(Fault::Vault(error)) => self.unanswered(candidate, error, blame).await,
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

    /// Tells the breaker of the vault what the end of the work on an upload says of the vault, and
    /// returns who is to blame where the vault failed at it.
    fn blame(&mut self, candidate: &Candidate, outcome: &Outcome, permit: Permit) -> Blame {
        match outcome {
            Outcome::Failed(Fault::Vault(error)) => {
                let blame = self.suspects.failed(candidate);
                if blame == Blame::Vault {
                    permit.failed(&error.to_string());
                }
                return blame;
            }
            Outcome::Left | Outcome::Failed(Fault::Store(_)) => {}
            // It had to be asked for its lease alone.
            Outcome::Taken => permit.succeeded(),
            _ => {
                self.suspects.answered();
                self.suspects.clear(candidate);
                permit.succeeded();
            }
        }
        Blame::Vault
    }

    /// Puts an upload back that the vault did not give, or sets it aside where it is alone in that.
    async fn unanswered(
        &mut self,
        candidate: Candidate,
        error: SyncError,
        blame: Blame,
    ) -> Result<Report, SyncError> {
        let shown = error.to_string();
        self.board.update(|it| it.last_error = Some(shown.clone()));
        if !self.is_patient {
            record::ended("retried");
            self.queue.finish(&candidate);
            return Ok(Report::Vault(error));
        }
        if blame == Blame::UploadForLong {
            self.queue.finish(&candidate);
            self.set_aside(&candidate, &shown).await?;
            return Ok(Report::SetAside(candidate, shown));
        }
        record::ended("retried");
        self.queue.put_back(candidate, Instant::now(), VAULT_PAUSE);
        Ok(Report::Vault(error))
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
