//! What can go wrong in the store.

use std::path::PathBuf;

use akosha_core::{ErrorKind, Invalid, MemoryId};
use rusqlite::ErrorCode;

/// An error of the store. Nothing is half-written: the transaction that failed is undone.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// An input breaks a rule.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// No such memory.
    #[error("no memory `{0}`")]
    NoMemory(MemoryId),
    /// Several systems have a memory of this id and none of them is this node.
    #[error("memory `{memory_id}` exists in {} systems: {}", systems.len(), first(systems))]
    Ambiguous {
        /// The id.
        memory_id: MemoryId,
        /// The systems that have it.
        systems: Vec<String>,
    },
    /// The home cannot be created or written.
    #[error("cannot write `{}`: {source}", path.display())]
    Home {
        /// The folder or file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The database file cannot be written.
    #[error("the store `{}` cannot be written: {source}", path.display())]
    NotWritable {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// The disk is full.
    #[error("the disk of the store is full")]
    DiskFull,
    /// The file is no database, or is damaged.
    #[error("the store `{}` is damaged: {source}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// Another process held the store for longer than the busy timeout.
    #[error("the store is busy: another process holds it for too long")]
    Busy,
    /// Another process took over the work that this one had claimed.
    #[error("another process of this home took over this sync")]
    LeaseLost,
    /// A newer version wrote the store.
    #[error("the store has schema {found}, this version knows up to {known}")]
    NewerSchema {
        /// The schema found.
        found: i64,
        /// The newest schema that this version knows.
        known: i64,
    },
    /// A stored value is not what it must be.
    #[error("a stored row is damaged: {0}")]
    Row(String),
    /// Any other error of SQLite.
    #[error("the store failed: {0}")]
    Sqlite(rusqlite::Error),
}

impl StoreError {
    /// Returns what the caller has to do about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Invalid(_) | Self::Ambiguous { .. } => ErrorKind::Invalid,
            Self::NoMemory(_) => ErrorKind::NotFound,
            Self::Busy | Self::LeaseLost => ErrorKind::Unavailable,
            Self::Row(_) | Self::Damaged { .. } => ErrorKind::Data,
            Self::Home { .. }
            | Self::NotWritable { .. }
            | Self::DiskFull
            | Self::NewerSchema { .. } => ErrorKind::Storage,
            Self::Sqlite(_) => ErrorKind::Internal,
        }
    }

    /// Returns what to do now, where there is something to do.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NoMemory(_) => "list what is stored: `akosha list`".into(),
            Self::Ambiguous { .. } => "name the system: `--system ID`".into(),
            Self::Home { .. } | Self::NotWritable { .. } => {
                "correct its permissions, or name another home with `--home DIR`".into()
            }
            Self::DiskFull => "free space on the disk, then repeat the call".into(),
            Self::Damaged { path, .. } => format!(
                "move `{}` away; a new store is made, and `akosha pull` brings back what was synced",
                path.display()
            ),
            Self::Busy => "find what holds the store: `akosha status`, then repeat the call".into(),
            Self::LeaseLost => {
                "nothing is lost; it sends what is unsynced, see `akosha status`".into()
            }
            Self::NewerSchema { .. } => {
                "update akosha to the version that wrote it; nothing was changed".into()
            }
            Self::Invalid(_) | Self::Row(_) | Self::Sqlite(_) => return None,
        })
    }

    /// Tells apart what SQLite reports, for the database at `path`.
    pub(crate) fn at(path: &std::path::Path, error: rusqlite::Error) -> Self {
        let path = path.to_owned();
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => Self::Damaged {
                path,
                source: error,
            },
            Some(
                ErrorCode::ReadOnly
                | ErrorCode::CannotOpen
                | ErrorCode::PermissionDenied
                | ErrorCode::SystemIoFailure,
            ) => Self::NotWritable {
                path,
                source: error,
            },
            _ => Self::from(error),
        }
    }
}

/// Names some of many systems.
fn first(systems: &[String]) -> String {
    const SHOWN: usize = 5;
    let shown = systems[..systems.len().min(SHOWN)].join(", ");
    let dots = if systems.len() > SHOWN { ", …" } else { "" };
    shown + dots
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::DiskFull,
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy,
            _ => Self::Sqlite(error),
        }
    }
}
