//! What can go wrong in a sync, by the method in which it did.

use akosha_core::{ErrorKind, SystemId};
use akosha_store::StoreError;

use crate::crypt::{KeyError, SegmentSealError};
use crate::epoch;
use crate::manifest::ManifestError;
use crate::received::ReceiveError;
use crate::segment::SegmentError;
use crate::vault::VaultError;

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
    #[error("[{method}] {message}")]
    Conflict {
        /// The method that found it.
        method: &'static str,
        /// The epoch under which the other one writes; `None` where the id cannot be taken over.
        epoch: Option<i64>,
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
    /// Something on this machine stands in the way.
    #[error("[sync] {message}")]
    Local {
        /// What happened.
        message: String,
        /// What to do.
        hint: String,
        /// Its class.
        kind: ErrorKind,
    },
    /// The caller cancelled.
    #[error("[sync] cancelled")]
    Cancelled,
}

impl SyncError {
    /// Creates the error of a system id that another writer has. `epoch` may be what others said
    /// it is: only one that can be exceeded lets the id be taken over.
    pub(crate) fn taken(
        method: &'static str,
        system_id: &SystemId,
        epoch: Option<i64>,
        message: String,
    ) -> Self {
        let rename = "set another `system_id` on this machine (`akosha config show` tells where it \
                      comes from): what it has not synced moves there with the next `akosha sync`";
        let epoch = epoch.filter(|epoch| epoch::after(*epoch).is_some());
        let hint = match epoch {
            Some(_) => {
                format!("{rename}; or take the id over: `akosha machines adopt {system_id}`")
            }
            None => rename.to_owned(),
        };
        Self::Conflict {
            method,
            epoch,
            message,
            hint,
        }
    }

    /// Creates the error of a sync that needs a bucket where none is set.
    pub(crate) fn no_bucket(message: String) -> Self {
        Self::Config {
            message,
            hint: "set `cloud_bucket` in the configuration file, for example to \
                   `file:///path/of/a/folder`; `akosha config show` names the file, `akosha config \
                   init` writes one"
                .into(),
        }
    }

    /// Creates the error of a vault that does not hold what was written to it.
    pub(crate) fn damaged(message: String) -> Self {
        Self::CloudUpload {
            message,
            hint: Some("nothing was acknowledged; repeat the sync: `akosha sync`".into()),
            kind: ErrorKind::Data,
            source: None,
        }
    }

    /// Creates the error of work on a blocking thread that ended without a result: it panicked,
    /// or the runtime is going down.
    pub(crate) fn of_join(error: &tokio::task::JoinError) -> Self {
        if error.is_panic() {
            Self::Local {
                message: "a task failed in a way that it must not".into(),
                hint: "this is a defect: report it with the output of `akosha sync -vv`".into(),
                kind: ErrorKind::Internal,
            }
        } else {
            Self::Cancelled
        }
    }

    /// Gives an error of the vault that time may heal the hint that helps who pulls.
    pub(crate) fn in_pull(mut self) -> Self {
        if let Self::CloudUpload { hint, kind, .. } = &mut self
            && *kind == ErrorKind::Unavailable
        {
            *hint = Some(
                "check the network, `cloud_bucket` and `cloud_endpoint`, then repeat: `akosha \
                 pull`; what was pulled before stays"
                    .into(),
            );
        }
        self
    }

