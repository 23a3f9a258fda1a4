//! `/health` and `/ready`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use akosha_mcp::StoreHandle;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::problem;

/// How often the store is read.
const EVERY: Duration = Duration::from_secs(2);

/// How long that may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// What readiness depends on. Clones share it.
#[derive(Clone)]
pub(super) struct Readiness {
    /// The store, which must be open.
    pub(super) store: StoreHandle,
    /// Whether the server stops.
    stopping: CancellationToken,
    /// Whether the open store could not be read when that was last tried.
    fails: Arc<AtomicBool>,
}

impl Readiness {
    /// Creates the readiness of a server with `store` until `stopping`.
    pub(super) fn new(store: StoreHandle, stopping: CancellationToken) -> Self {
        Self {
            store,
            stopping,
            fails: Arc::default(),
        }
    }

    /// Returns whether requests can be served.
    pub(super) fn is_ready(&self) -> bool {
        !self.stopping.is_cancelled() && self.store.is_open() && !self.fails()
    }

    /// Reads the store now and then until `until`, so that a probe need not wait for it.
    pub(super) async fn watch(self, until: CancellationToken) -> Result<(), String> {
        let watching = async {
            loop {
                self.read().await;
                tokio::time::sleep(EVERY).await;
            }
        };
        tokio::select! {
            () = until.cancelled() => Ok(()),
            () = watching => Ok(()),
        }
    }

    /// Reads what every request needs.
    async fn read(&self) {
        let Some((store, _)) = self.store.opened_now() else {
            return;
        };
        let mut reading = tokio::task::spawn_blocking(move || store.tokens().map(drop));
        let mut read = tokio::time::timeout(PATIENCE, &mut reading).await;
        if read.is_err() {
            self.note(Some("it does not answer"));
            // Another read would hang beside it.
            read = Ok(reading.await);
        }
        match read {
            Ok(Ok(Err(error))) => self.note(Some(&error.to_string())),
            Ok(Ok(Ok(()))) => self.note(None),
            // The read was not made: the runtime ends.
            _ => {}
        }
    }

    fn note(&self, error: Option<&str>) {
        let failed = self.fails.swap(error.is_some(), Ordering::AcqRel);
        match error {
            Some(error) if !failed => tracing::error!(error, "the store cannot be read"),
            None if failed => tracing::info!("the store can be read again"),
            _ => {}
        }
    }

    fn fails(&self) -> bool {
        self.fails.load(Ordering::Acquire)
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
    if readiness.fails() {
        return unready("the store cannot be read; `akosha doctor` says more");
    }
    if readiness.store.is_open() {
        return Json(json!({"status": "ready"})).into_response();
    }
    // It may have failed to open before: this tries again without making the probe wait.
    readiness.store.warm_up();
    unready("the store is not open yet")
}
