//! Why a manifest was refused.

use akosha_core::{ErrorKind, Invalid, excerpt};

use super::{MAX_CLOCK_SKEW, MAX_MANIFEST_BYTES};
use crate::ContentHash;
use crate::crypt::{KeyId, OpenError, SignatureError};

/// Why a manifest was refused. Each check of the reader has its variant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// The object is larger than a manifest may be.
    #[error("the manifest is {size} bytes, the limit is {MAX_MANIFEST_BYTES}")]
    TooLarge {
        /// Its size in bytes.
        size: u64,
    },
    /// The bytes are no JSON that has one meaning only.
    #[error("the manifest is no valid JSON: {reason}")]
    Json {
        /// What is wrong and where.
        reason: String,
    },
    /// A field is missing.
    #[error("`{field}` is missing")]
    Missing {
        /// The field.
        field: String,
    },
    /// A field holds something else than it must.
    #[error("`{field}` is {found}, expected {expected}")]
    Type {
        /// The field.
        field: String,
        /// What it holds.
        found: String,
        /// What it must hold.
        expected: &'static str,
    },
    /// An id or a hash breaks its rule.
    #[error("`{field}` {reason}")]
    Id {
        /// The field.
        field: String,
        /// Which rule, and the value.
        reason: String,
    },
    /// The version has not the form `1.0`.
    #[error("`version` is `{value}`, expected two numbers such as `1.0`")]
    Version {
        /// The value.
        value: String,
    },
    /// A newer or unknown format.
    #[error("`version` is `{value}`, this program reads 1.x")]
    UnknownMajor {
        /// The value.
        value: String,
    },
    /// The manifest names another upload or system than its place does.
    #[error("`{field}` is `{found}`, its place in the vault says `{expected}`")]
    WrongPlace {
        /// The field.
        field: &'static str,
        /// What the manifest says.
        found: String,
        /// What its key says.
        expected: String,
    },
    /// The upload claims to be made in the future.
    #[error(
        "`uploaded_at` is {uploaded_at}, more than {} minutes ahead of {now}",
        MAX_CLOCK_SKEW.num_minutes()
    )]
    InFuture {
        /// The upload's time.
        uploaded_at: String,
        /// The reader's time.
        now: String,
    },
    /// A number is outside its range.
    #[error("`{field}` is {value}, expected {least} to {most}")]
    Range {
        /// The field.
        field: String,
        /// The value.
        value: i64,
        /// The lowest allowed.
        least: i64,
        /// The highest allowed.
        most: i64,
    },
    /// A total is not the sum of its parts.
    #[error("`{field}` is {value}, its parts make {sum}")]
    Total {
        /// The field.
        field: String,
        /// The value.
        value: u64,
        /// The sum of the parts.
        sum: u64,
    },
    /// A list has more entries than it may.
    #[error("`{field}` has {count} entries, the limit is {limit}")]
    TooMany {
        /// The field.
        field: &'static str,
        /// Its entries.
        count: usize,
        /// Allowed entries.
        limit: usize,
    },
    /// Two entries of a list are for the same thing.
    #[error("`{field}` names `{value}` twice")]
    Duplicate {
        /// The field.
        field: &'static str,
        /// What is named twice.
        value: String,
    },
    /// The checksum is not that of the manifest.
    #[error("`checksum` is {found}, the manifest's is {computed}")]
    Checksum {
        /// What the manifest says.
        found: ContentHash,
        /// What it must be.
        computed: ContentHash,
    },
    /// Compression fields contradict each other.
    #[error("`{field}` is {value}, which contradicts {other}")]
    Compression {
        /// The field.
        field: String,
        /// The value.
        value: String,
        /// What says otherwise.
        other: String,
    },
    /// A name breaks its rule.
    #[error("`{field}` is `{value}`, expected {expected}")]
    Name {
        /// The field.
        field: String,
        /// The value, cut.
        value: String,
        /// The rule.
        expected: &'static str,
    },
    /// A path is not the one that its system and hash give.
    #[error("`{field}` is `{value}`, expected `{expected}`")]
    Path {
        /// The field.
        field: String,
        /// The value, cut.
        value: String,
        /// The only path allowed.
        expected: String,
    },
    /// `min_seq` is above `max_seq`.
    #[error("`{field}` has `min_seq` {min_seq} above `max_seq` {max_seq}")]
    SeqOrder {
        /// The segment.
        field: String,
        /// The lowest sequence number.
        min_seq: i64,
        /// The highest sequence number.
        max_seq: i64,
    },
    /// The upload is encrypted in a way that this version does not know.
    #[error(
        "`encryption` is `{format}` with `{cipher}`, this program reads `akosha-1` with \
         `xchacha20-poly1305`"
    )]
    UnknownEncryption {
        /// The form that it names.
        format: String,
        /// The cipher that it names.
        cipher: String,
    },
    /// The upload is encrypted with a key that is not here.
    #[error(
        "it is encrypted with the key `{key_id}`, and this home has {}; bring it in: `akosha key \
         import`",
        shown(held)
    )]
    KeyMissing {
        /// The key that it names.
        key_id: KeyId,
        /// The keys of this home.
        held: Vec<KeyId>,
    },
    /// The signature is missing or does not count.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// The sealed name of a file cannot be opened.
    #[error("`{field}`: {reason}")]
    SealedName {
        /// The field.
        field: String,
        /// Why not.
        reason: OpenError,
    },
}

impl ManifestError {
    /// Returns what the caller has to do about it: set the upload aside.
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::Data
    }

    /// Returns whether the same bytes may be accepted later: by a newer version of this program,
    /// when a key or a setting has come, or when the time has come.
    pub fn may_pass_later(&self) -> bool {
        match self {
            Self::UnknownEncryption { .. }
            | Self::KeyMissing { .. }
            | Self::UnknownMajor { .. }
            | Self::InFuture { .. } => true,
            Self::Signature(error) => !matches!(error, SignatureError::Wrong { .. }),
            _ => false,
        }
    }

    /// Creates the error of a name of a file.
    pub(super) fn name(field: &str, value: &str) -> Self {
        Self::Name {
            field: field.into(),
            value: excerpt(value),
            expected: "1 to 255 letters, digits, `_`, `.`, `-`, without `..`",
        }
    }

    pub(super) fn id(field: impl Into<String>, error: Invalid) -> Self {
        Self::Id {
            field: field.into(),
            reason: error.reason,
        }
    }
}

fn shown(keys: &[KeyId]) -> String {
    match keys {
        [] => "no key".into(),
        [only] => format!("only `{only}`"),
        [first, rest @ ..] => {
            let rest: Vec<String> = rest.iter().map(|id| format!("`{id}`")).collect();
            format!("only `{first}`, {}", rest.join(", "))
        }
    }
}
