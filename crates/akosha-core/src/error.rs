//! The classes of errors and what each asks of the caller.

use serde::Serialize;

/// What went wrong, by what the caller has to do about it.
///
/// Every public error of every crate answers `kind()`. The command line turns it into an exit
/// code, the queue into "retry" or "park", MCP and HTTP into a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// The input breaks a rule. Correct the named field and call again.
    Invalid,
    /// The configuration breaks a rule or lacks a value. Correct the named key.
    Config,
    /// What was asked for does not exist.
    NotFound,
    /// Two writers disagree. Nothing was changed; a person decides.
    Conflict,
    /// Credentials are missing or refused. Retrying does not help.
    Auth,
    /// A timeout, a refused connection, a busy server. The same call may succeed later.
    Unavailable,
    /// Stored bytes are not what they must be. The item is set aside, others proceed.
    Data,
    /// The local disk or database refused. Free space, correct permissions, or repair.
    Storage,
    /// The caller cancelled. Nothing half-done is visible.
    Cancelled,
    /// A defect of Akosha. Report it.
    Internal,
}

impl ErrorKind {
    /// Returns whether the same call may succeed later without anyone changing anything.
    pub fn is_retryable(self) -> bool {
        matches!(self, Self::Unavailable)
    }

    /// Returns the exit code of the command line for this class: 2 usage or configuration,
    /// 4 conflict, 1 everything else.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Invalid | Self::Config => 2,
            Self::Conflict => 4,
            _ => 1,
        }
    }

    /// Returns the name used in JSON answers, such as `not_found`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::Config => "config",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::Auth => "auth",
            Self::Unavailable => "unavailable",
            Self::Data => "data",
            Self::Storage => "storage",
            Self::Cancelled => "cancelled",
            Self::Internal => "internal",
        }
    }
}

/// A value at the edge that breaks its rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{field}` {reason}")]
pub struct Invalid {
    /// The field as the caller knows it, such as `memory_id` or `metadata.created_at`.
    pub field: String,
    /// What is wrong with the value and what is allowed.
    pub reason: String,
}

impl Invalid {
    /// Creates the error for `field`; `reason` continues the sentence that starts with it.
    pub fn new(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            reason: reason.into(),
        }
    }
}

/// Longest value in characters that an error message shows whole.
const SHOWN: usize = 80;

/// Returns a value as messages show it: cut where it is long, control characters escaped.
pub fn excerpt(value: &str) -> String {
    let shown: String = value.chars().take(SHOWN).collect();
    let dots = if shown.len() < value.len() { "…" } else { "" };
    format!("{}{dots}", shown.escape_debug())
}

/// Returns a value in backticks as messages show it.
pub(crate) fn quote(value: &str) -> String {
    format!("`{}`", excerpt(value))
}
