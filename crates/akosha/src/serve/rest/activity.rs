//! `/api/v1/activity`: uploads and memories over time.

use akosha_core::{Scope, time};
use akosha_store::Bucket;
use chrono::TimeDelta;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::route::{Call, Refusal, Route, Running, Verb, answer, blocking, json, parameters};

pub(super) const ACTIVITY: Route = Route {
    verb: Verb::Get,
    path: "/api/v1/activity",
    scope: Scope::Read,
    summary: "Returns how many uploads were merged and memories stored in each hour or day.",
    parameters: parameters::<Query>,
    answer: answer::<Activity>,
    run,
};

/// Hours and days that are told where nobody says since when.
const HOURS: i64 = 48;
const DAYS: i64 = 30;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Query {
    /// Over what is counted.
    #[schemars(extend("default" = "hour"))]
    bucket: Option<Span>,
    /// Since when, RFC 3339; the last 48 hours or 30 days where it is left out.
    since: Option<String>,
    /// Until when, RFC 3339; now where it is left out.
    until: Option<String>,
}

#[derive(Clone, Copy, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Span {
    Hour,
    Day,
}

#[derive(Serialize, JsonSchema)]
struct Activity {
    /// Over what is counted.
    bucket: Span,
    /// What happened, oldest first, without gaps.
    points: Vec<Point>,
}

#[derive(Serialize, JsonSchema)]
struct Point {
    /// Its begin.
    at: String,
    /// Uploads that were merged.
    uploads: u64,
    /// Memories that were stored.
    memories: u64,
}

fn run(mut call: Call) -> Running {
    Box::pin(async move {
        let query: Query = call.read()?;
        let (store, _) = call.node.store.get().await?;
        let span = query.bucket.unwrap_or(Span::Hour);
        let (bucket, usual) = match span {
            Span::Hour => (Bucket::Hour, TimeDelta::hours(HOURS)),
            Span::Day => (Bucket::Day, TimeDelta::days(DAYS)),
        };
        let moment = |text: Option<String>, name: &str| {
            let read = text.map(|text| time::parse(&text)).transpose();
            read.map_err(|error| Refusal::from(akosha_core::Invalid::new(name, error.reason)))
        };
        let now = store.sources().clock.now();
        let until = moment(query.until, "until")?.unwrap_or(now);
        let since = moment(query.since, "since")?.unwrap_or(until - usual);
        let points = blocking(move || store.activity(bucket, since, until)).await?;
        let points = points.into_iter().map(|point| Point {
            at: time::format(point.at),
            uploads: point.uploads,
            memories: point.memories,
        });
        json(&Activity {
            bucket: span,
            points: points.collect(),
        })
    })
}
