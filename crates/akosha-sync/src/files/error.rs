//! What can go wrong with one file; the others and the memories go on.

use std::io;
use std::path::{Path, PathBuf};

use akosha_core::ErrorKind;

/// Why a file is not synced or not brought back.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It is not there.
    #[error("`{}` does not exist", .path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// It is a folder, a pipe, a device.
    #[error("`{}` is no regular file", .path.display())]
    NotAFile {
        /// What it was expected to be.
        path: PathBuf,
    },
    /// Its name cannot be one in a manifest.
    #[error(
        "the name of `{}` cannot be stored: it may have letters, digits, `_`, `.` and `-`, \
         without `..`",
        .path.display()
    )]
    Name {
        /// The file.
        path: PathBuf,
    },
    /// Two files have the same name.
    #[error("`{}` and `{}` have the same name: only the first is synced", .first.display(), .second.display())]
    SameName {
        /// The one that is synced.
        first: PathBuf,
        /// The other one.
        second: PathBuf,
    },
    /// It is the log of another one, with which it travels.
    #[error("of `{}` and `{}` one is a log that belongs to the other and travels with it: name the database alone", .first.display(), .second.display())]
    Log {
        /// The one that is synced.
        first: PathBuf,
        /// The other one.
        second: PathBuf,
    },
    /// It is beyond what one upload may hold.
    #[error(
        "`{}` is too large: with it an upload would hold over 100 GB, or over 250,000 pieces",
        .path.display()
    )]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// Somebody writes it all the time.
    #[error("`{}` keeps changing while it is copied; it is left for the next sync", .path.display())]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// It, or its copy, cannot be read or written.
    #[error("cannot {operation} `{}`: {source}", .path.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// With which file or folder.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// No upload holds it.
    #[error("no upload holds a file `{name}`")]
    NotStored {
        /// The file.
        name: String,
    },
    /// A piece in the vault is not what the manifest says.
    #[error("`{name}`: {reason}")]
    Damaged {
        /// The file.
        name: String,
        /// What differs.
        reason: String,
    },
}

impl FileError {
    /// Returns what the caller has to do about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Busy { .. } => ErrorKind::Unavailable,
            Self::Missing { .. }
            | Self::NotAFile { .. }
            | Self::Name { .. }
            | Self::SameName { .. }
            | Self::Log { .. }
            | Self::TooLarge { .. } => ErrorKind::Config,
            Self::Io { .. } => ErrorKind::Storage,
            Self::NotStored { .. } => ErrorKind::NotFound,
            Self::Damaged { .. } => ErrorKind::Data,
        }
    }

    /// Returns the file that it is about: the one that is not synced, or its name in the vault.
    pub fn path(&self) -> &Path {
        match self {
            Self::Missing { path }
            | Self::NotAFile { path }
            | Self::Name { path }
            | Self::TooLarge { path }
            | Self::Busy { path }
            | Self::Io { path, .. }
            | Self::SameName { second: path, .. }
            | Self::Log { second: path, .. } => path,
            Self::NotStored { name } | Self::Damaged { name, .. } => Path::new(name),
        }
    }

    /// Returns a mapping of an error of the operating system.
    pub(crate) fn io(
        operation: &'static str,
        path: &Path,
    ) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| {
            if source.kind() == io::ErrorKind::NotFound {
                Self::Missing { path }
            } else {
                Self::Io {
                    operation,
                    path,
                    source,
                }
            }
        }
    }
}
