//! Rules that reader and writer share.

use serde_json::Value;

use super::ManifestError;
use crate::ContentHash;

/// Returns the SHA-256 of the manifest as canonical JSON (RFC 8785), without `checksum` and
/// `signature`. Fields that this version does not know are part of it.
pub(super) fn checksum(manifest: &Value) -> Result<ContentHash, ManifestError> {
    let mut covered = manifest.clone();
    if let Value::Object(map) = &mut covered {
        map.remove("checksum");
        map.remove("signature");
    }
    canonical(&covered).map(|bytes| ContentHash::of(&bytes))
}

/// Returns a value as canonical JSON.
pub(super) fn canonical(value: &Value) -> Result<Vec<u8>, ManifestError> {
    serde_json_canonicalizer::to_vec(value).map_err(|error| ManifestError::Json {
        reason: error.to_string(),
    })
}

/// Returns whether a file may have this name: it becomes part of a path when the file is restored.
pub(crate) fn is_file_name(name: &str) -> bool {
    (1..=255).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
        && !name.contains("..")
        && name != "."
}

/// Checks a file's name.
pub(super) fn file_name(field: &str, name: &str) -> Result<(), ManifestError> {
    if is_file_name(name) {
        return Ok(());
    }
    Err(ManifestError::name(field, name))
}
