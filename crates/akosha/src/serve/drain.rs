//! The task of the server that works through the queue.

use std::sync::Arc;
use std::time::Duration;

use akosha_mcp::{BackgroundDrain, StoreHandle};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How long an interrupted sync has to leave the queue in order.
const LAST: Duration = Duration::from_secs(2);

/// The task that drains, and the ways to wake and to end it.
pub(super) struct Drainer {
    wake: Arc<Notify>,
    /// Ends the task after the job at work.
    last: CancellationToken,
    /// Interrupts the job at work; it stays in the queue.
    now: CancellationToken,
    task: JoinHandle<()>,
}

/// Wakes the task.
pub(super) struct Signal(Arc<Notify>);

impl BackgroundDrain for Signal {
    fn start(&self) {
        self.0.notify_one();
    }
}

impl Drainer {
    /// Starts the task; it sleeps until it is woken.
    pub(super) fn start(store: StoreHandle) -> Self {
        let wake = Arc::new(Notify::new());
        let last = CancellationToken::new();
        let now = CancellationToken::new();
        let task = tokio::spawn(work(store, Arc::clone(&wake), last.clone(), now.clone()));
        Self {
            wake,
            last,
            now,
            task,
        }
    }

    /// Returns what wakes the task.
    pub(super) fn signal(&self) -> Signal {
        Signal(Arc::clone(&self.wake))
    }

    /// Drains what is due until `deadline`, then ends the task. What is left stays queued.
    pub(super) async fn finish(mut self, deadline: Instant) {
        self.last.cancel();
        let drained = tokio::time::timeout_at(deadline, &mut self.task).await;
        if drained.is_err() {
            tracing::warn!("a sync was still at work at the end of the grace; it stays queued");
            self.now.cancel();
            // What was interrupted ends at its next request.
            let _ = tokio::time::timeout(LAST, &mut self.task).await;
        }
    }
}

/// Drains whenever it is woken, and once more at the end.
async fn work(
    store: StoreHandle,
    wake: Arc<Notify>,
    last: CancellationToken,
    now: CancellationToken,
) {
    while !last.is_cancelled() {
        tokio::select! {
            () = last.cancelled() => {}
            () = wake.notified() => {}
        }
        drain(&store, &now).await;
    }
}

async fn drain(store: &StoreHandle, cancel: &CancellationToken) {
    let Some((_, syncer)) = store.opened_now() else {
        return;
    };
    if let Err(error) = syncer.drain(cancel).await {
        tracing::warn!(%error, "the queue could not be drained");
    }
}
