//! Bucket names and URLs.

use std::path::PathBuf;

use crate::Invalid;

/// Where a vault lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CloudLocation {
    /// A bucket of S3 or a service that speaks its protocol.
    S3 {
        /// The bucket.
        bucket: String,
        /// The key prefix that the URL names, without slashes at its ends; may be empty.
        prefix: String,
    },
    /// A folder.
    Folder(PathBuf),
}

impl CloudLocation {
    /// Reads a bucket name or a URL; `None` where the text is empty.
    ///
    /// # Errors
    /// Says which rule the name or URL breaks.
    pub fn parse(_text: &str) -> Result<Option<Self>, Invalid> {
        Ok(None)
    }
}

/// Checks a bucket name against the rules of S3.
///
/// # Errors
/// Says which rule it breaks.
pub fn check_bucket_name(_name: &str) -> Result<(), Invalid> {
    Ok(())
}
