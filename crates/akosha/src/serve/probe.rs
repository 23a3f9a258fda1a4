//! `/health` and `/ready`.

use akosha_mcp::StoreHandle;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::problem;

/// What readiness depends on.
#[derive(Clone)]
pub(super) struct Readiness {
    /// The store, which must be open.
    pub(super) store: StoreHandle,
    /// Whether the server stops.
    pub(super) stopping: CancellationToken,
}

impl Readiness {
    /// Returns whether requests can be served.
    pub(super) fn is_ready(&self) -> bool {
        !self.stopping.is_cancelled() && self.store.is_open()
    }
}

/// Answers that the process is alive.
pub(super) async fn health() -> Response {
    Json(json!({"status": "ok", "version": env!("CARGO_PKG_VERSION")})).into_response()
}

/// Answers whether requests can be served.
pub(super) async fn ready(State(readiness): State<Readiness>) -> Response {
    let unready = |detail: &str| problem::answer(StatusCode::SERVICE_UNAVAILABLE, detail);
    if readiness.stopping.is_cancelled() {
        return unready("the server stops");
    }
    if readiness.store.is_open() {
        return Json(json!({"status": "ready"})).into_response();
    }
    // It may have failed to open before: this tries again without making the probe wait.
    readiness.store.warm_up();
    unready("the store is not open yet")
}
