//! Work that must go on although this process ends: who does it, and when it is started.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::StoreHandle;
use crate::handle::blocking;

/// Longest time between two looks at the queue and the counts: other processes of the home write too.
const POLL: Duration = Duration::from_secs(30);

/// Shortest time between two looks, however soon a job is due.
const LEAST_PAUSE: Duration = Duration::from_millis(200);

/// Starts what works through the queue: a detached child of a stdio server, a task of `serve`.
pub trait BackgroundDrain: Send + Sync {
    /// Starts it and returns when it is on its way, so that a process killed right after leaves it
    /// running. May block for as long as starting a process takes. Called again while one works,
    /// it does no harm.
    fn start(&self);

    /// Returns whether what was started still works. Where that cannot be told, it does not.
    fn is_at_work(&self) -> bool {
        false
    }
}

/// Starts the drain when a job is due, at first and while the server runs, until cancelled. Also sees
/// to it that the store's counts are complete.
pub async fn watch_queue(
    store: StoreHandle,
    background: Arc<dyn BackgroundDrain>,
    cancel: CancellationToken,
) {
    tokio::join!(watch(&store, &background, &cancel), count(&store, &cancel));
}

async fn watch(
    store: &StoreHandle,
    background: &Arc<dyn BackgroundDrain>,
    cancel: &CancellationToken,
) {
    loop {
        let pause = tokio::select! {
            () = cancel.cancelled() => return,
            pause = look(store, background) => pause,
        };
        tokio::select! {
            () = cancel.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Adds what the store's counts lack: after an upgrade, or beside a process of an older version.
async fn count(store: &StoreHandle, cancel: &CancellationToken) {
    loop {
        tokio::select! {
            () = cancel.cancelled() => return,
            () = derive(store, cancel) => {}
        }
        tokio::select! {
            () = cancel.cancelled() => return,
            () = tokio::time::sleep(POLL) => {}
        }
    }
}

/// Starts the drain if a job is due; returns how long to wait before the next look.
async fn look(handle: &StoreHandle, background: &Arc<dyn BackgroundDrain>) -> Duration {
    let Ok((store, _)) = handle.get().await else {
        return POLL;
    };
    let background = Arc::clone(background);
    let looked = blocking(move || {
        if store.has_due_job()? {
            background.start();
            return Ok(POLL);
        }
        let now = store.sources().clock.now();
        let due = store.next_due()?;
        Ok::<_, akosha_store::StoreError>(due.map_or(POLL, |due| {
            let until = (due - now).to_std().unwrap_or(Duration::ZERO);
            until.clamp(LEAST_PAUSE, POLL)
        }))
    })
    .await;
    looked.unwrap_or_else(|error| {
        tracing::warn!(%error, "the queue cannot be read");
        POLL
    })
}

async fn derive(handle: &StoreHandle, cancel: &CancellationToken) {
    let Ok((_, syncer)) = handle.get().await else {
        return;
    };
    if let Err(error) = syncer.derive(cancel).await {
        tracing::warn!(%error, "what the store holds was not counted");
    }
}
