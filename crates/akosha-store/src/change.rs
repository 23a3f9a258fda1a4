//! The change log: what happened to memories, in order. A row of it is a row of a segment.

use akosha_core::{Embedding, IngestionMethod, MemoryId, Metadata, SystemId};
use chrono::{DateTime, Utc};

/// What a change does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Op {
    /// A new memory, or a new revision of one.
    Put,
    /// The memory is deleted; its earlier revisions stay in history.
    Forget,
    /// The memory is deleted and its content, history included, is removed.
    Erase,
}

impl Op {
    /// Returns the name used in segments: `put`, `forget`, `erase`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Put => "put",
            Self::Forget => "forget",
            Self::Erase => "erase",
        }
    }

    /// Reads the name used in segments.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Put, Self::Forget, Self::Erase]
            .into_iter()
            .find(|op| op.as_str() == name)
    }
}

/// One change of one memory: the content as this revision has it.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Place in the change log of the store that made it; grows with every change there.
    pub seq: i64,
    /// What happened.
    pub op: Op,
    /// Whose memory.
    pub system_id: SystemId,
    /// Which memory.
    pub memory_id: MemoryId,
    /// The revision that this change made, from 1.
    pub revision: i64,
    /// The text; empty unless `op` is [`Op::Put`].
    pub text: String,
    /// The metadata; empty unless `op` is [`Op::Put`].
    pub metadata: Metadata,
    /// The embedding.
    pub embedding: Option<Embedding>,
    /// The model that made the embedding, where known.
    pub embedding_model: Option<String>,
    /// When the memory was made.
    pub created_at: DateTime<Utc>,
    /// When this revision was made.
    pub updated_at: DateTime<Utc>,
    /// When this revision was durable on the node that made it.
    pub stored_at: DateTime<Utc>,
    /// How it came into the store that wrote it.
    pub ingestion_method: IngestionMethod,
}
