//! `/sync/*`: this node's own sync.

use akosha_core::{ErrorKind, Scope, UploadId};
use akosha_mcp::{Failure, api};
use akosha_sync::NoProgress;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::route::{
    Call, Object, Refusal, Route, Running, Verb, answer, json, nothing, parameters,
};
use crate::serve::node::check_node;

pub(super) const UPLOAD: Route = Route {
    verb: Verb::Post,
    path: "/sync/upload",
    scope: Scope::Write,
    summary: "Pushes what is unsynced and returns the name of the newest upload, the point in time \
              that can be restored.",
    parameters: parameters::<api::SyncArguments>,
    answer: upload_schema,
    run: upload,
};

pub(super) const DOWNLOAD: Route = Route {
    verb: Verb::Post,
    path: "/sync/download",
    scope: Scope::Write,
    summary: "Pulls what is new in the vault into the store.",
    parameters: parameters::<Download>,
    answer: pull_schema,
    run: download,
};

pub(super) const STATUS: Route = Route {
    verb: Verb::Get,
    path: "/sync/status",
    scope: Scope::Read,
    summary: "Returns the last sync, what is queued and unsynced, and what the vault has against \
              the store.",
    parameters: nothing,
    answer: answer::<StatusSchema>,
    run: status,
};

pub(super) const SNAPSHOTS: Route = Route {
    verb: Verb::Get,
    path: "/sync/snapshots",
    scope: Scope::Read,
    summary: "Lists this node's uploads in the vault by time, newest first.",
    parameters: parameters::<Page>,
    answer: answer::<SnapshotsSchema>,
    run: snapshots,
};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Download {
    /// Must be true: what is pulled is merged into the store.
    #[serde(default)]
    confirm: bool,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Page {
    /// Most uploads to return.
    #[schemars(range(min = 1, max = 100), extend("default" = 20))]
    limit: Option<usize>,
    /// `next_cursor` of an earlier answer, to go on from there.
    cursor: Option<String>,
}

/// The schema of `/sync/status`; whatever `akosha_sync_status` tells is there too.
#[derive(Serialize, JsonSchema)]
struct StatusSchema {
    /// When a sync last succeeded.
    last_success_at: Option<String>,
    /// What the last failure since then said.
    last_error: Option<String>,
    /// When the next scheduled sync runs; null where none is scheduled.
    next_schedule: Option<String>,
    /// What the vault has of this node.
    remote: Remote,
    /// What the store has that the vault has not.
    local: Local,
}

#[derive(Serialize, JsonSchema)]
struct Remote {
    /// Where the vault is; null where none is set.
    url: Option<String>,
    /// The newest acknowledged upload.
    last_upload_id: Option<String>,
    /// When that upload was read back and found right.
    verified_at: Option<String>,
}

#[derive(Serialize, JsonSchema)]
struct Local {
    /// Memories in the store.
    memories: u64,
    /// Changes that are not acknowledged.
    unsynced_memories: u64,
    /// When the oldest of them was stored.
    oldest_unsynced_at: Option<String>,
}

/// The schema of `/sync/snapshots`.
#[derive(Serialize, JsonSchema)]
struct SnapshotsSchema {
    /// The uploads, newest first.
    snapshots: Vec<SnapshotSchema>,
    /// Give it as `cursor` to get the next page; null at the end.
    next_cursor: Option<String>,
    /// Uploads on all pages.
    total: u64,
}

#[derive(Serialize, JsonSchema)]
struct SnapshotSchema {
    /// The id of the upload.
    upload_id: String,
    /// What people call it.
    name: Option<String>,
    /// `sync` or `snapshot`; null where the manifest is not believed.
    kind: Option<String>,
    /// When it was made.
    uploaded_at: String,
    /// Changes that it brings.
    memories: Option<u64>,
    /// Files that it brings.
    files: Option<u64>,
    /// Bytes that it holds.
    size_bytes: Option<u64>,
    /// Why its manifest is not believed.
    fault: Option<String>,
}

/// What was pulled.
#[derive(Serialize, JsonSchema)]
struct PullSchema {
    /// Whether all of it was merged.
    success: bool,
    /// Uploads that were found.
    uploads_seen: u64,
    /// Uploads that were merged.
    uploads_merged: u64,
    /// Memories that were not here before.
    memories_added: u64,
    /// Memories that have a newer revision now.
    memories_updated: u64,
    /// Changes that made no difference.
    memories_skipped: u64,
    /// What was set aside.
    quarantined: Vec<SetAsideSchema>,
    /// Bytes that were read.
    bytes_transferred: u64,
    /// Seconds that it took.
    duration_seconds: f64,
    /// What kept some of it from being looked at.
    error: Option<String>,
}

#[derive(Serialize, JsonSchema)]
struct SetAsideSchema {
    /// The upload.
    upload_id: String,
    /// The system under which it lies.
    system_id: String,
    /// Why.
    reason: String,
}

/// Returns the schema of what a pull answers.
pub(super) fn pull_schema() -> Object {
    answer::<PullSchema>()
}

/// Returns what the tool answers, and the name.
fn upload_schema() -> Object {
    let mut schema = answer::<api::SyncAnswer>();
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        let name = json!({
            "anyOf": [{"type": "string"}, {"type": "null"}],
            "description": "The newest upload, whether it was made now or before."
        });
        properties.insert("name".into(), name);
    }
    schema
}

