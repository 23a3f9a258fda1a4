//! `sync_to_akosha`.

use akosha_store::Trigger;
use akosha_sync::{MethodChoice, Progress, SyncReport, SyncRequest};
use rmcp::RoleServer;
use rmcp::model::ToolAnnotations;
use rmcp::service::RequestContext;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::{Answer, Given, Problem, ToolSpec};
use crate::handle::blocking;
use crate::progress::Relay;
use crate::session_end::enqueue;
use crate::{AkoshaServer, Failure};

/// `sync_to_akosha`.
pub(crate) struct SyncToAkosha;

/// The arguments of `sync_to_akosha`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SyncArguments {
    /// `cloud` or `http` alone, or `auto`: cloud, then HTTP.
    #[schemars(extend("default" = "auto"))]
    method: Option<Choice>,
    /// Whether HTTP may be tried after the cloud failed; counts for `auto`.
    #[schemars(extend("default" = true))]
    enable_fallback: Option<bool>,
    /// Whether Session-Buddy's reflections travel too.
    #[schemars(extend("default" = true))]
    upload_reflections: Option<bool>,
    /// Whether Session-Buddy's knowledge graph travels too.
    #[schemars(extend("default" = true))]
    upload_knowledge_graph: Option<bool>,
    /// Whether to wait for the end; false queues the sync and returns at once.
    #[schemars(extend("default" = true))]
    wait: Option<bool>,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Choice {
    Auto,
    Cloud,
    Http,
}

impl From<Choice> for MethodChoice {
    fn from(choice: Choice) -> Self {
        match choice {
            Choice::Auto => Self::Auto,
            Choice::Cloud => Self::Cloud,
            Choice::Http => Self::Http,
        }
    }
}

/// What the sync did.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SyncAnswer {
    /// The method that brought it: `cloud`, `http`, or `none`.
    method: String,
    /// Whether everything that was unsynced is stored and verified at the target.
    success: bool,
    /// Whether the sync waits in the queue, with `wait: false`.
    queued: bool,
    /// Names of files that were sent.
    files_uploaded: Vec<String>,
    /// Changes that the target has acknowledged.
    memories_uploaded: u64,
    /// Bytes sent.
    bytes_transferred: u64,
    /// Bytes that the target had already.
    bytes_deduplicated: u64,
    /// Seconds that it took.
    duration_seconds: f64,
    /// The newest upload.
    upload_id: Option<String>,
    /// All uploads, oldest first.
    upload_ids: Vec<String>,
    /// What went wrong, by method.
    errors: Vec<MethodProblem>,
    /// What waits for a person: it was told by an error before, and the rest is synced.
    warnings: Vec<String>,
    /// The method that failed before another one took over.
    fallback_from: Option<String>,
    /// What asked for it.
    triggered_by: String,
    /// The job under which it is on record.
    job_id: Option<String>,
    #[serde(flatten)]
    problem: Problem,
}

/// What went wrong with one method.
#[derive(Debug, Serialize, JsonSchema)]
struct MethodProblem {
    /// The method.
    method: String,
    /// What happened.
    error: String,
}

impl SyncAnswer {
    fn nothing() -> Self {
        Self {
            method: "none".into(),
            success: false,
            queued: false,
            files_uploaded: Vec::new(),
            memories_uploaded: 0,
            bytes_transferred: 0,
            bytes_deduplicated: 0,
            duration_seconds: 0.0,
            upload_id: None,
            upload_ids: Vec::new(),
            errors: Vec::new(),
            warnings: Vec::new(),
            fallback_from: None,
            triggered_by: Trigger::Manual.as_str().into(),
            job_id: None,
            problem: Problem::default(),
        }
    }
}

impl From<SyncReport> for SyncAnswer {
    fn from(report: SyncReport) -> Self {
        let error = report
            .error
            .or_else(|| (!report.success).then(|| "the sync did not finish".to_owned()));
        Self {
            method: report.method.to_owned(),
            success: report.success,
            queued: false,
            files_uploaded: report.files_uploaded,
            memories_uploaded: report.memories_uploaded,
            bytes_transferred: report.bytes_transferred,
            bytes_deduplicated: report.bytes_deduplicated,
            duration_seconds: report.duration_seconds,
            upload_id: report.upload_id,
            upload_ids: report.upload_ids,
            errors: report
                .errors
                .into_iter()
                .map(|error| MethodProblem {
                    method: error.method.to_owned(),
                    error: error.error,
                })
                .collect(),
            warnings: report.warnings,
            fallback_from: report.fallback_from.map(str::to_owned),
            triggered_by: report.triggered_by.to_owned(),
            job_id: report.job_id.map(String::from),
            problem: Problem {
                error,
                hint: report.hint,
                kind: report.kind.map(|kind| kind.as_str().to_owned()),
            },
        }
    }
}

