//! The one place that turns errors into what a person reads: message, hint, kind and exit code.
//!
//! A message is lower-case, one line and names what it is about in backticks. Every message has a
//! hint: a command that helps, or what to correct.

use std::io;
use std::path::Path;

use akosha_core::config::{ConfigError, WritesRefused};
use akosha_core::{ErrorKind, Invalid};
use akosha_store::StoreError;
use akosha_sync::SyncError;

use crate::show::counted;

/// What to do about a configuration whose errors are listed.
const CORRECT: &str = "correct them, then see `akosha config check`";

/// How a command ended, as its exit code says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done.
    Done = 0,
    /// Failed.
    Failed = 1,
    /// The command line or the configuration is wrong.
    Usage = 2,
    /// Partly done; the rest is named.
    Partial = 3,
    /// Two writers disagree; nothing was changed.
    Conflict = 4,
}

impl Exit {
    /// Returns the exit code of an error of this class.
    pub(crate) fn of(kind: ErrorKind) -> Self {
        match kind.exit_code() {
            2 => Self::Usage,
            4 => Self::Conflict,
            _ => Self::Failed,
        }
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub(crate) struct Failure {
    /// What happened, to what.
    pub(crate) message: String,
    /// What to do about it; the class of the error has one where this is `None`.
    pub(crate) hint: Option<String>,
    /// The class.
    pub(crate) kind: ErrorKind,
    /// Each setting that breaks its rule.
    pub(crate) settings: Vec<ConfigError>,
}

impl Failure {
    /// Creates a failure of the class `kind`.
    pub(crate) fn new(
        kind: ErrorKind,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self {
            message: message.into(),
            hint: Some(hint.into()),
            kind,
            settings: Vec::new(),
        }
    }

    /// Creates the failure of a call of the system on `path`; `doing` is such as `read`.
    pub(crate) fn of_file(doing: &str, path: &Path, error: &io::Error) -> Self {
        Self::new(
            ErrorKind::Storage,
            format!("cannot {doing} `{}`: {error}", path.display()),
            "correct the path or its permissions, then repeat the command",
        )
    }

    /// Creates the failure of a configuration with `errors`, which are listed all.
    pub(crate) fn of_config(errors: &[ConfigError]) -> Self {
        let count = counted(errors.len() as u64, "error", "errors");
        Self {
            message: format!("the configuration has {count}"),
            hint: Some(CORRECT.into()),
            kind: ErrorKind::Config,
            settings: errors.to_vec(),
        }
    }

    /// Returns the exit code.
    pub(crate) fn exit(&self) -> Exit {
        Exit::of(self.kind)
    }

    /// Gives a failure without a hint the one that helps with its class in `command`.
    pub(crate) fn in_command(mut self, command: &str) -> Self {
        self.hint
            .get_or_insert_with(|| default_hint(self.kind, command));
        self
    }
}

fn default_hint(kind: ErrorKind, command: &str) -> String {
    match kind {
        ErrorKind::Invalid => format!("see what it takes: `akosha {command} --help`"),
        ErrorKind::Config => "see what is wrong: `akosha config check`".into(),
        ErrorKind::NotFound => "see what is stored: `akosha list`".into(),
        ErrorKind::Conflict => "see what disagrees: `akosha status`".into(),
        ErrorKind::Auth => "check the credentials: `akosha config show`".into(),
        ErrorKind::Unavailable => {
            format!("repeat it later; see what answers: `akosha status`, `akosha {command} -v`")
        }
        ErrorKind::Data => "see what is set aside: `akosha status`".into(),
        ErrorKind::Storage => "free space or correct permissions, then repeat the command".into(),
        ErrorKind::Cancelled => format!("nothing is lost; repeat `akosha {command}`"),
        ErrorKind::Internal => {
            format!("this is a defect: report it with the output of `akosha {command} -vv`")
        }
    }
}

impl From<WritesRefused> for Failure {
    fn from(refused: WritesRefused) -> Self {
        Self {
            message: refused.to_string(),
            hint: Some(CORRECT.into()),
            kind: refused.kind(),
            settings: refused.errors,
        }
    }
}

impl From<Invalid> for Failure {
    fn from(error: Invalid) -> Self {
        Self {
            message: error.to_string(),
            hint: None,
            kind: ErrorKind::Invalid,
            settings: Vec::new(),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self {
            message: error.to_string(),
            hint: error.hint(),
            kind: error.kind(),
            settings: Vec::new(),
        }
    }
}

impl From<SyncError> for Failure {
    fn from(error: SyncError) -> Self {
        Self {
            message: error.to_string(),
            hint: error.hint(),
            kind: error.kind(),
            settings: Vec::new(),
        }
    }
}

impl From<akosha_mcp::Failure> for Failure {
    fn from(failure: akosha_mcp::Failure) -> Self {
        Self {
            message: failure.message,
            hint: failure.hint,
            kind: failure.kind,
            settings: Vec::new(),
        }
    }
}
