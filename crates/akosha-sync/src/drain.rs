//! Works through the queue of a home.

use std::time::Duration;

use akosha_core::ErrorKind;
use akosha_store::{DRAIN_NEXT_LEASE, Job, Lease, Store};
use tokio_util::sync::CancellationToken;

use crate::disk::on_disk;
use crate::lease::Kept;
use crate::{NoProgress, SyncError, SyncReport, SyncRequest, Syncer};

/// Pause after a job's first failure; twice as long after each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(30);

/// Longest pause between two tries of a job.
const LONGEST_PAUSE: Duration = Duration::from_hours(1);

/// How often the process that waits looks whether the drainer is done.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

impl Syncer {
    /// Works through the queue until nothing is due, as the only drainer of the home. Returns at
    /// once where another one works and a third waits.
    ///
    /// # Errors
    /// Fails where the store does; failed jobs are on record in it.
    pub async fn drain(&self, cancel: &CancellationToken) -> Result<(), SyncError> {
        let Some(mut lease) = self.drain_lease(cancel).await? else {
            return Ok(());
        };
        loop {
            let kept = Kept::new(lease, cancel);
            let worked = self
                .work_through(&kept.store(self.store()), kept.token())
                .await;
            let stopped = kept.token().is_cancelled();
            lease = kept.stop().await?;
            if worked.is_err() || stopped {
                release(lease).await?;
                return worked;
            }
            let (back, idle) = blocking(move || {
                let idle = lease.release_if_idle();
                (lease, idle)
            })
            .await?;
            if idle? {
                return Ok(());
            }
            lease = back;
        }
    }

    /// Claims the drain lease, waiting for the present drainer unless somebody waits already.
    async fn drain_lease(&self, cancel: &CancellationToken) -> Result<Option<Lease>, SyncError> {
        let try_drain = || on_disk(self.store(), |store| store.try_drain(Kept::TTL));
        if let Some(lease) = try_drain().await? {
            return Ok(Some(lease));
        }
        let next = on_disk(self.store(), |store| {
            store.try_lease(DRAIN_NEXT_LEASE, Kept::TTL)
        });
        let Some(turn) = next.await? else {
            return Ok(None);
        };
        let turn = Kept::new(turn, cancel);
        let mut got = None;
        while !turn.token().is_cancelled() {
            got = try_drain().await?;
            if got.is_some() || !on_disk(self.store(), Store::has_due_job).await? {
                break;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        turn.release().await?;
        Ok(got)
    }

    async fn work_through(
        &self,
        claimed: &Store,
        cancel: &CancellationToken,
    ) -> Result<(), SyncError> {
        while !cancel.is_cancelled() {
            let Some(job) = on_disk(claimed, Store::take_job).await? else {
                // Nobody waits for anything now.
                self.derive_until_due(claimed, cancel).await;
                self.care_if_due(claimed, cancel).await;
                return Ok(());
            };
            self.run_job(claimed, job, cancel).await?;
        }
        Ok(())
    }

    async fn run_job(
        &self,
        claimed: &Store,
        job: Job,
        cancel: &CancellationToken,
    ) -> Result<(), SyncError> {
        let mut report = SyncReport::default();
        match serde_json::from_str::<SyncRequest>(&job.request) {
            Ok(request) => {
                let trigger = job.trigger;
                self.push(claimed, &mut report, &request, trigger, &NoProgress, cancel)
                    .await;
            }
            Err(error) => {
                report.kind = Some(ErrorKind::Data);
                report.error = Some(format!("the job's request cannot be read: {error}"));
            }
        }
        let now = self.store().sources().clock.now();
        on_disk(claimed, move |store| match (report.kind, report.error) {
            (None, _) | (_, None) => {
                tracing::info!(job = %job.job_id, memories = report.memories_uploaded, "synced");
                store.finish_job(&job.job_id)
            }
            (Some(ErrorKind::Cancelled), Some(error)) => store.retry_job(&job.job_id, now, &error),
            (Some(kind), Some(error)) if kind.is_retryable() => {
                tracing::warn!(job = %job.job_id, error, "the sync is tried again later");
                store.retry_job(&job.job_id, now + pause(job.attempts), &error)
            }
            (Some(_), Some(error)) => {
                tracing::error!(job = %job.job_id, error, "the sync is parked");
                store.park_job(&job.job_id, &error, report.hint.as_deref())
            }
        })
        .await
    }
}

fn pause(attempts: u32) -> Duration {
    FIRST_PAUSE
        .saturating_mul(2_u32.saturating_pow(attempts))
        .min(LONGEST_PAUSE)
}

async fn release(lease: Lease) -> Result<(), SyncError> {
    Ok(blocking(|| lease.release()).await??)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, SyncError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| SyncError::of_join(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_an_hour() {
        assert_eq!(pause(0), Duration::from_secs(30));
        assert_eq!(pause(1), Duration::from_mins(1));
        assert_eq!(pause(40), Duration::from_hours(1));
    }
}