impl Answer for SyncAnswer {
    fn failed(_arguments: &Given, failure: Failure) -> Self {
        Self {
            problem: failure.into(),
            ..Self::nothing()
        }
    }

    fn is_error(&self) -> bool {
        !self.success && !self.queued
    }

    fn text(&self) -> String {
        if self.queued {
            let job = self.job_id.as_deref().unwrap_or_default();
            return format!("Queued as {job}. It runs in the background.");
        }
        let mut lines = Vec::new();
        if self.success {
            lines.push(format!(
                "Synced by {}: {} memories, {} files, {} bytes in {:.1} s.",
                self.method,
                self.memories_uploaded,
                self.files_uploaded.len(),
                self.bytes_transferred,
                self.duration_seconds
            ));
            lines.extend(self.upload_ids.iter().map(|id| format!("Upload {id}.")));
        } else {
            lines.extend(self.problem.text());
            if self.memories_uploaded > 0 {
                lines.push(format!(
                    "{} memories arrived; the rest is sent with the next sync.",
                    self.memories_uploaded
                ));
            }
        }
        if let Some(method) = &self.fallback_from {
            lines.push(format!("{method} failed before."));
        }
        if self.success {
            let failed = self.errors.iter();
            lines.extend(failed.map(|error| format!("[{}] {}", error.method, error.error)));
        }
        lines.extend(self.warnings.iter().map(|text| format!("Waits: {text}")));
        lines.join("\n")
    }
}

impl ToolSpec for SyncToAkosha {
    const NAME: &'static str = "sync_to_akosha";
    const TITLE: &'static str = "Sync now";
    const DESCRIPTION: &'static str = "\
Sends everything that is not synced yet to the user's bucket, or over HTTP to another Akosha. Use \
it when the user asks to sync or before they change machines; otherwise it happens by itself after \
session_end. Waits and reports what was stored and verified; with wait: false it is queued and runs \
in the background, even if this session ends. Nothing to send is a success. A failed sync loses \
nothing: the next one sends the rest.";
    type Arguments = SyncArguments;
    type Answer = SyncAnswer;

    fn annotations() -> ToolAnnotations {
        ToolAnnotations::new()
            .read_only(false)
            .destructive(false)
            .idempotent(true)
            .open_world(true)
    }

    async fn call(
        server: &AkoshaServer,
        arguments: SyncArguments,
        context: &RequestContext<RoleServer>,
    ) -> Result<SyncAnswer, Failure> {
        let relay = Relay::of(context);
        let answer = sync(server, arguments, &relay, &context.ct).await;
        relay.finish().await;
        answer
    }
}

/// Pushes, or queues a push, as the tool does.
///
/// # Errors
/// Fails where the caller may not sync this node, or the push cannot be queued. Why a push failed is
/// in the answer.
pub(crate) async fn sync(
    server: &AkoshaServer,
    arguments: SyncArguments,
    progress: &dyn Progress,
    cancel: &CancellationToken,
) -> Result<SyncAnswer, Failure> {
    let request = SyncRequest {
        method: arguments.method.unwrap_or(Choice::Auto).into(),
        enable_fallback: arguments.enable_fallback.unwrap_or(true),
        upload_reflections: arguments.upload_reflections.unwrap_or(true),
        upload_knowledge_graph: arguments.upload_knowledge_graph.unwrap_or(true),
    };
    let (store, syncer) = server.store().get().await?;
    server.origin().check_node(store.system_id())?;
    if arguments.wait.unwrap_or(true) {
        let report = syncer
            .sync(&request, Trigger::Manual, progress, cancel)
            .await;
        return Ok(report.into());
    }
    let background = server.background().clone();
    let job_id =
        blocking(move || enqueue(&syncer, Trigger::Manual, &request, &*background)).await?;
    Ok(SyncAnswer {
        queued: true,
        job_id: Some(job_id.into()),
        ..SyncAnswer::nothing()
    })
}
