//! The HTTP server: MCP over streamable HTTP, and whether the server is alive and ready.
//!
//! Tasks work beside the requests under one supervisor, and no request depends on them. Stopping
//! means: `/ready` says no and new work is refused, the requests at work are finished, the queue is
//! drained, all within `shutdown_grace_seconds`; then the port is given back.

mod accept;
mod audit;
mod body;
#[cfg(feature = "conformance")]
mod conformance;
mod connection;
mod dashboard;
mod drain;
mod error;
mod files;
mod guard;
mod intake;
mod listen;
mod mcp;
mod metrics;
mod node;
mod probe;
mod problem;
mod rest;
mod router;
mod stop;
mod supervisor;
#[cfg(test)]
mod tests;
mod tls;

use std::future::Future;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use akosha_core::Sources;
use akosha_core::config::Config;
use akosha_mcp::{StoreHandle, watch_queue};
use akosha_store::Standing;
use akosha_sync::breaker::Breakers;
use tokio::net::TcpListener;
use tokio::sync::OnceCell;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use accept::Service;
use audit::Audit;
use connection::Limits;
use drain::Drainer;
pub(crate) use error::ServeError;
use guard::{Guard, Hosts};
use node::Node;
use probe::Readiness;
use stop::{Gate, Stop};
use supervisor::Supervisor;
use tls::Tls;

/// How long connections have to end once nothing is left to do.
const CLOSE: Duration = Duration::from_secs(1);

/// How the server is started.
#[derive(Debug, Clone)]
pub(crate) struct ServeOptions {
    /// `HOST:PORT`; port 0 takes a free one.
    pub(crate) listen: String,
    /// The folder that holds the store.
    pub(crate) home: PathBuf,
    /// The settings.
    pub(crate) config: Config,
    /// What the store's syncer leaves alone for a while when it fails.
    pub(crate) breakers: Breakers,
}

/// Serves until a signal says stop. Says on standard error where it listens.
///
/// # Errors
/// Fails where the address is none or is taken, where others can reach it and there is no token to
/// ask for, where the certificate cannot be used, or where a second signal cut the stop
/// short.
pub(crate) async fn run(options: ServeOptions, store: StoreHandle) -> Result<(), ServeError> {
    let config = &options.config;
    let tls = Tls::load(&config.tls_cert, &config.tls_key)?;
    let addresses = listen::Addresses::find(&options.listen).await?;
    let mut warnings = Vec::new();
    if let Some(public) = addresses.public() {
        require_token(&store, ServeError::NotLoopback(public.clone())).await?;
        if tls.is_none() && !config.allow_insecure_http {
            warnings.push(format!(
                "tokens and memories go over {public} in the clear: set `tls_cert` and `tls_key`, \
                 or `allow_insecure_http = true` where a proxy in front speaks https"
            ));
        }
    } else if let Some(name) = config.allowed_hosts.first() {
        require_token(&store, ServeError::Named(name.clone())).await?;
    }
    let wanted = config.max_connections as usize;
    let limits = Limits {
        connections: files::connections(wanted),
        ..Limits::default()
    };
    if limits.connections < wanted {
        warnings.push(format!(
            "the system lets this process have fewer open files than `max_connections` asks for: \
             {} connections are served",
            limits.connections
        ));
    }
    let listener = addresses.bind().await?;
    let address = listener.local_addr().map_err(ServeError::Io)?;
    let stop = Stop::new();
    let signals = tokio::spawn(stop::on_signals(stop.clone()));
    // Whoever started the server reads these here, whatever the log level.
    for warning in &warnings {
        let _ = writeln!(std::io::stderr(), "warning: {warning}");
    }
    let scheme = if tls.is_some() { "https" } else { "http" };
    let _ = writeln!(std::io::stderr(), "listening on {scheme}://{address}");
    let served = serve(Setup {
        listener,
        options,
        store,
        stop,
        limits,
        tls,
        tasks: Supervisor::default(),
        warnings,
    });
    let served = served.await;
    signals.abort();
    served
}

/// Refuses to serve others where there is no token to ask for.
async fn require_token(store: &StoreHandle, without: ServeError) -> Result<(), ServeError> {
    let (store, _) = store.get().await.map_err(ServeError::Tokens)?;
    let now = store.sources().clock.now();
    let tokens = tokio::task::spawn_blocking(move || store.tokens()).await;
    let tokens = tokens.map_err(|error| ServeError::Io(error.into()))?;
    let tokens = tokens.map_err(|error| ServeError::Tokens(error.into()))?;
    if tokens
        .iter()
        .any(|token| token.standing(now) == Standing::Good)
    {
        Ok(())
    } else {
        Err(without)
    }
}

