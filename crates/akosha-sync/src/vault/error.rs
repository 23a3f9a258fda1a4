//! What can go wrong with a vault.

use std::path::PathBuf;

use akosha_core::ErrorKind;

/// How the key of a head ends.
const HEAD: &str = "/head.json";

/// An error of a vault. Messages name the object and never hold credentials: of what a service
/// answers only the status and the error code are kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// The configuration does not lead to a vault.
    #[error("`{setting}` {message}")]
    Config {
        /// The setting.
        setting: &'static str,
        /// What is wrong with it.
        message: String,
        /// What to do.
        hint: String,
    },
    /// No such object.
    #[error("the vault has no `{key}`")]
    NotFound {
        /// The object.
        key: String,
    },
    /// The bucket does not exist.
    #[error("the bucket `{bucket}` does not exist")]
    NoBucket {
        /// The bucket.
        bucket: String,
    },
    /// Credentials are missing, wrong or not sufficient.
    #[error("the vault refused to {operation} `{key}`: {reason}")]
    Auth {
        /// What was tried.
        operation: &'static str,
        /// The object or listing.
        key: String,
        /// Status and code of the answer.
        reason: String,
    },
    /// A timeout, a broken connection, a busy service.
    #[error("could not {operation} `{key}`: {reason}")]
    Unavailable {
        /// What was tried.
        operation: &'static str,
        /// The object or listing.
        key: String,
        /// What happened.
        reason: String,
    },
    /// The disk of a folder refused, or a local file that is sent or received.
    #[error("the disk refused to {operation} `{path}`: {reason}")]
    Storage {
        /// What was tried.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// The service understood and refused.
    #[error("the vault cannot {operation} `{key}`: {reason}")]
    Refused {
        /// What was tried.
        operation: &'static str,
        /// The object or listing.
        key: String,
        /// Status and code of the answer.
        reason: String,
    },
    /// A newer program wrote it, in a format that this one does not know.
    #[error("`{key}` has the version `{version}`, this program reads 1.x")]
    Newer {
        /// The object.
        key: String,
        /// Its version.
        version: String,
    },
    /// An object is larger than it may be.
    #[error("`{key}` is {size} bytes or more, the limit is {limit}")]
    TooLarge {
        /// The object.
        key: String,
        /// Bytes that were announced or seen.
        size: u64,
        /// Bytes that are allowed.
        limit: u64,
    },
    /// An object is not what its name or its manifest says.
    #[error("`{key}` is damaged: {reason}")]
    Damaged {
        /// The object.
        key: String,
        /// What differs.
        reason: String,
    },
}

impl VaultError {
    /// Returns what the caller has to do about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Config { .. } | Self::Refused { .. } => ErrorKind::Config,
            Self::NotFound { .. } | Self::NoBucket { .. } => ErrorKind::NotFound,
            Self::Auth { .. } => ErrorKind::Auth,
            Self::Unavailable { .. } => ErrorKind::Unavailable,
            Self::Storage { .. } => ErrorKind::Storage,
            Self::TooLarge { .. } | Self::Damaged { .. } | Self::Newer { .. } => ErrorKind::Data,
        }
    }

    /// Returns what to do now.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Config { hint, .. } => hint.as_str(),
            Self::NoBucket { .. } => "create the bucket, or correct `cloud_bucket`",
            Self::Auth { reason, .. } if reason.contains("Skewed") => {
                "set this machine's clock; requests more than 15 minutes off are refused"
            }
            Self::Auth { reason, .. } if reason.contains("no credentials") => {
                "set `cloud_access_key` and `cloud_secret_key`, or the provider's own variables: \
                 see `docs/providers.md`; `akosha doctor` says what was looked for"
            }
            Self::Auth { .. } => {
                "check `cloud_access_key`, `cloud_secret_key` and what they may do in the bucket"
            }
            Self::Unavailable { .. } => {
                "check the network and `cloud_endpoint`; what was not sent stays queued"
            }
            Self::Storage { .. } => "free space on the disk, or correct the permissions",
            Self::Newer { .. } => "use the newest akosha on this machine too",
            Self::Refused { .. } => "check `cloud_endpoint` and `cloud_region`",
            Self::TooLarge { key, .. } | Self::Damaged { key, .. } if key.ends_with(HEAD) => {
                "it only names the newest upload, and every upload is still there; have it written \
                 anew: `akosha vault repair`"
            }
            Self::NotFound { .. } | Self::TooLarge { .. } | Self::Damaged { .. } => return None,
        };
        Some(hint.to_owned())
    }

    /// Returns whether the same call may succeed later without anyone changing anything.
    pub fn is_retryable(&self) -> bool {
        self.kind().is_retryable()
    }

    /// Returns whether the object is not there.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }
}
