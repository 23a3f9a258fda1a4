//! Stopping: by the first signal in order, by the second at once.

use std::future::Future;
use std::time::Duration;

use akosha_mcp::StoreHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::ServeError;

/// How long stopping may take where the configuration was never read.
const DEFAULT_GRACE: Duration = Duration::from_secs(30);

/// What was asked of the server.
#[derive(Debug, Clone, Default)]
pub(super) struct Stop {
    /// To stop in order.
    pub(super) asked: CancellationToken,
    /// To stop at once.
    pub(super) forced: CancellationToken,
}

impl Stop {
    /// Creates the state in which nothing is asked.
    pub(super) fn new() -> Self {
        Self::default()
    }
}

/// Asks to stop at the first signal, and at once at the second. Signals are caught from the call
/// on, not only from the first poll. Must be called within a runtime.
pub(super) fn on_signals(stop: Stop) -> impl Future<Output = ()> + Send {
    let caught = Signals::catch();
    async move {
        let mut signals = match caught {
            Ok(signals) => signals,
            Err(error) => {
                tracing::warn!(%error, "signals cannot be caught: only a kill ends the server");
                return;
            }
        };
        signals.next().await;
        tracing::info!("stopping; a second signal ends at once");
        stop.asked.cancel();
        signals.next().await;
        stop.forced.cancel();
    }
}

/// Ctrl-C and, on Unix, SIGTERM. None is lost between two waits.
#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn catch() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Ctrl-C and the closing of the console.
#[cfg(windows)]
struct Signals {
    interrupt: tokio::signal::windows::CtrlC,
    close: tokio::signal::windows::CtrlClose,
}

#[cfg(windows)]
impl Signals {
    fn catch() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: tokio::signal::windows::ctrl_c()?,
            close: tokio::signal::windows::ctrl_close()?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.close.recv() => {}
        }
    }
}

/// Returns how long stopping may take.
fn grace(store: &StoreHandle) -> Duration {
    match store.opened_now() {
        Some((_, syncer)) => syncer.config().config.shutdown_grace,
        None => DEFAULT_GRACE,
    }
}

/// Runs the server; once it is asked to stop, its requests have the grace to end. Returns when
/// the grace is over, for what is to be done in the rest of it.
pub(super) async fn within_grace(
    serving: impl Future<Output = std::io::Result<()>>,
    stop: &Stop,
    store: &StoreHandle,
) -> Result<Instant, ServeError> {
    let mut serving = std::pin::pin!(serving);
    tokio::select! {
        ended = &mut serving => {
            ended.map_err(ServeError::Io)?;
            return Ok(Instant::now() + grace(store));
        }
        () = stop.asked.cancelled() => {}
    }
    let deadline = Instant::now() + grace(store);
    if let Ok(ended) = tokio::time::timeout_at(deadline, serving).await {
        ended.map_err(ServeError::Io)?;
    } else {
        tracing::warn!("requests were still at work at the end of the grace");
    }
    Ok(deadline)
}
