//! The routes of a server for the protocol's conformance suite.

use akosha_mcp::conformance::Fixtures;
use axum::Router;
use rmcp::transport::StreamableHttpService;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use tokio_util::sync::CancellationToken;

use super::mcp;
use super::node::Node;

/// Returns the routes: the server as it is shipped at `/sessionless/mcp`, and at `/mcp` with
/// sessions for the versions of the protocol that know them.
///
/// Up to 2025-11-25 a server that asks its client something during a call needs a session. Akosha
/// never asks, so it has none; but the suite's scenarios of sampling and elicitation do.
pub(super) fn routes(node: &Node, sessions: CancellationToken) -> Router {
    let fixtures = match Fixtures::new() {
        Ok(fixtures) => fixtures,
        Err(error) => {
            tracing::error!(%error, "the conformance suite cannot be served");
            return Router::new();
        }
    };
    let shipped = mcp::routes(node, fixtures.clone(), sessions.clone());
    let server = fixtures.beside(node.open_server());
    let with_sessions = StreamableHttpService::new(
        move || Ok(server.clone()),
        LocalSessionManager::default().into(),
        mcp::config(sessions).with_legacy_session_mode(true),
    );
    shipped.nest_service("/mcp", with_sessions)
}
