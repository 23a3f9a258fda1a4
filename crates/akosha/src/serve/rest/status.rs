//! `/status`: everything that a person wants to know of the server at once.

use akosha_core::{Scope, time};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use super::breakers::BreakerSchema;
use super::quarantine::SetAside;
use super::route::{Call, Refusal, Route, Running, Verb, answer, blocking, json, nothing};
use crate::commands::status::StatusAnswer;
use crate::serve::supervisor::TaskStatus;

pub(super) const STATUS: Route = Route {
    verb: Verb::Get,
    path: "/status",
    scope: Scope::Read,
    summary: "Returns how the node, its sync, its store, ingestion and tasks stand, and what \
              `akosha status --json` says.",
    parameters: nothing,
    answer: answer::<StatusSchema>,
    run,
};

/// The schema of the answer; what `akosha status --json` says is there too.
#[derive(Serialize, JsonSchema)]
struct StatusSchema {
    /// The version of the program.
    version: String,
    /// The node.
    node: NodeSchema,
    /// What `akosha_sync_status` says.
    sync: serde_json::Map<String, Value>,
    /// The store.
    store: StoreSchema,
    /// How uploads are taken in.
    ingestion: serde_json::Map<String, Value>,
    /// How the external scheduler stands.
    orchestrator: serde_json::Map<String, Value>,
    /// The circuit breakers.
    breakers: Vec<BreakerSchema>,
    /// The tasks of the server.
    tasks: Vec<TaskStatus>,
    /// Memories in each tier.
    tiers: Vec<TierSchema>,
    /// What is set aside.
    quarantine: Vec<SetAside>,
    /// Memories of which two contents have the same revision.
    conflicts: u64,
    /// What a person should know of how the server was started.
    warnings: Vec<String>,
}

#[derive(Serialize, JsonSchema)]
struct NodeSchema {
    /// Its id.
    system_id: String,
    /// Its store's id as a writer of vaults.
    writer_id: String,
    /// When the server was started.
    started_at: String,
    /// Seconds since then.
    uptime_seconds: u64,
}

#[derive(Serialize, JsonSchema)]
struct StoreSchema {
    /// Memories that are not forgotten.
    memories: u64,
    /// Systems that have any.
    systems: u64,
    /// Bytes on disk.
    size_bytes: u64,
}

#[derive(Serialize, JsonSchema)]
struct TierSchema {
    /// `hot`, `warm` or `cold`.
    tier: String,
    /// Memories in it.
    memories: u64,
}

fn run(call: Call) -> Running {
    Box::pin(async move {
        let node = &call.node;
        let (store, syncer) = node.store.get().await?;
        let sync = syncer.status().await?;
        let worker = node.worker().await?;
        let (started_at, started) = node.started;
        let mut told = json!({
            "node": {
                "system_id": store.system_id(),
                "writer_id": store.writer_id(),
                "started_at": time::format(started_at),
                "uptime_seconds": started.elapsed().as_secs(),
            },
            "version": env!("CARGO_PKG_VERSION"),
            "sync": sync,
            "ingestion": worker.status(),
            "orchestrator": worker.orchestrator(),
            "breakers": node.breakers.status(),
            "tasks": node.tasks.status(),
            "warnings": node.warnings,
        });
        let (tiers, answer, aside) = blocking(move || {
            let aside: Vec<SetAside> = store.quarantined()?.into_iter().map(Into::into).collect();
            Ok::<_, akosha_store::StoreError>((
                store.tiers()?,
                StatusAnswer::new(sync, &store, None)?,
                aside,
            ))
        })
        .await?;
        let tiers = tiers.into_iter().map(|(tier, memories)| {
            let tier = match tier {
                akosha_core::Tier::Hot => "hot",
                akosha_core::Tier::Warm => "warm",
                akosha_core::Tier::Cold => "cold",
            };
            json!({"tier": tier, "memories": memories})
        });
        told["tiers"] = tiers.collect();
        told["quarantine"] = json(&aside)?;
        merge(&mut told, json(&answer)?);
        Ok::<Value, Refusal>(told)
    })
}

/// Adds what is not told yet.
fn merge(told: &mut Value, more: Value) {
    let (Some(told), Value::Object(more)) = (told.as_object_mut(), more) else {
        return;
    };
    for (name, value) in more {
        told.entry(name).or_insert(value);
    }
}
