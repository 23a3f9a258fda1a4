//! The REST API: one table of routes, from which the router, the scopes that are asked for and the
//! OpenAPI document come.
//!
//! A route does what a tool or a command does by the same functions. Errors are problem details.

mod activity;
mod breakers;
mod ingest;
mod input;
mod memories;
mod note;
mod openapi;
mod quarantine;
mod route;
mod search;
mod status;
mod sync;
mod systems;

use akosha_core::ErrorKind;
use akosha_mcp::Failure;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{FromRequestParts, RawPathParams, Request};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use note::Note;
#[cfg(test)]
pub(super) use openapi::OTHERS;
use route::{Call, Object, PARAMETERS, Refusal};
pub(super) use route::{Route, Verb};

use super::audit::By;
use super::guard::{self, Caller, Peer};
use super::node::Node;
use super::problem;

/// Longest body in bytes: parameters are short.
const MAX_BODY: usize = 64 << 10;

/// Every route, in the order in which they are documented.
pub(super) static ROUTES: &[Route] = &[
    search::SEARCH,
    memories::LIST,
    memories::GET,
    memories::HISTORY,
    systems::SYSTEMS,
    activity::ACTIVITY,
    quarantine::LIST,
    quarantine::RETRY,
    quarantine::RELEASE,
    ingest::INGEST,
    breakers::BREAKERS,
    sync::UPLOAD,
    sync::DOWNLOAD,
    sync::STATUS,
    sync::SNAPSHOTS,
    status::STATUS,
    openapi::OPENAPI,
];

/// Returns the router of all routes.
pub(super) fn router(node: &Node) -> Router {
    let mut router = Router::new();
    for route in ROUTES {
        let node = node.clone();
        let handler = move |request: Request| answer(route, node.clone(), request);
        let on = match route.verb {
            Verb::Get => get(handler),
            Verb::Post => post(handler),
        };
        router = router.route(route.path, on);
    }
    router
}

async fn answer(route: &'static Route, node: Node, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    let Some(caller) = parts.extensions.get::<Caller>().cloned() else {
        let detail = "nobody found out who asks";
        return problem::answer(StatusCode::INTERNAL_SERVER_ERROR, detail);
    };
    let by = By {
        from: parts.extensions.get::<Peer>().map(|peer| peer.0.ip()),
        caller: caller.clone(),
    };
    let mut noted = Note::new(route);
    if !caller.scope.includes(route.scope) {
        node.audit.beyond_scope(&by, noted.action(), route.scope);
        return guard::beyond_scope(&caller, route.scope);
    }
    let input = match read(route, &mut parts, body).await {
        Ok(input) => input,
        Err(response) => {
            if route.verb == Verb::Post {
                node.audit.done(&by, &noted.unread(response.status()));
            }
            return *response;
        }
    };
    noted.asked(&input);
    let cancel = CancellationToken::new();
    let call = Call {
        server: node.server(&caller, std::sync::Arc::new(node.watch(by.clone()))),
        node: node.clone(),
        caller,
        input,
        cancel: cancel.clone(),
    };
    let work = (route.run)(call);
    let done = if route.verb == Verb::Get {
        work.await
    } else {
        // Where the client goes away, the work is told to end and still does so in order.
        let _ends = cancel.drop_guard();
        let ended = tokio::spawn(async move {
            let done = work.await;
            node.audit.done(&by, &noted.done(&done));
            done
        });
        ended.await.unwrap_or_else(|error| {
            let message = format!("the request was not finished: {error}");
            Err(Failure::new(ErrorKind::Internal, message).into())
        })
    };
    match done {
        Ok(value) => {
            let kind = HeaderValue::from_static("application/json");
            let fresh = HeaderValue::from_static("no-store");
            let headers = [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, fresh)];
            (headers, value.to_string()).into_response()
        }
        Err(refusal) => refused(refusal),
    }
}

/// Reads the parameters of a request.
async fn read(route: &Route, parts: &mut Parts, body: Body) -> Result<Object, Box<Response>> {
    let schema = (route.parameters)();
    let mut input = Object::new();
    let invalid = |failure: Failure| Box::new(refused(failure.into()));
    let path = RawPathParams::from_request_parts(parts, &()).await;
    let path = path.map_err(|_| {
        let failure = Failure::new(ErrorKind::Invalid, "the path is no UTF-8");
        invalid(failure.with_hint("percent-encode ids as UTF-8: `a/b` is `a%2Fb`"))
    })?;
    for (name, value) in &path {
        input.insert(name.to_owned(), Value::from(value));
    }
    let query = parts.uri.query().unwrap_or_default();
    if route.verb == Verb::Get {
        input::query(query, &schema, &mut input).map_err(invalid)?;
        return Ok(input);
    }
    if !query.is_empty() {
        let message = "the parameters belong into the body, as a JSON object";
        let failure = Failure::new(ErrorKind::Invalid, message);
        return Err(invalid(failure.with_hint(PARAMETERS)));
    }
    let bytes = to_bytes(body, MAX_BODY).await.map_err(|error| {
        let is_long = error.to_string().contains("length limit");
        Box::new(if is_long {
            let detail = format!("the body is longer than {MAX_BODY} bytes");
            problem::answer(StatusCode::PAYLOAD_TOO_LARGE, &detail)
        } else {
            problem::answer(StatusCode::BAD_REQUEST, "the body ended before its end")
        })
    })?;
    let kind = parts.headers.get(header::CONTENT_TYPE);
    let is_json = kind
        .and_then(|kind| kind.to_str().ok())
        .and_then(|kind| kind.split(';').next())
        .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"));
    if !bytes.is_empty() && !is_json {
        let detail = "the body must be `Content-Type: application/json`";
        let refused = problem::answer(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail);
        return Err(Box::new(refused));
    }
    input::body(&bytes, &schema, &mut input).map_err(invalid)?;
    Ok(input)
}

/// Answers why something was not done.
fn refused(refusal: Refusal) -> Response {
    let status = refusal.status();
    let Refusal { failure, mut more } = refusal;
    more.insert("kind".into(), json!(failure.kind));
    if let Some(hint) = &failure.hint {
        more.insert("hint".into(), json!(hint));
    }
    problem::answer_with(status, &failure.message, more)
}
