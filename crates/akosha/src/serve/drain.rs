//! The task of the server that works through the queue.

use std::sync::Arc;

use akosha_mcp::{BackgroundDrain, StoreHandle};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Works through the queue, and the ways to wake and to interrupt it. Clones share it.
#[derive(Clone)]
pub(super) struct Drainer {
    store: StoreHandle,
    wake: Arc<Notify>,
    /// Interrupts the job at work; it stays in the queue.
    now: CancellationToken,
}

/// Wakes the task.
pub(super) struct Signal(Arc<Notify>);

impl BackgroundDrain for Signal {
    fn start(&self) {
        self.0.notify_one();
    }
}

impl Drainer {
    /// Creates the drainer of a store.
    pub(super) fn new(store: StoreHandle) -> Self {
        Self {
            store,
            wake: Arc::default(),
            now: CancellationToken::new(),
        }
    }

    /// Returns what wakes the task.
    pub(super) fn signal(&self) -> Arc<dyn BackgroundDrain> {
        Arc::new(Signal(Arc::clone(&self.wake)))
    }

    /// Interrupts the job at work, which ends at its next request and stays queued.
    pub(super) fn interrupt(&self) {
        self.now.cancel();
    }

    /// Drains whenever it is woken, and once more after `until` is cancelled. What is left then
    /// stays queued.
    pub(super) async fn work(self, until: CancellationToken) -> Result<(), String> {
        // What woke it before a failure may not be done.
        self.wake.notify_one();
        while !until.is_cancelled() {
            tokio::select! {
                () = until.cancelled() => {}
                () = self.wake.notified() => {}
            }
            self.drain().await;
        }
        Ok(())
    }

    async fn drain(&self) {
        let Some((_, syncer)) = self.store.opened_now() else {
            return;
        };
        if let Err(error) = syncer.drain(&self.now).await {
            tracing::warn!(%error, "the queue could not be drained");
        }
    }
}
