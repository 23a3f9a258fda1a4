//! Stopping: by the first signal in order, by the second at once.

use std::future::Future;
use std::time::Duration;

use akosha_mcp::StoreHandle;
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

/// Asks to stop at the first signal, and at once at the second.
pub(super) async fn on_signals(stop: Stop) {
    if let Err(error) = signal().await {
        tracing::warn!(%error, "signals cannot be caught: only a kill ends the server");
        return;
    }
    tracing::info!("stopping: a second signal ends at once");
    stop.asked.cancel();
    if signal().await.is_ok() {
        stop.forced.cancel();
    }
}

/// Waits for Ctrl-C or, on Unix, SIGTERM.
async fn signal() -> std::io::Result<()> {
    #[cfg(unix)]
    {
        let mut terminate =
            tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        tokio::select! {
            interrupted = tokio::signal::ctrl_c() => interrupted,
            _ = terminate.recv() => Ok(()),
        }
    }
    #[cfg(not(unix))]
    {
        tokio::signal::ctrl_c().await
    }
}

/// Returns how long stopping may take.
pub(super) fn grace(store: &StoreHandle) -> Duration {
    match store.opened_now() {
        Some((_, syncer)) => syncer.config().config.shutdown_grace,
        None => DEFAULT_GRACE,
    }
}

/// Runs the server; once it is asked to stop, its requests have the grace to end.
pub(super) async fn within_grace(
    serving: impl Future<Output = std::io::Result<()>>,
    stop: &Stop,
    store: &StoreHandle,
) -> Result<(), ServeError> {
    let late = async {
        stop.asked.cancelled().await;
        tokio::time::sleep(grace(store)).await;
    };
    tokio::select! {
        ended = serving => ended.map_err(ServeError::Io),
        () = late => {
            tracing::warn!("requests were still at work at the end of the grace");
            Ok(())
        }
    }
}
