//! Why an upload was not taken in.

use akosha_core::ErrorKind;
use akosha_store::StoreError;

use crate::SyncError;
use crate::received::ReceiveError;
use crate::segment::SegmentError;

/// Why an upload was not taken in, by who is at fault.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The upload is at fault, or cannot be read: it may pass later.
    #[error("{0}")]
    Upload(String),
    /// The vault lacks something of it: it was removed since it was listed, or lost.
    #[error("{0}")]
    Missing(String),
    /// What its manifest says is at fault, or what that pins by its hash: it will not pass until
    /// the manifest is another one.
    #[error("{0}")]
    ForGood(String),
    /// The vault did not answer: the upload is to be tried again.
    #[error(transparent)]
    Vault(SyncError),
    /// The store or its disk refused, and will refuse every other upload too.
    #[error(transparent)]
    Store(SyncError),
}

impl From<ReceiveError> for Fault {
    fn from(error: ReceiveError) -> Self {
        let shown = error.to_string();
        match error {
            ReceiveError::Vault(error) if error.is_retryable() => Self::Vault(error.into()),
            ReceiveError::Vault(error) if error.is_not_found() => Self::Missing(shown),
            ReceiveError::Vault(_) => Self::Upload(shown),
            ReceiveError::Manifest(error) if error.may_pass_later() => Self::Upload(shown),
            // The manifest pins its segments by their hashes.
            ReceiveError::Manifest(_) | ReceiveError::Segment { .. } => Self::ForGood(shown),
            ReceiveError::Disk(_) | ReceiveError::Lost(_) => Self::Store(error.into()),
        }
    }
}

impl From<SegmentError> for Fault {
    fn from(error: SegmentError) -> Self {
        match error.kind() {
            // The bytes are those that the manifest names.
            ErrorKind::Data => Self::ForGood(error.to_string()),
            _ => Self::Store(error.into()),
        }
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Store(error.into())
    }
}
