//! `/api/v1/memories`: lists memories, and shows one with its history.

use akosha_core::{MemoryId, Scope, SystemId};
use akosha_mcp::api;
use schemars::JsonSchema;
use serde::Deserialize;

use super::route::{Call, Object, Route, Running, Verb, answer, json, parameters};

pub(super) const LIST: Route = Route {
    verb: Verb::Get,
    path: "/api/v1/memories",
    scope: Scope::Read,
    summary: "Lists memories by the time they were made, newest first, as `list_memories` does.",
    parameters: parameters::<ListQuery>,
    answer: answer::<api::ListAnswer>,
    run: list,
};

pub(super) const GET: Route = Route {
    verb: Verb::Get,
    path: "/api/v1/memories/{system_id}/{memory_id}",
    scope: Scope::Read,
    summary: "Returns one memory whole, as `get_memory` does.",
    parameters: parameters::<Place>,
    answer: answer::<api::GetAnswer>,
    run: get,
};

pub(super) const HISTORY: Route = Route {
    verb: Verb::Get,
    path: "/api/v1/memories/{system_id}/{memory_id}/history",
    scope: Scope::Read,
    summary: "Returns every revision of a memory that still has content, oldest first.",
    parameters: parameters::<Place>,
    answer: answer::<api::HistoryAnswer>,
    run: history,
};

/// Which memories are listed.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "the tool reads them")]
struct ListQuery {
    /// Most memories to return.
    #[schemars(range(min = 1, max = 1000), extend("default" = 50))]
    limit: Option<u64>,
    /// `next_cursor` of an earlier answer, to go on from there.
    cursor: Option<String>,
    /// Only memories of this system.
    system_id: Option<String>,
    /// Only memories of this project.
    project: Option<String>,
    /// Only memories with all of these tags, separated by commas or repeated.
    tags: Option<Vec<String>>,
    /// Only memories of this type, such as `session_summary`.
    #[serde(rename = "type")]
    kind: Option<String>,
    /// Only memories made at this time or later, RFC 3339.
    since: Option<String>,
    /// Only memories made before this time, RFC 3339.
    until: Option<String>,
}

/// Which memory.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Place {
    /// The machine or node whose memory it is.
    #[schemars(with = "String")]
    system_id: SystemId,
    /// The id within its system, percent-encoded.
    #[schemars(with = "String")]
    memory_id: MemoryId,
}

fn list(call: Call) -> Running {
    Box::pin(async move {
        // What chooses memories is an object of its own for the tool.
        let (page, filters): (Object, Object) = call
            .input
            .into_iter()
            .partition(|(name, _)| name == "limit" || name == "cursor");
        let mut arguments = page;
        arguments.insert("filters".into(), filters.into());
        json(&api::list(&call.server, arguments).await?)
    })
}

fn get(mut call: Call) -> Running {
    Box::pin(async move {
        let Place {
            system_id,
            memory_id,
        } = call.read()?;
        json(&api::get(&call.server, system_id, memory_id).await?)
    })
}

fn history(mut call: Call) -> Running {
    Box::pin(async move {
        let Place {
            system_id,
            memory_id,
        } = call.read()?;
        json(&api::history(&call.server, system_id, memory_id).await?)
    })
}
