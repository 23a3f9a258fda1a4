//! Import: memories from files and other tools.
//!
//! A format is a [`Source`]: one file or folder beside this one, and one line in [`SOURCES`].

mod batch;
mod front_matter;
mod markdown;
mod sections;
mod session_buddy;
#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use akosha_core::ErrorKind;
use akosha_core::redact::Redactor;
use akosha_store::{Store, StoreError};
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Map, Value};

use batch::Batcher;

/// Every format that can be imported.
const SOURCES: &[&dyn Source] = &[&markdown::Markdown, &session_buddy::SessionBuddy];

/// A format: finds what there is to remember below a path.
pub(crate) trait Source: Sync {
    /// Returns the name that the command line knows it by.
    fn name(&self) -> &'static str;

    /// Says what it reads, for who found nothing.
    fn reads(&self) -> &'static str;

    /// Returns where it looks when no path is named.
    fn default_path(&self) -> Option<PathBuf> {
        None
    }

    /// Reads everything below `path` and gives it to `sink`, one file at a time. What cannot be
    /// read is given to [`Sink::skip`] and stops nothing else. `temporary` is a folder for files
    /// that are gone when this returns.
    ///
    /// # Errors
    /// Fails where `path` itself cannot be read, and with what `sink` answers.
    fn read(&self, path: &Path, temporary: &Path, sink: &mut dyn Sink) -> Result<(), ImportError>;
}

/// Takes what a [`Source`] finds.
pub(crate) trait Sink {
    /// Takes one memory.
    ///
    /// # Errors
    /// Fails where the store does.
    fn take(&mut self, item: Item) -> Result<(), ImportError>;

    /// Takes note of a file that was not imported.
    fn skip(&mut self, path: String, reason: String);
}

/// One memory as a source found it.
#[derive(Debug)]
pub(crate) struct Item {
    /// The file, as messages name it.
    pub(crate) path: String,
    /// An id that is the same whenever and wherever the same thing is imported.
    pub(crate) memory_id: String,
    /// The text, at most 1 MiB.
    pub(crate) text: String,
    /// The metadata.
    pub(crate) metadata: Map<String, Value>,
    /// The vector, where there is one; one that is not 384 finite numbers is left out.
    pub(crate) embedding: Option<Vec<f32>>,
    /// When it was probably made, where the metadata does not say. A memory that is stored
    /// already keeps its time, so that a touched file is not a change.
    pub(crate) made_at: Option<DateTime<Utc>>,
}

/// What an import did, as `akosha import --json` answers it.
#[derive(Debug, Default, Clone, PartialEq, Serialize)]
pub(crate) struct ImportReport {
    /// Memories that were found.
    pub(crate) read: u64,
    /// Memories that were not here before.
    pub(crate) stored: u64,
    /// Memories that have a new revision.
    pub(crate) updated: u64,
    /// Memories that were here already.
    pub(crate) duplicates: u64,
    /// What was not imported.
    pub(crate) skipped: Vec<Skipped>,
    /// Secrets that were taken out.
    pub(crate) redactions: u64,
    /// Vectors without which memories were stored, since they are not 384 finite numbers.
    pub(crate) vectors_left_out: u64,
    /// Seconds that it took.
    pub(crate) duration_seconds: f64,
    /// What is read, where nothing was found.
    pub(crate) hint: Option<&'static str>,
}

/// A file, or a part of one, that was not imported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Skipped {
    /// The file.
    pub(crate) path: String,
    /// Why.
    pub(crate) reason: String,
}

/// What can go wrong with a whole import. What was stored before stays stored.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ImportError {
    /// No such format.
    #[error("unknown format `{format}`, known are: {}", known.join(", "))]
    UnknownFormat {
        /// The format asked for.
        format: String,
        /// The formats there are.
        known: Vec<&'static str>,
    },
    /// The path cannot be read.
    #[error("cannot read `{}`: {source}", path.display())]
    Path {
        /// The path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The path is a file of another kind.
    #[error("`{}` is no file that `{format}` reads", path.display())]
    Kind {
        /// The format.
        format: &'static str,
        /// The file.
        path: PathBuf,
        /// What the format reads.
        reads: &'static str,
    },
    /// No path is named, and the format has no usual place.
    #[error("`{format}` needs a path")]
    NoPath {
        /// The format.
        format: &'static str,
    },
    /// A database of another tool cannot be read.
    #[error(transparent)]
    Database(#[from] session_buddy::DatabaseError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ImportError {
    /// Returns what the caller has to do about it.
    pub(crate) fn kind(&self) -> ErrorKind {
        match self {
            Self::UnknownFormat { .. } | Self::NoPath { .. } | Self::Kind { .. } => {
                ErrorKind::Invalid
            }
            Self::Path { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                ErrorKind::NotFound
            }
            Self::Path { .. } => ErrorKind::Storage,
            Self::Database(error) => error.kind(),
            Self::Store(error) => error.kind(),
        }
    }

    /// Returns what to do now, where there is something to do.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownFormat { known, .. } => {
                let format = known.first()?;
                Some(format!("name one of them: `akosha import {format} PATH`"))
            }
            Self::NoPath { format } => Some(format!("name it: `akosha import {format} PATH`")),
            Self::Kind { reads, .. } => Some((*reads).to_owned()),
            Self::Database(error) => Some(error.hint()),
            Self::Path { .. } => Some("name a file or a directory that you may read".into()),
            Self::Store(error) => error.hint(),
        }
    }
}

/// Returns the names of all formats.
pub(crate) fn formats() -> Vec<&'static str> {
    SOURCES.iter().map(|source| source.name()).collect()
}

/// Imports what lies at `path`, else where the format usually lies, as memories of this node.
/// Importing the same again stores nothing. `progress` is told how many memories were handled so
/// far.
///
/// Blocks; holds no more than one file and one batch of memories.
///
/// # Errors
/// Fails where the format is unknown, `path` cannot be read, or the store fails.
pub(crate) fn run(
    format: &str,
    path: Option<&Path>,
    store: &Store,
    redactor: &Redactor,
    progress: &mut dyn FnMut(u64),
) -> Result<ImportReport, ImportError> {
    let started = Instant::now();
    let source = SOURCES
        .iter()
        .find(|source| source.name() == format)
        .ok_or_else(|| ImportError::UnknownFormat {
            format: format.to_owned(),
            known: formats(),
        })?;
    let path = path
        .map(Path::to_owned)
        .or_else(|| source.default_path())
        .ok_or(ImportError::NoPath {
            format: source.name(),
        })?;
    let mut batcher = Batcher::new(store, redactor, progress);
    source.read(&path, &store.home().temporary(), &mut batcher)?;
    let mut report = batcher.finish()?;
    if report.read == 0 && report.skipped.is_empty() {
        report.hint = Some(source.reads());
    }
    report.duration_seconds = started.elapsed().as_secs_f64();
    Ok(report)
}

/// Returns the text of a value that is no list and no object.
fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        _ => None,
    }
}
