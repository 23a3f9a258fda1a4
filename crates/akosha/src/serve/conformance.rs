//! The routes of a server for the protocol's conformance suite.

use akosha_mcp::AkoshaServer;
use akosha_mcp::conformance::Fixtures;
use axum::Router;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};

use super::mcp::sessionless;

/// Returns the routes: the server as it is shipped at `/sessionless/mcp`, and at `/mcp` with
/// sessions for the versions of the protocol that know them.
///
/// Up to 2025-11-25 a server that asks its client something during a call needs a session. Akosha
/// never asks, so it has none; but the suite's scenarios of sampling and elicitation do.
pub(super) fn routes(server: AkoshaServer, config: StreamableHttpServerConfig) -> Router {
    let fixtures = match Fixtures::new() {
        Ok(fixtures) => fixtures.beside(server),
        Err(error) => {
            tracing::error!(%error, "the conformance suite cannot be served");
            return Router::new();
        }
    };
    let shipped = sessionless(fixtures.clone(), config.clone());
    let with_sessions = StreamableHttpService::new(
        move || Ok(fixtures.clone()),
        LocalSessionManager::default().into(),
        config.with_legacy_session_mode(true),
    );
    Router::new()
        .nest_service("/mcp", with_sessions)
        .nest_service("/sessionless/mcp", shipped)
}
