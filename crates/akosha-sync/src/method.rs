//! What every sync method does, what it is asked and what it answers.

use akosha_core::{ErrorKind, UploadId};
use akosha_store::Trigger;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::SyncError;

/// Which methods a sync may use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MethodChoice {
    /// Cloud, then HTTP where fallback is on.
    #[default]
    Auto,
    /// Cloud alone.
    Cloud,
    /// HTTP alone.
    Http,
}

/// How one sync is to be done. It is also what a queued job keeps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncRequest {
    /// Which methods may be used.
    pub method: MethodChoice,
    /// Whether HTTP may be tried after the cloud failed; counts for [`MethodChoice::Auto`].
    pub enable_fallback: bool,
    /// Whether Session-Buddy's reflections travel too.
    pub upload_reflections: bool,
    /// Whether Session-Buddy's knowledge graph travels too.
    pub upload_knowledge_graph: bool,
}

impl Default for SyncRequest {
    fn default() -> Self {
        Self {
            method: MethodChoice::Auto,
            enable_fallback: true,
            upload_reflections: true,
            upload_knowledge_graph: true,
        }
    }
}

/// A file that was not sent while others were.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileFailure {
    /// What happened, to which file.
    pub message: String,
    /// Its class.
    pub kind: ErrorKind,
}

/// What one method did.
#[derive(Debug, Default)]
pub struct MethodReport {
    /// Changes that the target has acknowledged.
    pub memories_uploaded: u64,
    /// Memories that the target refused while it took others: id and reason.
    pub refused: Vec<(String, String)>,
    /// Names of files that were sent.
    pub files_uploaded: Vec<String>,
    /// Why others were left for the next sync.
    pub files_failed: Vec<FileFailure>,
    /// Bytes sent.
    pub bytes_transferred: u64,
    /// Bytes that the target had already.
    pub bytes_deduplicated: u64,
    /// What waits for a person and was told by a failure before.
    pub warnings: Vec<String>,
    /// The uploads that were made, oldest first, where the target has uploads.
    pub upload_ids: Vec<UploadId>,
    /// Why it is not all: what is counted above is acknowledged nevertheless.
    pub error: Option<SyncError>,
}

impl MethodReport {
    /// Adds what another method did after this one; its error is not taken over.
    pub(crate) fn add(&mut self, other: Self) {
        self.memories_uploaded += other.memories_uploaded;
        self.refused.extend(other.refused);
        self.files_uploaded.extend(other.files_uploaded);
        self.files_failed.extend(other.files_failed);
        self.bytes_transferred += other.bytes_transferred;
        self.bytes_deduplicated += other.bytes_deduplicated;
        self.upload_ids.extend(other.upload_ids);
        self.warnings.extend(other.warnings);
    }
}

/// Whether a method can work now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Availability {
    /// It can.
    Available,
    /// It cannot.
    Unavailable(String),
    /// It did not answer in time; a slow line may still carry a sync.
    Unknown(String),
}

/// Is told how far a sync or pull has come. Called often: it must return at once.
pub trait Progress: Send + Sync {
    /// Takes the present state.
    fn update(&self, state: ProgressState);
}

/// How far a sync or pull has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ProgressState {
    /// Bytes done.
    pub bytes: u64,
    /// Bytes to do, where known.
    pub total_bytes: Option<u64>,
    /// Memories done.
    pub memories: u64,
    /// Memories to do, where known.
    pub total_memories: Option<u64>,
}

/// Ignores progress.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoProgress;

impl Progress for NoProgress {
    fn update(&self, _state: ProgressState) {}
}

/// A way to bring what is unsynced to somewhere else. One file and one line in
/// [`HybridSync`](crate::HybridSync) add one.
#[async_trait]
pub trait SyncMethod: Send + Sync {
    /// Returns the name in answers and errors: `cloud`, `http`.
    fn name(&self) -> &'static str;

    /// Returns whether there is anything to send. Looks at the store and at the configured files
    /// alone.
    async fn has_pending(&self, request: &SyncRequest) -> Result<bool, SyncError>;

    /// Returns whether the target has lost what it acknowledged, as far as a quick look tells; where
    /// it does not answer, it has not. Asked where nothing is pending.
    async fn has_lost(&self) -> bool {
        false
    }

    /// Returns the names of files that this method has to send and no other one can. Looks at them
    /// alone, not into them.
    async fn pending_files(&self, _request: &SyncRequest) -> Vec<String> {
        Vec::new()
    }

    /// Returns whether a sync could work now. Takes at most 1 s and never blocks the runtime.
    async fn is_available(&self) -> Availability;

    /// Sends what is unsynced. What is acknowledged stays acknowledged when a later part fails;
    /// the report has both.
    async fn sync(
        &self,
        request: &SyncRequest,
        trigger: Trigger,
        progress: &dyn Progress,
        cancel: &CancellationToken,
    ) -> MethodReport;
}
