//! `store_memory`.

use akosha_core::{EMBEDDING_DIM, IngestionMethod, time};
use akosha_store::{Store, Stored};
use rmcp::RoleServer;
use rmcp::model::ToolAnnotations;
use rmcp::service::RequestContext;
use schemars::JsonSchema;
use serde::Serialize;

use super::claim::claim;
use super::incoming::{Incoming, MemoryArguments, Pushed, accept, redacting};
use super::{Answer, Given, Problem, ToolSpec};
use crate::handle::blocking;
use crate::{AkoshaServer, Failure};

/// `store_memory`.
pub(crate) struct StoreMemory;

/// What became of the memory.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct StoreAnswer {
    /// `stored`: it is durable and can be found. `failed`: nothing was stored.
    status: StoreStatus,
    /// The id under which it is stored.
    memory_id: Option<String>,
    /// Whose memory it is.
    system_id: Option<String>,
    /// When this content was first durable, RFC 3339 in UTC.
    stored_at: Option<String>,
    /// 384 if the memory has an embedding.
    embedding_dim: Option<u64>,
    /// Whether the same content was there already.
    deduplicated: bool,
    /// 1 for the first content under this id, one more for every change; 0 if nothing is stored.
    revision: i64,
    /// How many secrets were taken out of the text and the metadata.
    redactions: u64,
    #[serde(flatten)]
    problem: Problem,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum StoreStatus {
    Stored,
    Failed,
}

impl Answer for StoreAnswer {
    fn failed(arguments: &Given, failure: Failure) -> Self {
        Self {
            status: StoreStatus::Failed,
            memory_id: arguments.memory_id.clone(),
            system_id: None,
            stored_at: None,
            embedding_dim: None,
            deduplicated: false,
            revision: 0,
            redactions: 0,
            problem: failure.into(),
        }
    }

    fn is_error(&self) -> bool {
        self.status == StoreStatus::Failed
    }

    fn text(&self) -> String {
        if let Some(problem) = self.problem.text() {
            return problem;
        }
        let id = self.memory_id.as_deref().unwrap_or_default();
        let text = if self.deduplicated {
            format!("Already stored as {id}.")
        } else if self.revision > 1 {
            format!("Stored as {id}, revision {}.", self.revision)
        } else {
            format!("Stored as {id}.")
        };
        match self.redactions {
            0 => text,
            count => format!("{text} Secrets taken out: {count}."),
        }
    }
}

impl From<Stored> for StoreAnswer {
    fn from(stored: Stored) -> Self {
        Self {
            status: StoreStatus::Stored,
            memory_id: Some(stored.memory_id.into()),
            system_id: Some(stored.system_id.into()),
            stored_at: Some(time::format(stored.stored_at)),
            embedding_dim: stored.has_embedding.then_some(EMBEDDING_DIM as u64),
            deduplicated: stored.deduplicated,
            revision: stored.revision,
            redactions: stored.redactions as u64,
            problem: Problem::default(),
        }
    }
}

impl ToolSpec for StoreMemory {
    const NAME: &'static str = "store_memory";
    const TITLE: &'static str = "Store a memory";
    const DESCRIPTION: &'static str = "\
Remembers one text for later sessions and other machines. Use it as soon as something is worth \
knowing next time: a decision and its reason, a preference of the user, a fact about the \
environment, the cause of an error and its fix. One fact per call, in full sentences that make \
sense without this conversation; set metadata.project, metadata.type and metadata.tags to find it \
again. When it answers `stored` the memory is on disk and can be searched at once; it syncs later \
by itself. Storing the same memory_id again with other text makes a new revision, with the same \
text it does nothing. Secrets in well-known forms and <private> spans are taken out.";
    type Arguments = MemoryArguments;
    type Answer = StoreAnswer;

    fn annotations() -> ToolAnnotations {
        writes()
    }

    async fn call(
        server: &AkoshaServer,
        arguments: MemoryArguments,
        _context: &RequestContext<RoleServer>,
    ) -> Result<StoreAnswer, Failure> {
        let (store, redactor) = redacting(server).await?;
        let origin = server.origin().clone();
        let stored = blocking(move || {
            let incoming = accept(arguments, &origin, store.system_id(), &redactor)?;
            keep(&store, incoming, origin.ingestion_method())
        })
        .await?;
        Ok(stored.into())
    }
}

/// Annotations of a tool that adds memories: the earlier revision of a memory is kept.
pub(super) fn writes() -> ToolAnnotations {
    ToolAnnotations::new()
        .read_only(false)
        .destructive(false)
        .idempotent(true)
        .open_world(false)
}

fn keep(store: &Store, incoming: Incoming, method: IngestionMethod) -> Result<Stored, Failure> {
    match incoming {
        Incoming::Put(owner, memory) => Ok(store.put(&owner, &memory, method)?),
        Incoming::Pushed(pushed) => {
            let Pushed {
                change,
                writer,
                redactions,
            } = *pushed;
            claim(store, &change.system_id, writer.as_ref())??;
            let merged = store.merge(std::slice::from_ref(&change), method)?;
            Ok(Stored {
                memory_id: change.memory_id,
                system_id: change.system_id,
                stored_at: change.stored_at,
                revision: change.revision,
                deduplicated: merged.unchanged > 0,
                has_embedding: change.embedding.is_some(),
                redactions,
            })
        }
    }
}
