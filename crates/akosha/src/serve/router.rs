//! The routes of the server, and what every request passes on its way.

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::get;
use tokio_util::sync::CancellationToken;

use super::dashboard;
use super::guard::{self, Guard};
use super::metrics::{self, Metrics};
use super::node::Node;
use super::probe::{self, Readiness};
use super::stop::{self, Gate};
use super::{problem, rest};

/// Returns the application. `sessions` ends the requests of MCP that are still at work.
pub(super) fn build(
    node: &Node,
    readiness: Readiness,
    guard: &Guard,
    gate: &Gate,
    sessions: CancellationToken,
) -> Router {
    #[cfg(feature = "conformance")]
    let mcp = super::conformance::routes(node, sessions);
    #[cfg(not(feature = "conformance"))]
    let mcp = super::mcp::routes(node, sessions);
    let metrics = Router::new()
        .route("/metrics", get(metrics::answer))
        .with_state(Metrics::new(readiness.clone()));
    // Everybody may ask these, and while the server stops, too.
    let probes = Router::new()
        .route("/health", get(probe::health))
        .route("/ready", get(probe::ready))
        .with_state(readiness)
        .method_not_allowed_fallback(problem::no_such_method);
    let page = Router::new()
        .route("/", get(dashboard::answer))
        .method_not_allowed_fallback(problem::no_such_method)
        .layer(from_fn_with_state(guard.clone(), guard::page));
    Router::new()
        .merge(mcp)
        .merge(rest::router(node))
        .fallback(problem::no_such_path)
        .layer(from_fn_with_state(gate.clone(), stop::let_in))
        // Who watches the server wants to see it stop.
        .merge(metrics)
        .method_not_allowed_fallback(problem::no_such_method)
        .layer(from_fn_with_state(guard.clone(), guard::check))
        .merge(probes)
        .layer(from_fn(problem::shape))
        // A page stays one, whatever its status.
        .merge(page)
        .layer(from_fn(metrics::observe))
}
