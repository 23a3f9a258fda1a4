//! The vocabulary that every Akosha crate shares: memories, validated ids, configuration, the
//! classes of errors, and sources of time and randomness that tests can fix.
//!
//! Nothing here does I/O, except [`config`], which reads the configuration file.

pub mod config;
mod error;
mod id;
mod memory;
mod metadata;
pub mod metric;
pub mod redact;
mod scope;
mod source;
pub mod time;

pub use error::{ErrorKind, Invalid, excerpt};
pub use id::{JobId, MemoryId, PushId, SystemId, UploadId, WriterId};
pub use memory::{
    EMBEDDING_DIM, Embedding, IngestionMethod, MAX_BATCH, MAX_METADATA_BYTES, MAX_TEXT_BYTES,
    Memory, MemoryInput, NewMemory, Tier, content_key, content_sha256,
};
pub use metadata::{Metadata, check_tag};
pub use scope::Scope;
pub use source::{Clock, FixedClock, Random, SeededRandom, Sources, SystemClock, ThreadRandom};
