//! `session_start` and `session_end`.

use std::path::PathBuf;

use rmcp::RoleServer;
use rmcp::model::ToolAnnotations;
use rmcp::service::RequestContext;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::store::writes;
use super::{Answer, Given, Problem, ToolSpec, reads};
use crate::handle::blocking;
use crate::project::{last_component, project_of, repository_of};
use crate::session_end::{SessionEnd, end_session};
use crate::{AkoshaServer, Failure, session_context};

/// `session_start`.
pub(crate) struct SessionStart;

/// The arguments of `session_start`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StartArguments {
    /// The session's id, if the client has one.
    #[serde(rename = "session_id")]
    _session_id: Option<String>,
    /// The project; taken from `cwd` when left out.
    project: Option<String>,
    /// The working folder.
    cwd: Option<String>,
}

/// What is worth knowing at the start.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct StartAnswer {
    /// What earlier sessions left, at most 10,000 characters.
    context: String,
    /// The project that it is about; null for all projects.
    project: Option<String>,
    /// Ids of the memories that the context shows.
    memories: Vec<String>,
    /// Memories that are stored, of all projects.
    total_memories: u64,
    #[serde(flatten)]
    problem: Problem,
}

impl Answer for StartAnswer {
    fn failed(_arguments: &Given, failure: Failure) -> Self {
        Self {
            context: String::new(),
            project: None,
            memories: Vec::new(),
            total_memories: 0,
            problem: failure.into(),
        }
    }

    fn is_error(&self) -> bool {
        self.problem.error.is_some()
    }

    fn text(&self) -> String {
        self.problem.text().unwrap_or_else(|| self.context.clone())
    }
}

impl ToolSpec for SessionStart {
    const NAME: &'static str = "session_start";
    const TITLE: &'static str = "Start a session";
    const DESCRIPTION: &'static str = "\
Returns what earlier sessions left for this project: summaries of the last sessions and the newest \
memories, at most 10,000 characters. Call it once at the start of a session, with `cwd` or \
`project`. For anything specific use search_memories.";
    type Arguments = StartArguments;
    type Answer = StartAnswer;

    fn annotations() -> ToolAnnotations {
        reads()
    }

    async fn call(
        server: &AkoshaServer,
        arguments: StartArguments,
        _context: &RequestContext<RoleServer>,
    ) -> Result<StartAnswer, Failure> {
        let (store, _) = server.store().get().await?;
        let is_http = server.origin().is_http();
        let (project, context) = blocking(move || {
            let project = project(arguments.project, arguments.cwd, is_http);
            let context = session_context(&store, project.as_deref())?;
            Ok::<_, akosha_store::StoreError>((project, context))
        })
        .await?;
        if let Some(project) = &project {
            server.remember_project(project);
        }
        Ok(StartAnswer {
            context: context.text,
            project,
            memories: context.memories.into_iter().map(String::from).collect(),
            total_memories: context.total,
            problem: Problem::default(),
        })
    }
}

/// Returns the project: as named, else of the folder named, else of the folder that the server
/// was started in where that is a repository. A folder over HTTP lies on another machine, so only
/// its name counts.
fn project(named: Option<String>, cwd: Option<String>, is_http: bool) -> Option<String> {
    let named = named.filter(|name| !name.trim().is_empty());
    match (named, cwd) {
        (Some(named), _) => Some(named),
        (None, Some(cwd)) if is_http => last_component(&cwd),
        (None, Some(cwd)) => project_of(&PathBuf::from(cwd)),
        (None, None) if is_http => None,
        (None, None) => repository_of(&std::env::current_dir().ok()?),
    }
}

/// `session_end`.
pub(crate) struct SessionEndTool;

/// The arguments of `session_end`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EndArguments {
    /// The session's id, if the client has one.
    session_id: Option<String>,
    /// What was done, decided and left open, in a few sentences; stored as a memory.
    summary: Option<String>,
    /// Why the session ends.
    reason: Option<String>,
}

/// What became of the summary and of the sync.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct EndAnswer {
    /// `ended`.
    status: String,
    /// The id of the summary; null if there is none.
    memory_id: Option<String>,
    /// The sync that follows.
    sync: QueuedAnswer,
    #[serde(flatten)]
    problem: Problem,
}

/// The sync that follows a session.
#[derive(Debug, Default, Serialize, JsonSchema)]
struct QueuedAnswer {
    /// Whether a sync waits in the queue; it happens whatever dies now.
    queued: bool,
    /// Its job.
    job_id: Option<String>,
    /// Why nothing is queued.
    reason: Option<String>,
}

impl From<SessionEnd> for EndAnswer {
    fn from(end: SessionEnd) -> Self {
        let (memory_id, problem) = match end.summary {
            Ok(memory_id) => (memory_id, Problem::default()),
            Err(failure) => (None, failure.into()),
        };
        Self {
            status: "ended".into(),
            memory_id: memory_id.map(String::from),
            sync: QueuedAnswer {
                queued: end.sync.job_id.is_some(),
                job_id: end.sync.job_id.map(String::from),
                reason: end.sync.reason,
            },
            problem,
        }
    }
}

impl Answer for EndAnswer {
    fn failed(_arguments: &Given, failure: Failure) -> Self {
        Self {
            status: "ended".into(),
            memory_id: None,
            sync: QueuedAnswer {
                reason: Some(failure.message.clone()),
                ..QueuedAnswer::default()
            },
            problem: failure.into(),
        }
    }

    fn is_error(&self) -> bool {
        self.problem.error.is_some()
    }

    fn text(&self) -> String {
        let mut lines: Vec<String> = self.problem.text().into_iter().collect();
        if let Some(id) = &self.memory_id {
            lines.push(format!("Summary stored as {id}."));
        }
        lines.push(match (&self.sync.job_id, &self.sync.reason) {
            (Some(job), _) => format!("Sync queued as {job}."),
            (None, Some(reason)) => format!("No sync: {reason}."),
            (None, None) => "No sync.".into(),
        });
        lines.join("\n")
    }
}

impl ToolSpec for SessionEndTool {
    const NAME: &'static str = "session_end";
    const TITLE: &'static str = "End a session";
    const DESCRIPTION: &'static str = "\
Ends a session: stores the summary as a memory and queues a sync, which happens in the background \
even if the client, this server or the machine stops right after. Call it once when the user is \
done, with a summary of what was done, what was decided and why, and what is left open. Returns at \
once.";
    type Arguments = EndArguments;
    type Answer = EndAnswer;

    fn annotations() -> ToolAnnotations {
        writes()
    }

    async fn call(
        server: &AkoshaServer,
        arguments: EndArguments,
        _context: &RequestContext<RoleServer>,
    ) -> Result<EndAnswer, Failure> {
        let (_, syncer) = server.store().get().await?;
        let background = server.background().clone();
        let project = server.project();
        let method = server.origin().ingestion_method();
        let origin = server.origin().clone();
        blocking(move || {
            let owner = origin.owner(None, syncer.store().system_id())?;
            Ok::<_, Failure>(EndAnswer::from(end_session(
                &syncer,
                &crate::session_end::Ending {
                    owner,
                    method,
                    session_id: arguments.session_id,
                    project,
                    summary: arguments.summary,
                    reason: arguments.reason,
                },
                &*background,
            )))
        })
        .await
    }
}
