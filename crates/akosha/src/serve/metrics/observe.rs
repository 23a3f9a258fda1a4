//! Counts and times every request, by its route.

use akosha_core::metric::{HTTP_REQUESTS, HTTP_SECONDS};
use axum::extract::{MatchedPath, Request};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;
use tokio::time::Instant;
use tracing::Instrument as _;

/// The route of what matches none. A client chooses the path, so it can be no label.
const NO_ROUTE: &str = "none";

/// Counts and times a request, under a span of its own.
pub(in crate::serve) async fn observe(request: Request, next: Next) -> Response {
    let route = route(&request);
    let method = method(request.method());
    let span = tracing::info_span!(
        "http_request",
        otel.kind = "server",
        http.request.method = method,
        http.route = route,
        http.response.status_code = tracing::field::Empty,
    );
    let started = Instant::now();
    let response = next.run(request).instrument(span.clone()).await;
    let seconds = started.elapsed().as_secs_f64();
    let status = response.status();
    span.record("http.response.status_code", status.as_u16());
    metrics::histogram!(HTTP_SECONDS.name, "route" => route.clone()).record(seconds);
    metrics::counter!(
        HTTP_REQUESTS.name,
        "route" => route,
        "method" => method,
        "status" => status.as_str().to_owned(),
    )
    .increment(1);
    response
}

/// Returns the template of the route, such as `/api/v1/memories/{system_id}/{memory_id}`.
fn route(request: &Request) -> String {
    let path = request.uri().path();
    // MCP is a service of its own, which has no template.
    if path == "/mcp" || path.starts_with("/mcp/") {
        return "/mcp".to_owned();
    }
    let matched = request.extensions().get::<MatchedPath>();
    matched.map_or(NO_ROUTE, MatchedPath::as_str).to_owned()
}

/// Returns the method, where it is one that a route can have.
fn method(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}
