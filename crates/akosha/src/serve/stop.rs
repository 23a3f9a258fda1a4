//! Stopping: by the first signal in order, by the second at once.

use std::future::Future;
use std::time::Duration;

use akosha_mcp::StoreHandle;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::body::Held;
use super::problem;

/// How long stopping may take where the configuration was never read.
const DEFAULT_GRACE: Duration = Duration::from_secs(30);

/// What is kept of the grace for tasks to end and the queue to be drained where requests do not end;
/// at most a third of it.
const REST: Duration = Duration::from_secs(10);

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

/// Waits until the server is asked to stop and its requests ended, for which they have the grace
/// but for what [`REST`] keeps of it. Returns when the grace is over.
pub(super) async fn requests_done(gate: &Gate, store: &StoreHandle) -> Instant {
    gate.stopping.cancelled().await;
    let grace = grace(store);
    let deadline = Instant::now() + grace;
    gate.requests.close();
    let rest = REST.min(grace / 3);
    let done = tokio::time::timeout_at(deadline - rest, gate.requests.wait());
    if done.await.is_err() {
        tracing::warn!("requests were still at work when the tasks had to end");
    }
    deadline
}

/// Lets requests in until the server stops. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Gate {
    stopping: CancellationToken,
    requests: TaskTracker,
}

impl Gate {
    /// Creates the gate that closes where `stop` is asked for.
    pub(super) fn new(stop: &Stop) -> Self {
        Self {
            stopping: stop.asked.clone(),
            requests: TaskTracker::new(),
        }
    }
}

/// Passes a request on, or answers that the server stops. What is let in is waited for until its
/// answer is sent.
pub(super) async fn let_in(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    let at_work = gate.requests.token();
    if gate.stopping.is_cancelled() {
        let detail = "the server stops; ask again in a moment";
        let mut refused = problem::answer(StatusCode::SERVICE_UNAVAILABLE, detail);
        let headers = refused.headers_mut();
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        return refused;
    }
    let response = next.run(request).await;
    response.map(|body| Body::new(Held::new(body, at_work)))
}
