//! `/api/v1/systems`: the systems that the node knows.

use akosha_core::{Scope, time};
use akosha_store::SystemSummary;
use chrono::TimeDelta;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::route::{Call, Route, Running, Verb, answer, blocking, json, parameters};

pub(super) const SYSTEMS: Route = Route {
    verb: Verb::Get,
    path: "/api/v1/systems",
    scope: Scope::Read,
    summary: "Lists the systems that are known, by their ids, with their newest uploads.",
    parameters: parameters::<Query>,
    answer: answer::<Page>,
    run,
};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Query {
    /// Most systems to return.
    #[schemars(range(min = 1, max = 1000), extend("default" = 100))]
    limit: Option<usize>,
    /// `next_cursor` of an earlier answer, to go on from there.
    cursor: Option<String>,
}

#[derive(Serialize, JsonSchema)]
struct Page {
    /// The systems.
    systems: Vec<Known>,
    /// Give it as `cursor` to get the next page; null at the end.
    next_cursor: Option<String>,
    /// Systems on all pages.
    total: u64,
}

#[derive(Serialize, JsonSchema)]
struct Known {
    /// The id.
    system_id: String,
    /// Memories that are not forgotten.
    memories: u64,
    /// Uploads that are merged, or were made here.
    uploads: u64,
    /// The newest of them.
    last_upload_id: Option<String>,
    /// When that one was begun.
    last_upload_at: Option<String>,
    /// When one was merged last.
    last_merged_at: Option<String>,
    /// How long the newest took from its begin until it was merged here.
    lag_seconds: Option<f64>,
    /// What is set aside of it.
    quarantined: u64,
}

impl From<SystemSummary> for Known {
    fn from(system: SystemSummary) -> Self {
        Self {
            system_id: system.system_id,
            memories: system.memories,
            uploads: system.uploads,
            last_upload_id: system.last_upload_id,
            last_upload_at: system.last_upload_at.map(time::format),
            last_merged_at: system.last_merged_at.map(time::format),
            lag_seconds: system.lag.map(TimeDelta::as_seconds_f64),
            quarantined: system.quarantined,
        }
    }
}

fn run(mut call: Call) -> Running {
    Box::pin(async move {
        let Query { limit, cursor } = call.read()?;
        let (store, _) = call.node.store.get().await?;
        let page = blocking(move || store.systems(limit.unwrap_or(100), cursor.as_deref())).await?;
        json(&Page {
            systems: page.systems.into_iter().map(Known::from).collect(),
            next_cursor: page.next_cursor,
            total: page.total,
        })
    })
}
