//! A memory as it comes in, checked and given its owner.

use akosha_core::redact::Redactor;
use akosha_core::{IngestionMethod, Invalid, MemoryInput, NewMemory, SystemId};
use akosha_store::{Change, Op, Store};
use akosha_sync::envelope::{self, Writer};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{AkoshaServer, Failure, Origin};

/// One memory as a client gives it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MemoryArguments {
    /// Your own id, to store the same memory again without a copy; one is made when left out. 1 to
    /// 256 bytes.
    memory_id: Option<String>,
    /// What to remember, 1 byte to 1 MiB: full sentences that make sense on their own.
    text: String,
    /// The embedding of the text by all-MiniLM-L6-v2, 384 finite numbers, if you have it.
    #[schemars(length(min = 384, max = 384))]
    embedding: Option<Vec<f32>>,
    /// Any JSON object, kept whole. Known keys are searchable: `project`, `type`, `tags` (list of
    /// text), `session_id`, `source`, `original_id`, `correlation_id`, `created_at` (RFC 3339).
    metadata: Option<Map<String, Value>>,
}

impl From<MemoryArguments> for MemoryInput {
    fn from(arguments: MemoryArguments) -> Self {
        Self {
            memory_id: arguments.memory_id,
            text: arguments.text,
            embedding: arguments.embedding,
            metadata: arguments.metadata,
        }
    }
}

/// A memory that may be stored.
#[derive(Debug)]
pub(crate) enum Incoming {
    /// A new memory, or new content of one.
    Put(SystemId, NewMemory),
    /// A revision that another Akosha made and pushed here.
    Pushed(Box<Pushed>),
}

/// A revision that another Akosha made.
#[derive(Debug)]
pub(crate) struct Pushed {
    /// The revision.
    pub(crate) change: Change,
    /// Who pushes it, where it says so.
    pub(crate) writer: Option<Writer>,
    /// How many secrets were taken out of it.
    pub(crate) redactions: usize,
}

/// Checks a memory, takes secrets out of it and finds its owner. Blocks on redaction.
///
/// # Errors
/// Names the field that breaks a rule, or says that the caller may not write as the owner.
pub(crate) fn accept(
    memory: MemoryArguments,
    origin: &Origin,
    node: &SystemId,
    redactor: &Redactor,
) -> Result<Incoming, Failure> {
    let mut input = MemoryInput::from(memory);
    let received = match &mut input.metadata {
        Some(metadata) if origin.is_http() => envelope::unwrap(metadata)?,
        _ => None,
    };
    let memory = NewMemory::check(input, redactor)?;
    let Some(received) = received else {
        let owner = origin.owner(memory.metadata.source(), node)?;
        return Ok(Incoming::Put(owner, memory));
    };
    let owner = origin.owner(Some(received.system_id.as_str()), node)?;
    let memory_id = memory
        .memory_id
        .ok_or_else(|| Invalid::new("memory_id", "is missing, a push names it"))?;
    let change = Change {
        seq: 0,
        op: Op::Put,
        system_id: owner,
        memory_id,
        revision: received.revision,
        text: memory.text,
        metadata: memory.metadata,
        embedding: memory.embedding,
        embedding_model: received.embedding_model,
        created_at: received.created_at,
        updated_at: received.updated_at,
        stored_at: received.stored_at,
        ingestion_method: IngestionMethod::HttpPush,
    };
    Ok(Incoming::Pushed(Box::new(Pushed {
        change,
        writer: received.writer,
        redactions: memory.redactions,
    })))
}

/// Returns the store, where the configuration lets it be written.
///
/// # Errors
/// Fails where the store cannot be opened, or where it is not known whose memories would be
/// written, or what is to be taken out of them: neither could be corrected later.
pub(crate) async fn writable(server: &AkoshaServer) -> Result<Store, Failure> {
    redacting(server).await.map(|(store, _)| store)
}

/// Returns the store, where the configuration lets it be written, and what takes secrets out of
/// all that goes into it.
///
/// # Errors
/// As those of [`writable`].
pub(crate) async fn redacting(server: &AkoshaServer) -> Result<(Store, Redactor), Failure> {
    let (store, syncer) = server.store().get().await?;
    crate::failure::check_writes(syncer.config())?;
    Ok((store, syncer.config().redactor.clone()))
}