    /// Returns the method in which it happened.
    pub fn method(&self) -> &'static str {
        match self {
            Self::CloudUpload { .. } => "cloud",
            Self::Conflict { method, .. } => method,
            Self::HttpSync { .. } => "http",
            Self::Hybrid { .. } => "hybrid",
            Self::Config { .. } => "config",
            Self::Queue(_) => "queue",
            Self::Local { .. } | Self::Cancelled => "sync",
        }
    }

    /// Returns the message without the method.
    pub fn message(&self) -> String {
        match self {
            Self::CloudUpload { message, .. }
            | Self::HttpSync { message, .. }
            | Self::Conflict { message, .. }
            | Self::Local { message, .. }
            | Self::Config { message, .. } => message.clone(),
            Self::Hybrid { errors } => {
                let shown: Vec<String> = errors.iter().map(ToString::to_string).collect();
                shown.join("; ")
            }
            Self::Queue(error) => error.to_string(),
            Self::Cancelled => "cancelled".into(),
        }
    }

    /// Returns what the caller has to do about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::CloudUpload { kind, .. }
            | Self::HttpSync { kind, .. }
            | Self::Local { kind, .. } => *kind,
            Self::Conflict { .. } => ErrorKind::Conflict,
            Self::Config { .. } => ErrorKind::Config,
            Self::Queue(error) => error.kind(),
            Self::Cancelled => ErrorKind::Cancelled,
            Self::Hybrid { errors } => Self::kind_of(errors),
        }
    }

    /// Returns the class of several errors as one: a conflict where there is any, else that of
    /// the first, which comes from the method that is preferred.
    pub fn kind_of(errors: &[Self]) -> ErrorKind {
        let kinds = || errors.iter().map(Self::kind);
        kinds()
            .find(|kind| *kind == ErrorKind::Conflict)
            .or_else(|| kinds().next())
            .unwrap_or(ErrorKind::Internal)
    }

    /// Returns whether the same sync may succeed later without anyone changing anything.
    pub fn is_retryable(&self) -> bool {
        self.kind().is_retryable()
    }

    /// Returns what to do now.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::CloudUpload { hint, .. } | Self::HttpSync { hint, .. } => hint.clone(),
            Self::Conflict { hint, .. } | Self::Config { hint, .. } | Self::Local { hint, .. } => {
                Some(hint.clone())
            }
            Self::Queue(error) => error.hint(),
            Self::Hybrid { errors } => errors.iter().find_map(Self::hint),
            Self::Cancelled => None,
        }
    }
}

impl From<VaultError> for SyncError {
    fn from(error: VaultError) -> Self {
        Self::CloudUpload {
            message: error.to_string(),
            hint: error.hint(),
            kind: match error.kind() {
                // An object that has to be there and is not: the vault is damaged.
                ErrorKind::NotFound if error.is_not_found() => ErrorKind::Data,
                kind => kind,
            },
            source: Some(Box::new(error)),
        }
    }
}

impl From<ManifestError> for SyncError {
    fn from(error: ManifestError) -> Self {
        match error {
            // The upload is right, so it must not be taken for damaged.
            ManifestError::KeyMissing { .. } => Self::Config {
                message: error.to_string(),
                hint: "print the phrase where the key is, `akosha key show --phrase`, and bring \
                       it here: `akosha key import`"
                    .into(),
            },
            error => Self::damaged(error.to_string()),
        }
    }
}

impl From<KeyError> for SyncError {
    fn from(error: KeyError) -> Self {
        let (message, hint) = (error.to_string(), error.hint());
        match error.kind() {
            ErrorKind::Config => Self::Config { message, hint },
            kind => Self::Local {
                message,
                hint,
                kind,
            },
        }
    }
}

impl From<ReceiveError> for SyncError {
    fn from(error: ReceiveError) -> Self {
        match error {
            ReceiveError::Vault(error) => error.into(),
            ReceiveError::Manifest(error) => error.into(),
            error @ ReceiveError::Segment { .. } => Self::damaged(error.to_string()),
            ReceiveError::Disk(error) => SegmentError::Io(error).into(),
            ReceiveError::Lost(error) => error,
        }
    }
}

impl From<SegmentSealError> for SyncError {
    fn from(error: SegmentSealError) -> Self {
        match error {
            SegmentSealError::Io(error) => SegmentError::Io(error).into(),
            error => SegmentError::Write(error.to_string()).into(),
        }
    }
}

impl From<SegmentError> for SyncError {
    fn from(error: SegmentError) -> Self {
        let hint = match error.kind() {
            ErrorKind::Storage => "free space on the disk of the home, then repeat the call",
            _ => "nothing was acknowledged; repeat the sync: `akosha sync`",
        };
        Self::CloudUpload {
            message: error.to_string(),
            hint: Some(hint.into()),
            kind: error.kind(),
            source: Some(Box::new(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_taken_over_only_where_its_epoch_can_be_exceeded() {
        let taken = |said| {
            let system_id = "laptop".parse().unwrap();
            match SyncError::taken("http", &system_id, said, String::new()) {
                SyncError::Conflict { epoch, hint, .. } => (epoch, hint.contains("adopt")),
                error => panic!("{error}"),
            }
        };
        assert_eq!(taken(Some(0)), (Some(0), true));
        for said in [None, Some(-1), Some(epoch::MAX), Some(i64::MAX)] {
            assert_eq!(taken(said), (None, false), "{said:?}");
        }
    }
}
