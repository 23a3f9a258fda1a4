//! The HTTP server: MCP over streamable HTTP, and whether the server is alive and ready.
//!
//! Tasks work beside the requests under one supervisor, and no request depends on them. Stopping
//! means: `/ready` says no and new work is refused, the requests at work are finished, the queue is
//! drained, all within `shutdown_grace_seconds`; then the port is given back.

mod accept;
mod body;
#[cfg(feature = "conformance")]
mod conformance;
mod connection;
mod dashboard;
mod drain;
mod error;
mod files;
mod listen;
mod metrics;
mod probe;
mod problem;
mod router;
mod stop;
mod supervisor;
#[cfg(test)]
mod tests;
mod tls;

use std::io::Write as _;
use std::time::Duration;

use akosha_core::config::Config;
use akosha_mcp::{AkoshaServer, Origin, StoreHandle, watch_queue};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use accept::Service;
use connection::Limits;
use drain::Drainer;
pub(crate) use error::ServeError;
use stop::{Gate, Stop};
use supervisor::Supervisor;
use tls::Tls;

/// How long connections have to end once nothing is left to do.
const CLOSE: Duration = Duration::from_secs(1);

/// How the server is started.
#[derive(Debug, Clone)]
pub(crate) struct ServeOptions {
    /// `HOST:PORT`; port 0 takes a free one. The host must be a loopback address.
    pub(crate) listen: String,
    /// The settings.
    pub(crate) config: Config,
}

/// Serves until a signal says stop. Says on standard error where it listens.
///
/// # Errors
/// Fails where the address is none, is not a loopback address or is taken, where the certificate
/// cannot be used, or where a second signal cut the stop short.
pub(crate) async fn run(options: ServeOptions, store: StoreHandle) -> Result<(), ServeError> {
    let config = &options.config;
    let tls = Tls::load(&config.tls_cert, &config.tls_key)?;
    let wanted = config.max_connections as usize;
    let limits = Limits {
        connections: files::connections(wanted),
        ..Limits::default()
    };
    if limits.connections < wanted {
        tracing::warn!(
            connections = limits.connections,
            "the system allows fewer open files than `max_connections` asks for"
        );
    }
    let listener = listen::bind(&options.listen).await?;
    let address = listener.local_addr().map_err(ServeError::Io)?;
    let stop = Stop::new();
    let signals = tokio::spawn(stop::on_signals(stop.clone()));
    // Whoever started the server reads the port here, whatever the log level.
    let scheme = if tls.is_some() { "https" } else { "http" };
    let _ = writeln!(std::io::stderr(), "listening on {scheme}://{address}");
    let served = serve(Setup {
        listener,
        store,
        stop,
        limits,
        tls,
        tasks: Supervisor::default(),
    });
    let served = served.await;
    signals.abort();
    served
}

/// What a server is made of.
struct Setup {
    listener: TcpListener,
    store: StoreHandle,
    stop: Stop,
    limits: Limits,
    tls: Option<Tls>,
    tasks: Supervisor,
}

/// Serves until it is asked to stop.
async fn serve(setup: Setup) -> Result<(), ServeError> {
    let Setup {
        listener,
        store,
        stop,
        limits,
        tls,
        tasks,
    } = setup;
    let port = listener.local_addr().map_err(ServeError::Io)?.port();
    // Before anything records.
    metrics::install();
    store.warm_up();
    // Requests may queue jobs to their end, so the queue is watched until then.
    let last = CancellationToken::new();
    let drainer = Drainer::new(store.clone());
    start_tasks(&tasks, &store, &drainer, tls.as_ref(), &stop, &last);
    let server = AkoshaServer::new(
        store.clone(),
        drainer.signal(),
        Origin::Http { bound: None },
    );
    let sessions = CancellationToken::new();
    let gate = Gate::new(&stop);
    let app = router::build(server, store.clone(), port, &stop, &gate, &sessions);
    let closing = CancellationToken::new();
    let service = Service { app, tls, limits };
    let mut accepting = tokio::spawn(accept::run(listener, service, closing.clone()));
    let stopping = async {
        let deadline = stop::requests_done(&gate, &store).await;
        sessions.cancel();
        last.cancel();
        tasks.finish(deadline, || drainer.interrupt()).await;
        closing.cancel();
        if tokio::time::timeout(CLOSE, &mut accepting).await.is_err() {
            accepting.abort();
        }
    };
    tokio::select! {
        () = stopping => Ok(()),
        () = stop.forced.cancelled() => Err(ServeError::Forced),
    }
}

/// Starts what works beside the requests.
fn start_tasks(
    tasks: &Supervisor,
    store: &StoreHandle,
    drainer: &Drainer,
    tls: Option<&Tls>,
    stop: &Stop,
    last: &CancellationToken,
) {
    tasks.start("queue", last.clone(), {
        let drainer = drainer.clone();
        move |until| drainer.clone().work(until)
    });
    tasks.start("queue_watch", last.clone(), {
        let (store, signal) = (store.clone(), drainer.signal());
        move |until| {
            let (store, signal) = (store.clone(), signal.clone());
            async move {
                watch_queue(store, signal, until).await;
                Ok(())
            }
        }
    });
    tasks.start("metrics", last.clone(), |until| async move {
        metrics::upkeep(until).await;
        Ok(())
    });
    if let Some(tls) = tls {
        let tls = tls.clone();
        tasks.start("tls_reload", stop.asked.clone(), move |until| {
            tls.clone().watch(until)
        });
    }
}
