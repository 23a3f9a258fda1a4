//! Keeps a lease while work goes on.

use std::time::Duration;

use akosha_store::{Fence, Lease, Store};
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::SyncError;

/// A lease that is renewed until it is released or dropped; a dropped one ends by itself after
/// its [`Kept::TTL`]. Where it is lost, for example because the machine slept, the work under it
/// is cancelled, and what it still does through [`Kept::store`] is refused.
pub(crate) struct Kept {
    work: CancellationToken,
    fence: Fence,
    stop: DropGuard,
    keeper: JoinHandle<Lease>,
}

impl Kept {
    /// How long a lease outlives the process that held it.
    pub(crate) const TTL: Duration = Duration::from_secs(15);

    /// Starts to renew `lease`. Work under it is cancelled with `cancel`, too.
    pub(crate) fn new(lease: Lease, cancel: &CancellationToken) -> Self {
        let work = cancel.child_token();
        let fence = lease.fence();
        let stop = CancellationToken::new();
        let keeper = tokio::spawn(keep(lease, stop.clone(), work.clone()));
        Self {
            work,
            fence,
            stop: stop.drop_guard(),
            keeper,
        }
    }

    /// Returns the token under which work runs.
    pub(crate) fn token(&self) -> &CancellationToken {
        &self.work
    }

    /// Returns a handle of `store` that writes about pushes and jobs only while the lease is held.
    pub(crate) fn store(&self, store: &Store) -> Store {
        store.under(&self.fence)
    }

    /// Stops renewing and gives the lease back.
    pub(crate) async fn stop(self) -> Result<Lease, SyncError> {
        drop(self.stop);
        self.keeper.await.map_err(|_| SyncError::Cancelled)
    }

    /// Ends the lease.
    pub(crate) async fn release(self) -> Result<(), SyncError> {
        let lease = self.stop().await?;
        match tokio::task::spawn_blocking(|| lease.release()).await {
            Ok(result) => Ok(result?),
            Err(_) => Err(SyncError::Cancelled),
        }
    }
}

async fn keep(mut lease: Lease, stop: CancellationToken, work: CancellationToken) -> Lease {
    let pause = lease.ttl() / 3;
    loop {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = stop.cancelled() => return lease,
        }
        let renewing = tokio::task::spawn_blocking(move || {
            let renewed = lease.renew();
            (lease, renewed)
        });
        let Ok((kept, renewed)) = renewing.await else {
            // A blocking task is lost only while the runtime goes down, and this task with it.
            return std::future::pending().await;
        };
        lease = kept;
        // A store that is busy for once is asked again before the lease ends.
        if matches!(renewed, Ok(false)) {
            work.cancel();
        }
    }
}
