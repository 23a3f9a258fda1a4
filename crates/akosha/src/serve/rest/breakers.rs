//! `/api/v1/breakers`: what is left alone for a while because it failed.

use akosha_core::Scope;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use super::route::{Call, Route, Running, Verb, answer, nothing};

pub(super) const BREAKERS: Route = Route {
    verb: Verb::Get,
    path: "/api/v1/breakers",
    scope: Scope::Read,
    summary: "Returns how the circuit breakers stand.",
    parameters: nothing,
    answer: answer::<Breakers>,
    run,
};

#[derive(Serialize, JsonSchema)]
struct Breakers {
    /// The breakers.
    breakers: Vec<BreakerSchema>,
}

/// The schema of a breaker's status.
#[derive(Serialize, JsonSchema)]
pub(super) struct BreakerSchema {
    /// What it guards.
    name: String,
    /// `closed`, `open` or `half_open`.
    state: String,
    /// Failures since the last success.
    failures: u64,
    /// Seconds until it is tried again; 0 where it is not open.
    retry_in_seconds: u64,
    /// What the last failure said.
    last_error: Option<String>,
}

fn run(call: Call) -> Running {
    Box::pin(async move { Ok(json!({"breakers": call.node.breakers.status()})) })
}
