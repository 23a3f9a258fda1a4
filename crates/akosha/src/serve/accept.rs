//! Takes connections in and serves each until it ends, breaks a limit, or the server stops.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use super::body::{Held, Patient, Stalled};
use super::connection::{Connection, Entry, Limits, Noted, Registry};
use super::guard::Peer;
use super::problem;
use super::tls::Tls;

/// Longest head of a request in bytes that is read for sure. One read may bring more than that, so up
/// to twice as much may pass.
const MAX_HEAD: usize = 64 << 10;

/// Pause after the system refused a connection, for want of files most likely.
const PAUSE: Duration = Duration::from_millis(100);

/// How often such a refusal is told.
const TELL_AGAIN: Duration = Duration::from_secs(10);

/// What connections are served with.
#[derive(Clone)]
pub(super) struct Service {
    /// Answers requests.
    pub(super) app: Router,
    /// Where https is spoken.
    pub(super) tls: Option<Tls>,
    /// How long what may take.
    pub(super) limits: Limits,
}

/// Takes in connections until `closing` is cancelled, then ends them: those at work after their
/// answer. Returns when all ended.
pub(super) async fn run(listener: TcpListener, service: Service, closing: CancellationToken) {
    let registry = Registry::new(service.limits.connections);
    let connections = TaskTracker::new();
    let mut told = None;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = closing.cancelled() => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                if let Some(entry) = registry.enter() {
                    let serving = serve(stream, peer, entry, service.clone(), closing.clone());
                    connections.spawn(serving);
                }
            }
            // The client went away before it was taken in.
            Err(error) if is_of_client(&error) => {}
            Err(error) => {
                let now = Instant::now();
                if told.is_none_or(|told| now - told > TELL_AGAIN) {
                    tracing::error!(%error, "cannot take a connection in; going on");
                    told = Some(now);
                }
                registry.make_room();
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

fn is_of_client(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
    )
}

/// Serves one connection.
async fn serve(
    stream: TcpStream,
    peer: SocketAddr,
    entry: Entry,
    service: Service,
    closing: CancellationToken,
) {
    // Answers are written whole: waiting for more to send only delays them.
    let _ = stream.set_nodelay(true);
    let connection = Arc::clone(&entry.0);
    let Some(tls) = &service.tls else {
        return talk(stream, peer, connection, service, closing).await;
    };
    let shaken = tokio::select! {
        shaken = tokio::time::timeout(service.limits.head, tls.acceptor().accept(stream)) => shaken,
        () = connection.close.cancelled() => return,
        () = closing.cancelled() => return,
    };
    match shaken {
        Ok(Ok(stream)) => talk(stream, peer, connection, service, closing).await,
        Ok(Err(error)) => tracing::debug!(%peer, %error, "no TLS"),
        Err(_) => tracing::debug!(%peer, "the TLS handshake took too long"),
    }
}

/// Answers the requests of a connection.
async fn talk(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: SocketAddr,
    connection: Arc<Connection>,
    service: Service,
    closing: CancellationToken,
) {
    let Service { app, limits, .. } = service;
    let answering = service_fn({
        let connection = Arc::clone(&connection);
        move |request| answer(app.clone(), request, peer, Arc::clone(&connection), limits)
    });
    let mut builder = http1::Builder::new();
    // Deadlines are kept here, where a head and the pause before it are told apart.
    builder
        .max_buf_size(MAX_HEAD)
        .header_read_timeout(None)
        .half_close(false);
    let stream = TokioIo::new(Noted::new(stream, Arc::clone(&connection)));
    let mut talking = std::pin::pin!(builder.serve_connection(stream, answering));
    let mut ending = false;
    loop {
        let deadline = connection.deadline(&limits);
        let overdue = async {
            match deadline {
                Some(deadline) => tokio::time::sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            ended = talking.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%peer, %error, "a connection broke");
                }
                return;
            }
            () = connection.close.cancelled() => return,
            () = closing.cancelled(), if !ending => {
                ending = true;
                talking.as_mut().graceful_shutdown();
            }
            () = connection.changed.notified() => {}
            () = overdue => {
                // What it waited for may have come, and another deadline count now.
                let ends = connection.deadline(&limits);
                if ends.is_some_and(|ends| ends <= Instant::now()) {
                    return;
                }
            }
        }
    }
}

/// Answers one request.
async fn answer(
    app: Router,
    request: Request<Incoming>,
    peer: SocketAddr,
    connection: Arc<Connection>,
    limits: Limits,
) -> Result<Response<Body>, Infallible> {
    let busy = connection.busy();
    let stalled = Stalled::default();
    let mut request = request.map(|body| Body::new(Patient::new(body, &limits, stalled.clone())));
    request.extensions_mut().insert(Peer(peer));
    let response = app.oneshot(request).await?;
    let response = if stalled.happened() {
        let detail = "the body came too slowly; send it again";
        let mut response = problem::answer(StatusCode::REQUEST_TIMEOUT, detail);
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(header::CONNECTION, close);
        response
    } else {
        response
    };
    Ok(response.map(|body| Body::new(Held::new(body, busy))))
}
