//! The HTTP server: MCP over streamable HTTP, and whether the server is alive and ready.
//!
//! One task works through the queue, one listens for signals; both end with the server. Stopping
//! means: refuse new connections, finish the requests at work, drain the queue for at most
//! `shutdown_grace_seconds`, end.

mod drain;
mod error;
mod listen;
mod probe;
mod problem;
mod router;
mod stop;
#[cfg(test)]
mod tests;

use std::io::Write as _;
use std::sync::Arc;

use akosha_mcp::{AkoshaServer, Origin, StoreHandle, watch_queue};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use drain::Drainer;
pub(crate) use error::ServeError;
use stop::Stop;

/// How the server is started.
#[derive(Debug, Clone)]
pub(crate) struct ServeOptions {
    /// `HOST:PORT`; port 0 takes a free one. The host must be a loopback address.
    pub(crate) listen: String,
}

/// Serves until a signal says stop. Says on standard error where it listens.
///
/// # Errors
/// Fails where the address is none, is not a loopback address or is taken, or where a second
/// signal cut the stop short.
pub(crate) async fn run(options: ServeOptions, store: StoreHandle) -> Result<(), ServeError> {
    let listener = listen::bind(&options.listen).await?;
    let address = listener.local_addr().map_err(ServeError::Io)?;
    let stop = Stop::new();
    let signals = tokio::spawn(stop::on_signals(stop.clone()));
    // Whoever started the server reads the port here, whatever the log level.
    let _ = writeln!(std::io::stderr(), "listening on http://{address}");
    let served = serve(listener, store, stop).await;
    signals.abort();
    served
}

/// Serves `listener` until `stop` is asked for.
async fn serve(listener: TcpListener, store: StoreHandle, stop: Stop) -> Result<(), ServeError> {
    let port = listener.local_addr().map_err(ServeError::Io)?.port();
    store.warm_up();
    let drainer = Drainer::start(store.clone());
    let watching = CancellationToken::new();
    let watch = tokio::spawn(watch_queue(
        store.clone(),
        Arc::new(drainer.signal()),
        watching.clone(),
    ));
    let server = AkoshaServer::new(
        store.clone(),
        Arc::new(drainer.signal()),
        Origin::Http { bound: None },
    );
    let sessions = CancellationToken::new();
    let app = router::build(server, store.clone(), port, &stop, &sessions);
    let serving = axum::serve(listener, app).with_graceful_shutdown({
        let asked = stop.asked.clone();
        async move { asked.cancelled().await }
    });
    let ended = tokio::select! {
        ended = stop::within_grace(serving.into_future(), &stop, &store) => ended,
        () = stop.forced.cancelled() => Err(ServeError::Forced),
    };
    watching.cancel();
    sessions.cancel();
    let _ = watch.await;
    let deadline = ended?;
    tokio::select! {
        () = drainer.finish(deadline) => Ok(()),
        () = stop.forced.cancelled() => Err(ServeError::Forced),
    }
}
