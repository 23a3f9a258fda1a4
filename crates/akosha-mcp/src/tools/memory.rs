//! `get_memory` and `list_memories`.

use akosha_core::{EMBEDDING_DIM, IngestionMethod, Memory, MemoryId, SystemId, Tier, time};
use akosha_store::{PageRequest, StoreError};
use rmcp::RoleServer;
use rmcp::model::ToolAnnotations;
use rmcp::service::RequestContext;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::filter::FilterInput;
use super::text::{MEMORY_TEXT, cut, join};
use super::{Answer, Given, Problem, ToolSpec, reads};
use crate::handle::blocking;
use crate::{AkoshaServer, Failure};

/// Memories in a page where the client does not say.
const DEFAULT_LIMIT: usize = 50;

/// A memory as `get` shows it. Of a memory that could not be read only the ids are there.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct MemoryAnswer {
    /// The id within its system.
    pub(crate) memory_id: Option<String>,
    /// The machine or node whose memory it is.
    pub(crate) system_id: Option<String>,
    /// The text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) text: Option<String>,
    /// The metadata, whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) metadata: Option<Map<String, Value>>,
    /// When the memory was made, RFC 3339 in UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) created_at: Option<String>,
    /// When this revision was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    updated_at: Option<String>,
    /// When this revision was first durable.
    #[serde(skip_serializing_if = "Option::is_none")]
    stored_at: Option<String>,
    /// 1 for the first content, one more for every change.
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<i64>,
    /// 384 if the memory has an embedding.
    embedding_dim: Option<u64>,
    /// How it came here: `local`, `http_push`, `cloud_pull`, `import`.
    #[serde(skip_serializing_if = "Option::is_none")]
    ingestion_method: Option<String>,
    /// Where it lies: `hot`, `warm`, `cold`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tier: Option<String>,
}

impl From<Memory> for MemoryAnswer {
    fn from(memory: Memory) -> Self {
        Self {
            memory_id: Some(memory.memory_id.into()),
            system_id: Some(memory.system_id.into()),
            text: Some(memory.text),
            metadata: Some(memory.metadata.into_map()),
            created_at: Some(time::format(memory.created_at)),
            updated_at: Some(time::format(memory.updated_at)),
            stored_at: Some(time::format(memory.stored_at)),
            revision: Some(memory.revision),
            embedding_dim: memory.embedding.map(|_| EMBEDDING_DIM as u64),
            ingestion_method: Some(IngestionMethod::as_str(memory.ingestion_method).to_owned()),
            tier: Some(tier_name(memory.tier).to_owned()),
        }
    }
}

/// Returns the name of a tier as answers have it.
pub(super) fn tier_name(tier: Tier) -> &'static str {
    match tier {
        Tier::Hot => "hot",
        Tier::Warm => "warm",
        Tier::Cold => "cold",
    }
}

/// Returns a memory as a text: where it is from, then at most `limit` characters of it.
pub(crate) fn show_memory(memory: &MemoryAnswer, limit: usize) -> String {
    let known = |key: &str| memory.metadata.as_ref()?.get(key)?.as_str();
    let mut head = vec![format!(
        "{} of {}",
        memory.memory_id.as_deref().unwrap_or("?"),
        memory.system_id.as_deref().unwrap_or("?")
    )];
    head.extend(memory.created_at.clone());
    for key in ["project", "type"] {
        head.extend(known(key).map(|value| format!("{key} {}", cut(value, 100))));
    }
    let text = cut(memory.text.as_deref().unwrap_or_default(), limit);
    format!("[{}]\n{text}", head.join(", "))
}

/// `get_memory`.
pub(crate) struct GetMemory;

/// The arguments of `get_memory`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GetArguments {
    /// The id, as a search or a list shows it.
    memory_id: String,
    /// Whose memory it is; needed only where several systems have the id.
    system_id: Option<String>,
}

/// The memory, or why there is none.
#[derive(Debug, Serialize, JsonSchema)]
pub struct GetAnswer {
    #[serde(flatten)]
    memory: MemoryAnswer,
    #[serde(flatten)]
    problem: Problem,
}

impl From<MemoryAnswer> for GetAnswer {
    fn from(memory: MemoryAnswer) -> Self {
        Self {
            memory,
            problem: Problem::default(),
        }
    }
}

impl Answer for GetAnswer {
    fn failed(arguments: &Given, failure: Failure) -> Self {
        Self {
            memory: MemoryAnswer {
                memory_id: arguments.memory_id.clone(),
                system_id: arguments.system_id.clone(),
                text: None,
                metadata: None,
                created_at: None,
                updated_at: None,
                stored_at: None,
                revision: None,
                embedding_dim: None,
                ingestion_method: None,
                tier: None,
            },
            problem: failure.into(),
        }
    }

    fn is_error(&self) -> bool {
        self.problem.error.is_some()
    }

    fn text(&self) -> String {
        self.problem
            .text()
            .unwrap_or_else(|| show_memory(&self.memory, super::text::RESULT_TEXT))
    }
}

impl ToolSpec for GetMemory {
    const NAME: &'static str = "get_memory";
    const TITLE: &'static str = "Get a memory";
    const DESCRIPTION: &'static str = "\
Returns one memory whole, with its metadata, revision and times. Use it when a search or a list \
shows only part of a text, or to check what is stored under an id before changing it.";
    type Arguments = GetArguments;
    type Answer = GetAnswer;

    fn annotations() -> ToolAnnotations {
        reads()
    }