/// What a server is made of.
struct Setup {
    listener: TcpListener,
    options: ServeOptions,
    store: StoreHandle,
    stop: Stop,
    limits: Limits,
    tls: Option<Tls>,
    tasks: Supervisor,
    warnings: Vec<String>,
}

/// Serves until it is asked to stop.
async fn serve(setup: Setup) -> Result<(), ServeError> {
    let Setup {
        listener,
        options,
        store,
        stop,
        limits,
        tls,
        tasks,
        warnings,
    } = setup;
    let address = listener.local_addr().map_err(ServeError::Io)?;
    // Before anything records.
    metrics::install();
    store.warm_up();
    let clock = Sources::system().clock;
    let audit = Audit::new(&options.home, Arc::clone(&clock));
    let drainer = Drainer::new(store.clone());
    let node = Node::new(node::Inner {
        store: store.clone(),
        background: drainer.signal(),
        breakers: options.breakers.clone(),
        tasks: tasks.clone(),
        audit: audit.clone(),
        warnings,
        started: (clock.now(), Instant::now()),
        worker: OnceCell::new(),
    });
    // Requests may queue jobs to their end, so the queue is watched until then.
    let last = CancellationToken::new();
    start_tasks(&node, &drainer, tls.as_ref(), &stop, &last);
    let readiness = Readiness::new(store.clone(), stop.asked.clone());
    tasks.start("store_watch", last.clone(), {
        let readiness = readiness.clone();
        move |until| readiness.clone().watch(until)
    });
    let sessions = CancellationToken::new();
    let gate = Gate::new(&stop);
    let config = &options.config;
    let hosts = Hosts::new(address, &options.listen, &config.allowed_hosts);
    let per_minute = config.rate_limit_per_minute;
    let guard = Guard::new(store.clone(), hosts, per_minute, audit.clone());
    let app = router::build(&node, readiness, &guard, &gate, sessions.clone());
    let closing = CancellationToken::new();
    let service = Service { app, tls, limits };
    let mut accepting = tokio::spawn(accept::run(listener, service, closing.clone()));
    let stopping = async {
        let deadline = stop::requests_done(&gate, &store).await;
        sessions.cancel();
        last.cancel();
        tasks.finish(deadline, || drainer.interrupt()).await;
        // A disk that hangs must not keep the process.
        let _ = tokio::time::timeout(CLOSE, audit.finish()).await;
    };
    until_stopped(stopping, &stop, &mut accepting).await?;
    closing.cancel();
    if tokio::time::timeout(CLOSE, &mut accepting).await.is_err() {
        accepting.abort();
    }
    Ok(())
}

/// Waits until the server stopped in order. A server that takes no connections is no use to anybody
/// and ends, for whoever runs it to start it again.
async fn until_stopped(
    stopping: impl Future<Output = ()>,
    stop: &Stop,
    accepting: &mut JoinHandle<()>,
) -> Result<(), ServeError> {
    tokio::select! {
        () = stopping => Ok(()),
        () = stop.forced.cancelled() => Err(ServeError::Forced),
        ended = accepting => Err(ServeError::Deaf(match ended {
            Ok(()) => "it ended although nobody asked it to".into(),
            Err(error) => supervisor::panicked(error),
        })),
    }
}

/// Starts what works beside the requests.
fn start_tasks(
    node: &Node,
    drainer: &Drainer,
    tls: Option<&Tls>,
    stop: &Stop,
    last: &CancellationToken,
) {
    let tasks = &node.tasks;
    tasks.start("queue", last.clone(), {
        let drainer = drainer.clone();
        move |until| drainer.clone().work(until)
    });
    tasks.start("queue_watch", last.clone(), {
        let (store, signal) = (node.store.clone(), drainer.signal());
        move |until| {
            let (store, signal) = (store.clone(), signal.clone());
            async move {
                watch_queue(store, signal, until).await;
                Ok(())
            }
        }
    });
    // It gives back what it claims in the vault as soon as the server is to stop.
    tasks.start("ingest", stop.asked.clone(), {
        let node = node.clone();
        move |until| {
            let node = node.clone();
            async move {
                let worker = node.worker().await.map_err(|error| error.to_string())?;
                worker.run(until).await.map_err(|error| error.to_string())
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
