//! The routes of the server.

use akosha_mcp::{AkoshaServer, StoreHandle};
use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use rmcp::ServerHandler;
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use tokio_util::sync::CancellationToken;

use super::dashboard;
use super::metrics::{self, Metrics};
use super::probe::{self, Readiness};
use super::problem;
use super::stop::{self, Gate, Stop};

/// Largest body in bytes: 64 MiB.
pub(super) const MAX_BODY: usize = 64 << 20;

/// Returns the application that listens on `port`. `sessions` ends the requests still at work.
///
/// MCP is served without sessions in every era: any replica can answer any request and a restart
/// costs no client anything. A client cancels a call by closing its connection.
pub(super) fn build(
    server: AkoshaServer,
    store: StoreHandle,
    port: u16,
    stop: &Stop,
    gate: &Gate,
    sessions: &CancellationToken,
) -> Router {
    let hosts = ["localhost", "127.0.0.1", "[::1]"];
    let origins = hosts.map(|host| format!("http://{host}:{port}"));
    // A page of another origin must not reach the server through the user's browser, neither by
    // its own name nor by a name that it lets point here.
    let config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true)
        .with_max_request_body_bytes(MAX_BODY)
        .with_allowed_origins(origins)
        .enforce_origin_validation()
        .with_cancellation_token(sessions.clone());
    #[cfg(feature = "conformance")]
    let mcp = super::conformance::routes(server, config);
    #[cfg(not(feature = "conformance"))]
    let mcp = Router::new().nest_service("/mcp", sessionless(server, config));
    let readiness = Readiness {
        store,
        stopping: stop.asked.clone(),
    };
    let metrics = Router::new()
        .route("/metrics", get(metrics::answer))
        .with_state(Metrics::new(readiness.clone()));
    let probes = Router::new()
        .route("/health", get(probe::health))
        .route("/ready", get(probe::ready))
        .with_state(readiness);
    Router::new()
        .route("/", get(dashboard::answer))
        .merge(mcp)
        .layer(from_fn_with_state(gate.clone(), stop::let_in))
        .merge(probes)
        .merge(metrics)
        .fallback(problem::no_such_path)
        .method_not_allowed_fallback(problem::no_such_method)
        .layer(axum::middleware::from_fn(problem::shape))
        .layer(axum::middleware::from_fn(metrics::observe))
}

/// Returns the service that answers each request by itself.
pub(super) fn sessionless<S: ServerHandler + Clone>(
    server: S,
    config: StreamableHttpServerConfig,
) -> StreamableHttpService<S, NeverSessionManager> {
    let sessions = NeverSessionManager::default();
    StreamableHttpService::new(move || Ok(server.clone()), sessions.into(), config)
}
