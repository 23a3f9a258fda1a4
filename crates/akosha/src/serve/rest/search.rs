//! `/api/v1/search`: the same as `search_memories`.

use akosha_core::Scope;
use akosha_mcp::api;

use super::route::{Call, Object, Route, Running, Verb, answer, json, parameters};

pub(super) const SEARCH: Route = Route {
    verb: Verb::Get,
    path: "/api/v1/search",
    scope: Scope::Read,
    summary: "Searches memories as the tool `search_memories` does.",
    parameters: wanted,
    answer: answer::<api::SearchAnswer>,
    run,
};

/// Returns the arguments of the tool, without what does not fit into a query.
fn wanted() -> Object {
    let mut schema = parameters::<api::SearchArguments>();
    if let Some(properties) = schema
        .get_mut("properties")
        .and_then(|all| all.as_object_mut())
    {
        properties.remove("embedding");
    }
    schema
}

fn run(call: Call) -> Running {
    Box::pin(async move { json(&api::search(&call.server, call.input).await?) })
}
