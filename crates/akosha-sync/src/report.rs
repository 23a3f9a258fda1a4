//! What a whole sync answers.

use std::time::Duration;

use akosha_core::{ErrorKind, JobId};
use serde::Serialize;

use crate::{FileFailure, HybridOutcome, SyncError};

/// What a sync did, as `sync_to_akosha` and `akosha sync --json` answer it.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct SyncReport {
    /// The method that brought it, or the first that brought a part; `none` where none did.
    pub method: &'static str,
    /// Whether everything that was unsynced is stored and verified at the target.
    pub success: bool,
    /// Names of files that were sent.
    pub files_uploaded: Vec<String>,
    /// Changes that the target has acknowledged.
    pub memories_uploaded: u64,
    /// Bytes sent.
    pub bytes_transferred: u64,
    /// Bytes that the target had already.
    pub bytes_deduplicated: u64,
    /// Seconds that it took.
    pub duration_seconds: f64,
    /// The newest upload.
    pub upload_id: Option<String>,
    /// All uploads, oldest first.
    pub upload_ids: Vec<String>,
    /// What went wrong, all methods in one line.
    pub error: Option<String>,
    /// What went wrong, by method.
    pub errors: Vec<MethodError>,
    /// What waits for a person: it was told by an error before, and the rest is synced.
    pub warnings: Vec<String>,
    /// The method that failed before another one took over.
    pub fallback_from: Option<&'static str>,
    /// What asked for it: `manual`, `session_end`.
    pub triggered_by: &'static str,
    /// The job under which it is on record.
    pub job_id: Option<JobId>,
    /// What to do about the error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The class of the error.
    #[serde(skip)]
    pub kind: Option<ErrorKind>,
    /// Whether all memories are synced and only files are not.
    #[serde(skip)]
    pub lacks_files_alone: bool,
}

impl SyncReport {
    /// Returns whether some of it arrived and some did not.
    pub fn is_partial(&self) -> bool {
        let has_sent = self.memories_uploaded > 0 || !self.files_uploaded.is_empty();
        !self.success && (has_sent || self.lacks_files_alone)
    }

    /// Sets how long it took.
    pub fn took(&mut self, duration: Duration) {
        self.duration_seconds = duration.as_secs_f64();
    }

    /// Takes in what became of the methods.
    pub(crate) fn fill(&mut self, outcome: HybridOutcome) {
        let HybridOutcome {
            done,
            brought,
            report: sent,
            errors,
        } = outcome;
        self.files_uploaded = sent.files_uploaded;
        self.memories_uploaded = sent.memories_uploaded;
        self.bytes_transferred = sent.bytes_transferred;
        self.bytes_deduplicated = sent.bytes_deduplicated;
        self.upload_ids = sent.upload_ids.into_iter().map(String::from).collect();
        self.upload_id = self.upload_ids.last().cloned();
        self.warnings = sent.warnings;
        self.method = done.or(brought).unwrap_or("none");
        let Some(method) = done else {
            return self.fail(errors);
        };
        self.fallback_from = errors.first().map(SyncError::method);
        self.errors = errors.iter().map(MethodError::of).collect();
        self.success = sent.refused.is_empty() && sent.files_failed.is_empty();
        self.lacks_files_alone = !sent.files_failed.is_empty() && sent.refused.is_empty();
        self.name_files(&sent.files_failed);
        self.name_refused(method, &sent.refused);
    }

    fn name_files(&mut self, failed: &[FileFailure]) {
        let Some(first) = failed.first() else {
            return;
        };
        self.error = Some(format!("[files] {}", first.message));
        self.errors.extend(failed.iter().map(|failure| MethodError {
            method: "files",
            error: failure.message.clone(),
        }));
        // It is tried again by itself where time heals one of them.
        let kinds = || failed.iter().map(|failure| failure.kind);
        self.kind = kinds().find(|kind| kind.is_retryable()).or(kinds().next());
        self.hint = Some(
            "everything else is synced; correct `files`, or repeat it later: `akosha sync`".into(),
        );
    }

    fn name_refused(&mut self, method: &'static str, refused: &[(String, String)]) {
        let Some((memory_id, reason)) = refused.first() else {
            return;
        };
        let count = refused.len();
        let message =
            format!("{count} memories were refused, the first is `{memory_id}`: {reason}");
        self.error = Some(format!("[{method}] {message}"));
        self.errors.push(MethodError {
            method,
            error: message,
        });
        self.kind = Some(ErrorKind::Data);
        self.hint = Some(format!(
            "correct or forget it: `akosha get {memory_id}`; it is offered again on every sync"
        ));
    }

    /// Takes in that nothing brought everything.
    pub(crate) fn fail(&mut self, mut errors: Vec<SyncError>) {
        self.success = false;
        self.errors = errors.iter().map(MethodError::of).collect();
        let error = match errors.pop() {
            Some(only) if errors.is_empty() => only,
            last => {
                errors.extend(last);
                SyncError::Hybrid { errors }
            }
        };
        self.error = Some(error.to_string());
        self.kind = Some(error.kind());
        self.hint = error.hint();
    }
}

/// An error of one method.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MethodError {
    /// The method, or what else failed: `cloud`, `http`, `files`, `config`, `queue`, `sync`.
    pub method: &'static str,
    /// What happened.
    pub error: String,
}

impl MethodError {
    fn of(error: &SyncError) -> Self {
        Self {
            method: error.method(),
            error: error.message(),
        }
    }
}