fn upload(call: Call) -> Running {
    Box::pin(async move {
        let pushed = api::sync(&call.server, call.input, &NoProgress, &call.cancel).await?;
        let mut report = json(&pushed)?;
        let done = report["success"] == true || report["queued"] == true;
        let mut name = report["upload_id"].clone();
        if name.is_null() {
            let (_, syncer) = call.node.store.get().await?;
            name = json!(syncer.status().await?.vault.last_upload_id);
        }
        if let Some(report) = report.as_object_mut() {
            report.insert("name".into(), name);
        }
        if done {
            Ok(report)
        } else {
            Err(failed(report))
        }
    })
}

/// Turns the report of a push that failed into a refusal that tells all of it.
fn failed(report: Value) -> Refusal {
    let text = |key: &str| report[key].as_str().map(str::to_owned);
    let kind = match report["kind"].as_str() {
        Some("conflict") => ErrorKind::Conflict,
        Some("config") => ErrorKind::Config,
        Some("storage") => ErrorKind::Storage,
        Some("data") => ErrorKind::Data,
        Some("internal") => ErrorKind::Internal,
        // The vault's refusal is not that of this server.
        _ => ErrorKind::Unavailable,
    };
    let message = text("error").unwrap_or_else(|| "the sync did not finish".into());
    let failure = Failure {
        kind,
        message,
        hint: text("hint"),
    };
    Refusal::from(failure).with("report", report)
}

fn download(mut call: Call) -> Running {
    Box::pin(async move {
        let Download { confirm } = call.read()?;
        if !confirm {
            let failure = Failure::new(
                ErrorKind::Invalid,
                "what is pulled is merged into the store, which has to be confirmed",
            );
            let hint = "send `{\"confirm\": true}` as `application/json`";
            return Err(failure.with_hint(hint).into());
        }
        let (store, syncer) = call.node.store.get().await?;
        check_node(&call.caller, store.system_id())?;
        json(&syncer.pull(&[], &NoProgress, &call.cancel).await?)
    })
}

fn status(call: Call) -> Running {
    Box::pin(async move {
        let (store, syncer) = call.node.store.get().await?;
        let status = syncer.status().await?;
        let held = super::route::blocking(move || store.stats()).await?;
        let mut told = json(&status)?;
        if let Some(told) = told.as_object_mut() {
            let more = json!({
                "last_success_at": status.queue.last_success_at,
                "last_error": status.queue.last_error,
                // Nothing is scheduled by this version.
                "next_schedule": null,
                "remote": {
                    "url": status.vault.url,
                    "last_upload_id": status.vault.last_upload_id,
                    "verified_at": status.vault.verified_at,
                },
                "local": {
                    "memories": held.memories,
                    "unsynced_memories": status.lag.unsynced_memories,
                    "oldest_unsynced_at": status.lag.oldest_unsynced_at,
                },
            });
            told.extend(more.as_object().cloned().unwrap_or_default());
        }
        Ok(told)
    })
}

fn snapshots(mut call: Call) -> Running {
    Box::pin(async move {
        let Page { limit, cursor } = call.read()?;
        let cursor = cursor.map(UploadId::try_from).transpose()?;
        let (store, syncer) = call.node.store.get().await?;
        let limit = limit.unwrap_or(20);
        let page = syncer
            .uploads(store.system_id(), limit, cursor.as_ref())
            .await?;
        Ok(json!({
            "snapshots": page.uploads,
            "next_cursor": page.next_cursor,
            "total": page.total,
        }))
    })
}
