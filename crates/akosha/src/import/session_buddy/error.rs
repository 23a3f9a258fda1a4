//! What can go wrong with a whole database of Session-Buddy.

use std::io;
use std::path::PathBuf;

use akosha_core::ErrorKind;

/// How DuckDB's command is installed.
const INSTALL: &str = "for example `pip install duckdb-cli`, or see https://duckdb.org/install";

/// Why a database was not imported, or not to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DatabaseError {
    /// The command is not there.
    #[error(
        "the databases of Session-Buddy are read by the command `duckdb`, which is not on the PATH"
    )]
    NoCommand,
    /// The command that the user named, or that was found, cannot be used.
    #[error("`{command}` is no command of DuckDB: {reason}")]
    BadCommand {
        /// The command.
        command: String,
        /// What happened.
        reason: String,
    },
    /// There is no database.
    #[error("`{}` holds neither `reflection.duckdb` nor `knowledge_graph.duckdb`", folder.display())]
    NoDatabase {
        /// The folder.
        folder: PathBuf,
    },
    /// The file cannot be read or copied.
    #[error("cannot {operation} `{}`: {source}", path.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// With which file or folder.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Another program does not let it be read.
    #[error("`{}` is locked by another program", path.display())]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// It is rewritten all the time.
    #[error("`{}` keeps changing while it is copied", path.display())]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// It is something else.
    #[error("`{}` is no database of DuckDB", path.display())]
    NotADatabase {
        /// The file.
        path: PathBuf,
    },
    /// It is of a version that the command does not know.
    #[error("`{}` was written by DuckDB {written_by}, which `{command}` {version} cannot read", path.display())]
    OtherVersion {
        /// The file.
        path: PathBuf,
        /// The version that wrote it.
        written_by: String,
        /// The command.
        command: String,
        /// The command's version.
        version: String,
        /// Whether the file is the newer one.
        is_newer: bool,
    },
    /// It is a database of something else.
    #[error("`{}` holds none of Session-Buddy's tables", path.display())]
    NoTables {
        /// The file.
        path: PathBuf,
    },
    /// The command failed.
    #[error("`{}` cannot be read: {reason}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the command said.
        reason: String,
    },
}

impl DatabaseError {
    /// Returns a way to make an error of a call of the system; for `map_err`.
    pub(super) fn io(
        operation: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io {
            operation,
            path,
            source,
        }
    }

    /// Returns what the caller has to do about it.
    pub(crate) fn kind(&self) -> ErrorKind {
        match self {
            Self::NoCommand | Self::NoDatabase { .. } => ErrorKind::NotFound,
            Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                ErrorKind::NotFound
            }
            Self::BadCommand { .. } | Self::Io { .. } => ErrorKind::Storage,
            Self::Locked { .. } | Self::Busy { .. } => ErrorKind::Unavailable,
            Self::NotADatabase { .. }
            | Self::OtherVersion { .. }
            | Self::NoTables { .. }
            | Self::Unreadable { .. } => ErrorKind::Data,
        }
    }

    /// Returns what to do now.
    pub(crate) fn hint(&self) -> String {
        match self {
            Self::NoCommand => {
                format!("install it, {INSTALL}; or name it: `AKOSHA_DUCKDB=/path/to/duckdb`")
            }
            Self::BadCommand { .. } => format!(
                "install DuckDB's command, {INSTALL}; or name it: \
                 `AKOSHA_DUCKDB=/path/to/duckdb`"
            ),
            Self::NoDatabase { .. } | Self::NoTables { .. } => {
                "name the folder in which Session-Buddy keeps its data: \
                 `akosha import session-buddy DIR`"
                    .into()
            }
            Self::Io { .. } => "name a folder that you may read, and keep room for a copy of its \
                                databases in Akosha's home"
                .into(),
            Self::Locked { .. } | Self::Busy { .. } => {
                "end Session-Buddy, then repeat the command".into()
            }
            Self::NotADatabase { .. } => {
                "take the file from a backup, or move it away to import the rest".into()
            }
            Self::OtherVersion {
                is_newer: true,
                written_by,
                ..
            } => format!(
                "install the command of DuckDB {written_by} or newer from \
                 https://duckdb.org/install, and name it: `AKOSHA_DUCKDB=/path/to/duckdb`"
            ),
            Self::OtherVersion { written_by, .. } => format!(
                "let the command of DuckDB {written_by} export it, a newer one import that; see \
                 https://duckdb.org/docs/stable/internals/storage"
            ),
            Self::Unreadable { .. } => {
                "see whether DuckDB opens a copy of it, else take it from a backup".into()
            }
        }
    }
}
