//! Errors of HTTP as RFC 9457 problem details.

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

/// Longest plain error that is taken over into the details, in bytes.
const MAX_DETAIL: usize = 4096;

/// Returns a response that says what is wrong.
pub(super) fn answer(status: StatusCode, detail: &str) -> Response {
    answer_with(status, detail, Map::new())
}

/// Returns a response that says what is wrong, and `more` of it.
pub(super) fn answer_with(
    status: StatusCode,
    detail: &str,
    mut more: Map<String, Value>,
) -> Response {
    let title = status.canonical_reason().unwrap_or("Error");
    let known = [
        ("type", json!("about:blank")),
        ("title", json!(title)),
        ("status", json!(status.as_u16())),
        ("detail", json!(detail)),
    ];
    more.extend(known.map(|(name, value)| (name.to_owned(), value)));
    let kind = HeaderValue::from_static("application/problem+json");
    let body = Value::Object(more).to_string();
    (status, [(header::CONTENT_TYPE, kind)], body).into_response()
}

/// Answers a path that does not exist.
pub(super) async fn no_such_path(request: Request) -> Response {
    let path: String = request.uri().path().chars().take(200).collect();
    answer(
        StatusCode::NOT_FOUND,
        &format!("there is nothing at `{path}`"),
    )
}

/// Answers a method that the path does not know.
pub(super) async fn no_such_method(request: Request) -> Response {
    let detail = format!("`{}` is not allowed here", request.method());
    answer(StatusCode::METHOD_NOT_ALLOWED, &detail)
}

/// Gives every error that is plain text the form of problem details; errors of JSON-RPC stay.
pub(super) async fn shape(request: Request, next: Next) -> Response {
    let came_as_json = is_json(request.headers());
    let response = next.run(request).await;
    let mut status = response.status();
    if !(status.is_client_error() || status.is_server_error()) || is_shaped(response.headers()) {
        return response;
    }
    // What reads messages of MCP says so of a body that it cannot read, whatever its type.
    if status == StatusCode::UNSUPPORTED_MEDIA_TYPE && came_as_json {
        status = StatusCode::BAD_REQUEST;
    }
    let (parts, body) = response.into_parts();
    let detail = detail(body).await;
    let mut shaped = answer(status, detail.trim());
    for name in [header::ALLOW, header::RETRY_AFTER] {
        if let Some(value) = parts.headers.get(&name) {
            shaped.headers_mut().insert(name, value.clone());
        }
    }
    shaped
}

async fn detail(body: Body) -> String {
    match to_bytes(body, MAX_DETAIL).await {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(_) => String::new(),
    }
}

/// Returns whether an answer has a form of its own: JSON, or the page that asks for a token.
fn is_shaped(headers: &HeaderMap) -> bool {
    is_json(headers) || content_type(headers).is_some_and(|kind| kind.starts_with("text/html"))
}

fn is_json(headers: &HeaderMap) -> bool {
    content_type(headers).is_some_and(|kind| kind.contains("json"))
}

fn content_type(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::CONTENT_TYPE)?.to_str().ok()
}
