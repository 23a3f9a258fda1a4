//! Keeps what a store answers fast from complete: off the path of whoever asks or stores.

use std::time::{Duration, Instant};

use akosha_store::Store;
use tokio_util::sync::CancellationToken;

use crate::disk::on_disk;
use crate::{SyncError, Syncer};

/// Shortest pause between two steps; others that wait to write have their turn in it.
const LEAST_PAUSE: Duration = Duration::from_millis(20);

impl Syncer {
    /// Adds what [derived tables](Store::derive_some) lack, step by step, until they lack nothing or
    /// it is cancelled. Costs one look where they lack nothing. Half of the time is left to others.
    ///
    /// # Errors
    /// Fails where the store does; what is added stays.
    pub async fn derive(&self, cancel: &CancellationToken) -> Result<(), SyncError> {
        loop {
            let started = Instant::now();
            if !on_disk(self.store(), Store::derive_some).await? {
                return Ok(());
            }
            tokio::select! {
                () = tokio::time::sleep(started.elapsed().max(LEAST_PAUSE)) => {}
                () = cancel.cancelled() => return Ok(()),
            }
        }
    }

    /// Does so until a job is due. What fails is logged, and tried again by the next who has time.
    pub(crate) async fn derive_until_due(&self, claimed: &Store, cancel: &CancellationToken) {
        tokio::select! {
            derived = self.derive(cancel) => if let Err(error) = derived {
                tracing::warn!(%error, "what the store holds was not counted");
            },
            () = self.job_comes(claimed) => {}
        }
    }
}
