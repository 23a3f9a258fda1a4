//! What can be wrong with a key, a sealed object or a signature.

use std::path::PathBuf;

use akosha_core::ErrorKind;

use super::{KeyId, PublicKey};

/// Why the keys of a home cannot be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The vault is to be encrypted, and there is no key.
    #[error("`encryption` is `on`, but this home has no key")]
    Missing,
    /// Signatures are required, and there is no key to sign with.
    #[error("`require_signatures` is `true`, but this home has no key to sign with")]
    Unsigned,
    /// There is no key that could be shown or replaced.
    #[error("this home has no key")]
    None,
    /// The home has no such key.
    #[error("this home has no key `{key_id}`")]
    Unknown {
        /// The key that was asked for.
        key_id: KeyId,
    },
    /// A key is there already.
    #[error("this home has a key already, `{key_id}`")]
    Exists {
        /// The current key.
        key_id: KeyId,
    },
    /// Others may read the file.
    #[error("the mode {mode:04o} of `{}` lets others at the keys", .path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// The file is not what this program writes.
    #[error("{what} is no key file: {reason}")]
    Damaged {
        /// The file, by its path, or what else was read.
        what: String,
        /// What is wrong.
        reason: String,
    },
    /// The keys are more than a home may hold.
    #[error("{count} keys are too many for this home: their file would have over {limit} bytes")]
    TooMany {
        /// How many there would be.
        count: usize,
        /// Largest file in bytes.
        limit: u64,
    },
    /// What was given is no recovery phrase.
    #[error("the recovery phrase {reason}")]
    Phrase {
        /// Which rule it breaks.
        reason: String,
    },
    /// The file cannot be read or written.
    #[error("cannot {operation} `{}`: {source}", .path.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The operating system gives no random numbers.
    #[error("the operating system gives no random numbers")]
    NoRandomness,
    /// The cryptographic library refused what it takes by its own rules.
    #[error("no other key can be derived from a key")]
    Unusable,
}

impl KeyError {
    /// Returns what the caller has to do about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Missing | Self::Unsigned | Self::Exposed { .. } => ErrorKind::Config,
            Self::None | Self::Unknown { .. } => ErrorKind::NotFound,
            Self::Exists { .. } | Self::TooMany { .. } | Self::Phrase { .. } => ErrorKind::Invalid,
            Self::Damaged { .. } => ErrorKind::Data,
            Self::Io { .. } | Self::NoRandomness => ErrorKind::Storage,
            Self::Unusable => ErrorKind::Internal,
        }
    }

    /// Returns what to do now.
    pub fn hint(&self) -> String {
        match self {
            Self::Missing | Self::Unsigned | Self::None => {
                "make one: `akosha key create`, or bring the one of another machine: \
                 `akosha key import`"
                    .into()
            }
            Self::Unknown { .. } => "see which there are: `akosha key show`".into(),
            Self::Exists { .. } => {
                "see it: `akosha key show`; replace it for new uploads: `akosha key rotate`".into()
            }
            Self::Exposed { path, .. } => format!("run `chmod 600 {}`", path.display()),
            Self::Damaged { .. } => {
                "take the file of another machine or of a backup; or set it aside and bring the \
                 recovery phrase: `akosha key import`"
                    .into()
            }
            Self::TooMany { .. } => {
                "nothing was changed; bring only the keys that this machine is to read with, each \
                 by its phrase"
                    .into()
            }
            Self::Phrase { .. } => {
                "give the 24 words as `akosha key show --phrase` printed them".into()
            }
            Self::Io { .. } => "free space or correct permissions, then repeat the command".into(),
            Self::NoRandomness => "repeat the command".into(),
            Self::Unusable => "this is a defect: report it".into(),
        }
    }
}

/// Why something cannot be sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{size} bytes are too many to be sealed at once, the limit is {limit}")]
pub struct SealError {
    /// How many bytes it has.
    pub size: u64,
    /// How many it may have.
    pub limit: u64,
}

/// Why a sealed object cannot be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// It is larger than it may be.
    #[error("it has {size} bytes, the limit is {limit}")]
    TooLarge {
        /// How many bytes it has.
        size: u64,
        /// How many it may have.
        limit: u64,
    },
    /// It is shorter than any sealed object.
    #[error("it is cut off after {size} bytes")]
    TooShort {
        /// How many bytes it has.
        size: u64,
    },
    /// It does not begin as one.
    #[error("it is not encrypted, or its beginning was changed")]
    NotSealed,
    /// It was made with another key.
    #[error("it is encrypted with the key `{found}`, expected `{expected}`")]
    OtherKey {
        /// The key that the object names.
        found: KeyId,
        /// The key that it was to be opened with.
        expected: KeyId,
    },
    /// It is not as it was when it was encrypted.
    #[error("it was changed after it was encrypted with the key `{key_id}`, or belongs elsewhere")]
    Changed {
        /// The key, which is the right one.
        key_id: KeyId,
    },
    /// It opens, but holds no name of a file.
    #[error("it holds no name of a file")]
    NoName,
}

/// What is wrong with a manifest's signature.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// There is none.
    #[error("it is not signed, and `require_signatures` is on")]
    Missing,
    /// It is of a kind that this version does not know.
    #[error("its signature is of an unknown form")]
    UnknownForm,
    /// It is not the signature of this manifest.
    #[error("its signature by `{public_key}` does not fit: it was changed after it was signed")]
    Wrong {
        /// The key that it names.
        public_key: PublicKey,
    },
    /// It is right, but by somebody who is not trusted.
    #[error(
        "it is signed by `{public_key}`, which is not trusted: bring its key by `akosha key \
         import`, or add it to `trusted_keys`"
    )]
    Untrusted {
        /// Whose it is.
        public_key: PublicKey,
    },
}
