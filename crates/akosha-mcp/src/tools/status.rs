//! `akosha_sync_status`.

use rmcp::RoleServer;
use rmcp::model::ToolAnnotations;
use rmcp::service::RequestContext;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Answer, Given, Problem, ToolSpec};
use crate::{AkoshaServer, Failure};

/// `akosha_sync_status`.
pub(crate) struct SyncStatusTool;

/// The arguments of `akosha_sync_status`: none.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NoArguments {}

/// The state of sync on this node.
#[derive(Debug, Serialize)]
pub(crate) struct StatusAnswer {
    #[serde(flatten)]
    status: Option<akosha_sync::SyncStatus>,
    #[serde(flatten)]
    problem: Problem,
}

/// The schema of [`StatusAnswer`]: what `SyncStatus` serialises to, all of it left out where the
/// state could not be read.
#[derive(Serialize, JsonSchema)]
struct StatusSchema {
    /// Whether a bucket is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    cloud_configured: Option<bool>,
    /// This node's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    system_id: Option<String>,
    /// This store's id as a writer of vaults.
    #[serde(skip_serializing_if = "Option::is_none")]
    writer_id: Option<String>,
    /// Whether a sync may use the cloud.
    #[serde(skip_serializing_if = "Option::is_none")]
    should_use_cloud: Option<bool>,
    /// Whether a sync may use HTTP.
    #[serde(skip_serializing_if = "Option::is_none")]
    should_use_http: Option<bool>,
    /// `auto`, `cloud` or `http`.
    #[serde(skip_serializing_if = "Option::is_none")]
    force_method: Option<String>,
    /// Whether HTTP is tried when the cloud fails.
    #[serde(skip_serializing_if = "Option::is_none")]
    enable_fallback: Option<bool>,
    /// Whether a session's end queues a sync.
    #[serde(skip_serializing_if = "Option::is_none")]
    upload_on_session_end: Option<bool>,
    /// The main settings, without secrets.
    #[serde(skip_serializing_if = "Option::is_none")]
    configuration: Option<Map<String, Value>>,
    /// What is wrong with the configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    configuration_errors: Option<Vec<String>>,
    /// The methods and whether they can work now.
    #[serde(skip_serializing_if = "Option::is_none")]
    methods: Option<Vec<MethodSchema>>,
    /// The queue.
    #[serde(skip_serializing_if = "Option::is_none")]
    queue: Option<QueueSchema>,
    /// What is not synced yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    lag: Option<LagSchema>,
    /// The vault and this node's newest upload in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    vault: Option<VaultSchema>,
    /// System ids of this node that another writer has: pushes under them are refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    sync_conflicts: Option<Vec<ConflictSchema>>,
    #[serde(flatten)]
    problem: Problem,
}

#[derive(Serialize, JsonSchema)]
struct MethodSchema {
    /// `cloud` or `http`.
    method: String,
    /// Whether it can work now.
    available: bool,
    /// Why not.
    reason: Option<String>,
}

#[derive(Serialize, JsonSchema)]
struct QueueSchema {
    /// Jobs that wait.
    pending: u64,
    /// Jobs in work.
    running: u64,
    /// Jobs that failed for good.
    parked: u64,
    /// When a job last succeeded.
    last_success_at: Option<String>,
    /// What the last failure since then said.
    last_error: Option<String>,
    /// The job that failed for good last.
    parked_job: Option<ParkedSchema>,
}

#[derive(Serialize, JsonSchema)]
struct ParkedSchema {
    /// Its id.
    job_id: String,
    /// Why it failed.
    error: String,
    /// What to do.
    hint: Option<String>,
    /// Since when it waits.
    since: String,
}

#[derive(Serialize, JsonSchema)]
struct LagSchema {
    /// Changes that are not acknowledged.
    unsynced_memories: u64,
    /// When the oldest of them was stored.
    oldest_unsynced_at: Option<String>,
}

#[derive(Serialize, JsonSchema)]
struct VaultSchema {
    /// Its address; null where no bucket is set.
    url: Option<String>,
    /// The newest acknowledged upload.
    last_upload_id: Option<String>,
    /// When it was read back and found right.
    verified_at: Option<String>,
    /// What it cannot promise, as far as pushes have found out.
    warnings: Vec<String>,
}

#[derive(Serialize, JsonSchema)]
struct ConflictSchema {
    /// The id.
    system_id: String,
    /// The method that found it.
    method: String,
    /// Who has it.
    error: String,
    /// What to do.
    hint: String,
    /// Since when it is known.
    since: String,
}

impl JsonSchema for StatusAnswer {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        StatusSchema::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        StatusSchema::json_schema(generator)
    }
}

impl Answer for StatusAnswer {
    fn failed(_arguments: &Given, failure: Failure) -> Self {
        Self {
            status: None,
            problem: failure.into(),
        }
    }

    fn is_error(&self) -> bool {
        self.status.is_none()
    }

    fn text(&self) -> String {
        if let Some(problem) = self.problem.text() {
            return problem;
        }
        // Small, and every number of it may be what was asked for.
        serde_json::to_string_pretty(&self.status).unwrap_or_default()
    }
}

impl ToolSpec for SyncStatusTool {
    const NAME: &'static str = "akosha_sync_status";
    const TITLE: &'static str = "Sync status";
    const DESCRIPTION: &'static str = "\
Says how sync stands on this machine: which methods are set up and reachable now, what waits in the \
queue, what is not synced yet and since when, the last success and the last error, the settings, \
and what is wrong with them. Use it when the user asks whether their memories are safe, or when \
sync_to_akosha failed. Takes up to a second: it asks the bucket and the other Akosha.";
    type Arguments = NoArguments;
    type Answer = StatusAnswer;

    fn annotations() -> ToolAnnotations {
        ToolAnnotations::new()
            .read_only(true)
            .destructive(false)
            .idempotent(true)
            .open_world(true)
    }

    async fn call(
        server: &AkoshaServer,
        _arguments: NoArguments,
        _context: &RequestContext<RoleServer>,
    ) -> Result<StatusAnswer, Failure> {
        status(server).await
    }
}

async fn status(server: &AkoshaServer) -> Result<StatusAnswer, Failure> {
    let (_, syncer) = server.store().get().await?;
    Ok(StatusAnswer {
        status: Some(syncer.status().await?),
        problem: Problem::default(),
    })
}

/// Returns the state of sync as JSON text, for the resource.
///
/// # Errors
/// Fails where the store does.
pub(crate) async fn status_json(server: &AkoshaServer) -> Result<String, Failure> {
    status(server).await.map(|answer| answer.text())
}
