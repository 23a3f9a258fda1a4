//! What can go wrong in a sync, by the method in which it did.

use akosha_core::ErrorKind;
use akosha_store::StoreError;

/// An error of a sync, shown as `[method] message`.
#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    /// The cloud upload failed.
    #[error("[cloud] {message}")]
    CloudUpload {
        /// What happened, to what.
        message: String,
        /// What to do.
        hint: Option<String>,
        /// Its class.
        kind: ErrorKind,
        /// What caused it.
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// The HTTP push failed.
    #[error("[http] {message}")]
    HttpSync {
        /// What happened, to what.
        message: String,
        /// What to do.
        hint: Option<String>,
        /// Its class.
        kind: ErrorKind,
        /// What caused it.
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// Every method failed.
    #[error("[hybrid] {}", .errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Hybrid {
        /// The errors in the order in which the methods were tried.
        errors: Vec<SyncError>,
    },
    /// Another writer uses the same system id.
    #[error("[cloud] {message}")]
    Conflict {
        /// Who and since when.
        message: String,
        /// What to do.
        hint: String,
    },
    /// The configuration does not allow the sync.
    #[error("[config] {message}")]
    Config {
        /// What is wrong or missing.
        message: String,
        /// What to do.
        hint: String,
    },
    /// The queue or the store failed.
    #[error("[queue] {0}")]
    Queue(#[from] StoreError),
    /// The caller cancelled.
    #[error("[sync] cancelled")]
    Cancelled,
}

impl SyncError {
    /// Returns the method in which it happened.
    pub fn method(&self) -> &'static str {
        match self {
            Self::CloudUpload { .. } | Self::Conflict { .. } => "cloud",
            Self::HttpSync { .. } => "http",
            Self::Hybrid { .. } => "hybrid",
            Self::Config { .. } => "config",
            Self::Queue(_) => "queue",
            Self::Cancelled => "sync",
        }
    }

    /// Returns the message without the method.
    pub fn message(&self) -> String {
        match self {
            Self::CloudUpload { message, .. }
            | Self::HttpSync { message, .. }
            | Self::Conflict { message, .. }
            | Self::Config { message, .. } => message.clone(),
            Self::Hybrid { errors } => {
                let shown: Vec<String> = errors.iter().map(ToString::to_string).collect();
                shown.join("; ")
            }
            Self::Queue(error) => error.to_string(),
            Self::Cancelled => "cancelled".into(),
        }
    }

    /// Returns what the caller has to do about it. Of several errors the one decides that a
    /// person has to act on; where time may heal any of them, the whole can be tried again.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::CloudUpload { kind, .. } | Self::HttpSync { kind, .. } => *kind,
            Self::Conflict { .. } => ErrorKind::Conflict,
            Self::Config { .. } => ErrorKind::Config,
            Self::Queue(error) => error.kind(),
            Self::Cancelled => ErrorKind::Cancelled,
            Self::Hybrid { errors } => {
                let mut kinds = errors.iter().map(Self::kind);
                let first = kinds.next().unwrap_or(ErrorKind::Internal);
                let rest: Vec<ErrorKind> = kinds.collect();
                if first == ErrorKind::Conflict || rest.contains(&ErrorKind::Conflict) {
                    ErrorKind::Conflict
                } else if first.is_retryable() || rest.iter().any(|kind| kind.is_retryable()) {
                    ErrorKind::Unavailable
                } else {
                    first
                }
            }
        }
    }

    /// Returns whether the same sync may succeed later without anyone changing anything.
    pub fn is_retryable(&self) -> bool {
        self.kind().is_retryable()
    }

    /// Returns what to do now.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::CloudUpload { hint, .. } | Self::HttpSync { hint, .. } => hint.clone(),
            Self::Conflict { hint, .. } | Self::Config { hint, .. } => Some(hint.clone()),
            Self::Queue(error) => error.hint(),
            Self::Hybrid { errors } => errors.iter().find_map(Self::hint),
            Self::Cancelled => None,
        }
    }
}
