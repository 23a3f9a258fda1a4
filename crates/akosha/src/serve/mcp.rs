//! `/mcp`: MCP over streamable HTTP, each request under the token that it came with.
//!
//! It is served without sessions in every era: any replica can answer any request and a restart
//! costs no client anything. A client cancels a call by closing its connection.

use std::sync::{Arc, Mutex, PoisonError};

use akosha_core::Scope;
#[cfg(feature = "conformance")]
use akosha_mcp::conformance::Fixtures;
use akosha_mcp::{Done, Watch};
use axum::Router;
use axum::body::Body;
use axum::extract::{Extension, Request, State};
use axum::response::Response;
use axum::routing::any;
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use tokio_util::sync::CancellationToken;

use super::audit::By;
use super::guard::{self, Caller, Peer};
use super::intake::Intake;
use super::node::{Node, Noting};

/// Largest body in bytes: 64 MiB.
pub(super) const MAX_BODY: usize = 64 << 20;

/// Largest body in bytes of who may not write: 1 MiB. What asks is short.
pub(super) const MAX_QUESTION: usize = 1 << 20;

/// What MCP is served with.
#[derive(Clone)]
struct Mcp {
    node: Node,
    config: StreamableHttpServerConfig,
    intake: Intake,
    #[cfg(feature = "conformance")]
    fixtures: Fixtures,
}

/// Returns the routes; `sessions` ends the requests that are still at work.
#[cfg(not(feature = "conformance"))]
pub(super) fn routes(node: &Node, sessions: CancellationToken) -> Router {
    Router::new()
        .route("/mcp", any(answer))
        .route("/mcp/", any(answer))
        .with_state(Mcp {
            node: node.clone(),
            config: config(sessions),
            intake: Intake::default(),
        })
}

/// Returns the same with what the protocol's conformance suite calls, at another path.
#[cfg(feature = "conformance")]
pub(super) fn routes(node: &Node, fixtures: Fixtures, sessions: CancellationToken) -> Router {
    Router::new()
        .route("/sessionless/mcp", any(answer))
        .with_state(Mcp {
            node: node.clone(),
            config: config(sessions),
            intake: Intake::default(),
            fixtures,
        })
}

/// Returns how MCP is served. Names and origins are checked by the guard, for every route alike.
pub(super) fn config(sessions: CancellationToken) -> StreamableHttpServerConfig {
    StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true)
        .with_max_request_body_bytes(MAX_BODY)
        .disable_allowed_hosts()
        .disable_allowed_origins()
        .with_cancellation_token(sessions)
}

/// Answers a request of MCP.
async fn answer(
    State(mcp): State<Mcp>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let most = if caller.scope.includes(Scope::Write) {
        MAX_BODY
    } else {
        MAX_QUESTION
    };
    let (bytes, _room) = match mcp.intake.read(&parts.headers, body, most).await {
        Ok(read) => read,
        Err(refused) => return *refused,
    };
    let request = Request::from_parts(parts, Body::from(bytes));
    let from = request.extensions().get::<Peer>().map(|peer| peer.0.ip());
    let watch = Arc::new(Watching {
        noting: mcp.node.watch(By {
            caller: caller.clone(),
            from,
        }),
        wanted: Mutex::default(),
    });
    let server = mcp.node.server(&caller, Arc::clone(&watch) as _);
    #[cfg(feature = "conformance")]
    let server = mcp.fixtures.beside(server);
    let sessions = NeverSessionManager::default().into();
    let service = StreamableHttpService::new(move || Ok(server.clone()), sessions, mcp.config);
    let mut response = service.handle(request).await.map(Body::new);
    // The body says it in terms of MCP; the status says it to everybody else.
    if let Some(wanted) = watch.wanted() {
        guard::challenge_scope(&mut response, wanted);
    }
    response
}

/// Notes the calls of one request, and remembers that one was beyond its scope.
struct Watching {
    noting: Noting,
    wanted: Mutex<Option<Scope>>,
}

impl Watching {
    fn wanted(&self) -> Option<Scope> {
        *self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watch for Watching {
    fn done(&self, done: Done) {
        self.noting.done(done);
    }

    fn beyond_scope(&self, tool: &str, wanted: Scope) {
        *self.wanted.lock().unwrap_or_else(PoisonError::into_inner) = Some(wanted);
        self.noting.beyond_scope(tool, wanted);
    }
}
