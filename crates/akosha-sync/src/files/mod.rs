//! Files that travel beside the memories, as content-defined pieces.
//!
//! | module | does |
//! |---|---|
//! | `source` | says which files are synced |
//! | `snapshot` | copies a file with its logs while others write it |
//! | `chunker` | cuts a copy into pieces |
//! | `coding` | compresses and encrypts pieces, and unpacks them |
//! | `send` | brings the pieces that a vault lacks |
//! | `pushed` | remembers what a vault has |
//! | `find` | finds the upload that lists them |
//! | `fetch` | brings files back |

mod chunker;
mod coding;
mod error;
mod fetch;
mod find;
#[cfg(any(fuzzing, test))]
pub(crate) mod fuzz;
mod pushed;
mod send;
mod snapshot;
mod source;

pub(crate) use coding::Coding;
pub use error::FileError;
pub(crate) use fetch::{Destination, fetch};
pub use fetch::{FetchError, FetchOutcome, FetchedFile, FileVersion};
pub(crate) use find::find;
pub(crate) use pushed::Group;
pub(crate) use send::{SendError, SendOptions, Sender, Sent, StoredPieces};
pub(crate) use snapshot::{Snapshot, log_suffixes, signature};
pub use source::config_errors;
pub(crate) use source::{FileSource, sources};
