//! Who may ask for what: names and origins, tokens, how often, and scopes.
//!
//! Everything but the probes passes here. A server for this machine alone that has no tokens is open,
//! as long as it has none; every other one asks for a token with each request.

mod caller;
mod hosts;
mod rate;
mod tokens;

use std::net::SocketAddr;
use std::sync::Arc;

use akosha_core::{Scope, metric};
use akosha_mcp::StoreHandle;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;

pub(super) use caller::{Caller, Peer};
pub(super) use hosts::Hosts;
use hosts::Misled;
use rate::Rate;
use tokens::{Refused, Tokens};

use super::audit::Audit;
use super::problem;

/// What requests have to pass. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Guard {
    hosts: Arc<Hosts>,
    tokens: Tokens,
    rate: Rate,
    audit: Audit,
}

impl Guard {
    /// Creates the guard of a server with `store` that answers to `hosts`, with `per_minute` requests
    /// for each token.
    pub(super) fn new(store: StoreHandle, hosts: Hosts, per_minute: u32, audit: Audit) -> Self {
        Self {
            tokens: Tokens::new(store, hosts.are_local()),
            hosts: Arc::new(hosts),
            rate: Rate::new(per_minute),
            audit,
        }
    }

    async fn caller(&self, headers: &HeaderMap) -> Result<Caller, Refused> {
        self.tokens.caller(secret(headers)).await
    }

    /// Answers what goes or comes astray.
    fn misdirected(&self, misled: Misled, peer: Option<SocketAddr>) -> Response {
        let reason = misled.as_str();
        metrics::counter!(metric::AUTH_FAILURES.name, "reason" => reason).increment(1);
        if let Some(peer) = peer {
            self.audit.refused(peer.ip(), reason);
        }
        misdirected(misled)
    }

    /// Answers who is not let in.
    fn unauthorized(&self, refused: Refused, peer: Option<SocketAddr>) -> Response {
        let reason = refused.as_str();
        metrics::counter!(metric::AUTH_FAILURES.name, "reason" => reason).increment(1);
        let detail = match refused {
            Refused::Unavailable => {
                let detail = "the store that knows the tokens cannot be read now; ask again";
                let mut away = problem::answer(StatusCode::SERVICE_UNAVAILABLE, detail);
                let soon = HeaderValue::from_static("1");
                away.headers_mut().insert(header::RETRY_AFTER, soon);
                return away;
            }
            Refused::Missing => {
                "a token is needed: send `Authorization: Bearer …`; `akosha token create` makes one"
            }
            Refused::Unknown => "the token is not known here; `akosha token list` shows which are",
            Refused::Revoked => "the token was revoked; `akosha token create` makes another one",
            Refused::Expired => "the token has expired; `akosha token create` makes another one",
        };
        if let Some(peer) = peer {
            self.audit.refused(peer.ip(), reason);
        }
        let challenge = match refused {
            Refused::Missing => "Bearer realm=\"akosha\"",
            _ => "Bearer realm=\"akosha\", error=\"invalid_token\"",
        };
        let mut response = problem::answer(StatusCode::UNAUTHORIZED, detail);
        let challenge = HeaderValue::from_static(challenge);
        let headers = response.headers_mut();
        headers.insert(header::WWW_AUTHENTICATE, challenge);
        response
    }
}

/// Lets a request in that says who asks, and notes that with it.
pub(super) async fn check(
    State(guard): State<Guard>,
    mut request: Request,
    next: Next,
) -> Response {
    let peer = request.extensions().get::<Peer>().map(|peer| peer.0);
    if let Err(misled) = guard.hosts.check(request.uri(), request.headers()) {
        return guard.misdirected(misled, peer);
    }
    let caller = match guard.caller(request.headers()).await {
        Ok(caller) => caller,
        Err(refused) => return guard.unauthorized(refused, peer),
    };
    if let Some(who) = &caller.who
        && let Err(wait) = guard.rate.count(&who.id)
    {
        metrics::counter!(metric::HTTP_RATE_LIMITED.name).increment(1);
        let seconds = wait.as_secs_f64().ceil().max(1.0) as u64;
        let detail = format!("the token asks too often; ask again in {seconds} s");
        let mut response = problem::answer(StatusCode::TOO_MANY_REQUESTS, &detail);
        let headers = response.headers_mut();
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        return response;
    }
    request.extensions_mut().insert(caller);
    next.run(request).await
}

/// Answers a page that holds no data. Without a token where one is needed, the answer says so by its
/// status and the page asks for one: a browser cannot send a token by itself.
pub(super) async fn page(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<Peer>().map(|peer| peer.0);
    if let Err(misled) = guard.hosts.check(request.uri(), request.headers()) {
        return guard.misdirected(misled, peer);
    }
    let caller = guard.caller(request.headers()).await;
    let mut response = next.run(request).await;
    if caller == Err(Refused::Unavailable) {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    } else if caller.is_err() && response.status() == StatusCode::OK {
        *response.status_mut() = StatusCode::UNAUTHORIZED;
        let challenge = HeaderValue::from_static("Bearer realm=\"akosha\"");
        let headers = response.headers_mut();
        headers.insert(header::WWW_AUTHENTICATE, challenge);
    }
    response
}

/// Answers what is beyond the scope of who asks.
pub(super) fn beyond_scope(caller: &Caller, wanted: Scope) -> Response {
    let detail = beyond_scope_detail(caller, wanted);
    let mut response = problem::answer(StatusCode::FORBIDDEN, &detail);
    challenge_scope(&mut response, wanted);
    response
}

/// Says on an answer, and to who watches, that it is refused for want of a scope.
pub(super) fn challenge_scope(response: &mut Response, wanted: Scope) {
    metrics::counter!(metric::AUTH_FAILURES.name, "reason" => "scope").increment(1);
    *response.status_mut() = StatusCode::FORBIDDEN;
    let challenge = format!("Bearer error=\"insufficient_scope\", scope=\"{wanted}\"");
    if let Ok(challenge) = HeaderValue::from_str(&challenge) {
        let headers = response.headers_mut();
        headers.insert(header::WWW_AUTHENTICATE, challenge);
    }
}

fn beyond_scope_detail(caller: &Caller, wanted: Scope) -> String {
    let name = caller.who.as_ref().map_or("", |who| who.name.as_str());
    let has = caller.scope;
    format!("the token `{name}` has scope `{has}`, and this needs `{wanted}`")
}

/// Returns the secret that a request presents.
fn secret(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, secret) = value.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then_some(secret.trim())
}

fn misdirected(misled: Misled) -> Response {
    match misled {
        Misled::Unclear => problem::answer(
            StatusCode::BAD_REQUEST,
            "the request does not say by one `Host` which server it is for, or has two of `Origin`",
        ),
        Misled::Host => problem::answer(
            StatusCode::FORBIDDEN,
            "the server does not answer to the name in `Host`; `allowed_hosts` names others",
        ),
        Misled::Origin => problem::answer(
            StatusCode::FORBIDDEN,
            "the page in `Origin` is not of this server; `allowed_hosts` names others",
        ),
    }
}