    async fn call(
        server: &AkoshaServer,
        arguments: GetArguments,
        _context: &RequestContext<RoleServer>,
    ) -> Result<GetAnswer, Failure> {
        let memory_id = MemoryId::try_from(arguments.memory_id)?;
        let system_id = arguments.system_id.map(SystemId::try_from).transpose()?;
        let memory = get(server, memory_id, system_id).await?;
        Ok(memory.into())
    }
}

/// Reads one memory.
///
/// # Errors
/// Fails where there is none, or several systems have the id.
pub(crate) async fn get(
    server: &AkoshaServer,
    memory_id: MemoryId,
    system_id: Option<SystemId>,
) -> Result<MemoryAnswer, Failure> {
    let (store, _) = server.store().get().await?;
    blocking(move || {
        store
            .get(&memory_id, system_id.as_ref())?
            .map(MemoryAnswer::from)
            .ok_or(StoreError::NoMemory(memory_id))
    })
    .await
}

/// `list_memories`.
pub(crate) struct ListMemories;

/// The arguments of `list_memories`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ListArguments {
    /// Most memories to return.
    #[schemars(range(min = 1, max = 1000), extend("default" = 50))]
    limit: Option<usize>,
    /// `next_cursor` of an earlier answer, to go on from there.
    cursor: Option<String>,
    /// Which memories; all when left out.
    filters: Option<ListFilters>,
}

/// Which memories are listed.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct ListFilters {
    /// Only memories of this system.
    system_id: Option<String>,
    /// Only memories of this project.
    project: Option<String>,
    /// Only memories with all of these tags.
    tags: Option<Vec<String>>,
    /// Only memories of this type, such as `session_summary`.
    #[serde(rename = "type")]
    kind: Option<String>,
    /// Only memories made at this time or later, RFC 3339.
    since: Option<String>,
    /// Only memories made before this time, RFC 3339.
    until: Option<String>,
}

/// A page of memories.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ListAnswer {
    /// The memories, newest first.
    memories: Vec<MemoryAnswer>,
    /// Give it as `cursor` to get the next page; null at the end.
    next_cursor: Option<String>,
    #[serde(flatten)]
    problem: Problem,
}

impl Answer for ListAnswer {
    fn failed(_arguments: &Given, failure: Failure) -> Self {
        Self {
            memories: Vec::new(),
            next_cursor: None,
            problem: failure.into(),
        }
    }

    fn is_error(&self) -> bool {
        self.problem.error.is_some()
    }

    fn text(&self) -> String {
        if let Some(problem) = self.problem.text() {
            return problem;
        }
        if self.memories.is_empty() {
            return "No memories.".into();
        }
        let shown = self
            .memories
            .iter()
            .map(|memory| show_memory(memory, MEMORY_TEXT));
        let mut text = join(shown);
        if let Some(cursor) = &self.next_cursor {
            text.extend(["\nnext_cursor: ", cursor]);
        }
        text
    }
}

impl ToolSpec for ListMemories {
    const NAME: &'static str = "list_memories";
    const TITLE: &'static str = "List memories";
    const DESCRIPTION: &'static str = "\
Lists memories by the time they were made, newest first, in pages. Use it to see what is known of \
a project or what was stored lately; to find something by what it says use search_memories.";
    type Arguments = ListArguments;
    type Answer = ListAnswer;

    fn annotations() -> ToolAnnotations {
        reads()
    }

    async fn call(
        server: &AkoshaServer,
        arguments: ListArguments,
        _context: &RequestContext<RoleServer>,
    ) -> Result<ListAnswer, Failure> {
        list(server, arguments).await
    }
}

/// Lists a page as the tool does.
///
/// # Errors
/// Names the argument that breaks a rule, or says why the store cannot be read.
pub(crate) async fn list(
    server: &AkoshaServer,
    arguments: ListArguments,
) -> Result<ListAnswer, Failure> {
    let filters = arguments.filters.unwrap_or_default();
    let request = PageRequest {
        limit: arguments.limit.unwrap_or(DEFAULT_LIMIT),
        cursor: arguments.cursor,
        filter: FilterInput {
            system_id: filters.system_id,
            project: filters.project,
            kind: filters.kind,
            tags: filters.tags,
            since: filters.since,
            until: filters.until,
        }
        .check("filters.")?,
    };
    let (store, _) = server.store().get().await?;
    let page = blocking(move || store.list(&request)).await?;
    Ok(ListAnswer {
        memories: page.memories.into_iter().map(MemoryAnswer::from).collect(),
        next_cursor: page.next_cursor,
        problem: Problem::default(),
    })
}

/// Every revision of a memory.
#[derive(Debug, Serialize, JsonSchema)]
pub struct HistoryAnswer {
    /// The revisions that still have content, oldest first.
    revisions: Vec<MemoryAnswer>,
    /// Whether the memory is found no more.
    forgotten: bool,
}

/// Reads every revision of a memory that still has content.
///
/// # Errors
/// Fails where the memory was never stored.
pub(crate) async fn history(
    server: &AkoshaServer,
    system_id: SystemId,
    memory_id: MemoryId,
) -> Result<HistoryAnswer, Failure> {
    let (store, _) = server.store().get().await?;
    blocking(move || {
        let revisions = store.history(&memory_id, Some(&system_id))?;
        let present = store.get(&memory_id, Some(&system_id))?;
        Ok::<_, StoreError>(HistoryAnswer {
            revisions: revisions.into_iter().map(MemoryAnswer::from).collect(),
            forgotten: present.is_none(),
        })
    })
    .await
}
