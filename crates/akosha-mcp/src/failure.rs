//! What a call that failed says: what happened, its class, and what to do.

use akosha_core::config::LoadedConfig;
use akosha_core::{ErrorKind, Invalid};
use akosha_store::StoreError;
use akosha_sync::SyncError;

/// A failure as a client is told of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// What it asks of the caller.
    pub kind: ErrorKind,
    /// What happened, to what.
    pub message: String,
    /// What to do now, where there is something to do.
    pub hint: Option<String>,
}

impl Failure {
    /// Creates a failure without a hint.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            hint: None,
        }
    }

    /// Adds what to do.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl From<Invalid> for Failure {
    fn from(error: Invalid) -> Self {
        Self::new(ErrorKind::Invalid, error.to_string())
            .with_hint(format!("correct `{}` and call again", error.field))
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let hint = match &error {
            StoreError::Invalid(invalid) => return invalid.clone().into(),
            StoreError::NoMemory(_) => {
                Some("find its id with `search_memories` or `list_memories`".into())
            }
            StoreError::Ambiguous { .. } => Some("name the system in `system_id`".into()),
            other => other.hint(),
        };
        Self {
            kind: error.kind(),
            message: error.to_string(),
            hint,
        }
    }
}

impl From<SyncError> for Failure {
    fn from(error: SyncError) -> Self {
        Self {
            kind: error.kind(),
            message: error.to_string(),
            hint: error.hint(),
        }
    }
}

/// Checks that the configuration says whose memories are written and what is taken out of them.
///
/// # Errors
/// Names the settings that are wrong.
pub(crate) fn check_writes(config: &LoadedConfig) -> Result<(), Failure> {
    config.check_writes().map_err(|refused| {
        let shown: Vec<String> = refused.errors.iter().map(ToString::to_string).collect();
        Failure::new(refused.kind(), format!("{refused}: {}", shown.join("; ")))
            .with_hint("correct it, see `akosha config check`, then start the server again")
    })
}
