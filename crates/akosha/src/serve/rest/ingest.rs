//! `/api/v1/ingest`: takes in now what the vault has.

use akosha_core::Scope;
use akosha_sync::NoProgress;

use super::route::{Call, Route, Running, Verb, json, nothing};
use super::sync::pull_schema;
use crate::serve::node::check_node;

pub(super) const INGEST: Route = Route {
    verb: Verb::Post,
    path: "/api/v1/ingest",
    scope: Scope::Write,
    summary: "Takes in now what the vault has, until nothing is left.",
    parameters: nothing,
    answer: pull_schema,
    run,
};

fn run(call: Call) -> Running {
    Box::pin(async move {
        let (store, _) = call.node.store.get().await?;
        check_node(&call.caller, store.system_id())?;
        let worker = call.node.worker().await?;
        // Who schedules from outside has said when.
        worker.wake();
        json(&worker.run_once(&NoProgress, &call.cancel).await?)
    })
}
