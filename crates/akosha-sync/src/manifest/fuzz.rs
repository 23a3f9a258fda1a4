//! What the fuzz target of the manifest does.

use akosha_core::{SystemId, UploadId, time};
use serde_json::Value;

use super::{Manifest, UnverifiedManifest, Verification, check, json};
use crate::crypt::VaultKeys;
use crate::crypt::fuzz::keys;

/// Reads a manifest under the ids that it names, with its checksum and signature put right, which
/// no fuzzer finds. What is taken is written again and must come back the same.
///
/// # Panics
/// Where it does not.
pub fn manifest(bytes: &[u8]) -> bool {
    let Ok(value) = json::parse(bytes) else {
        return false;
    };
    let keys = keys(true);
    let Some(manifest) = verified(value, &keys) else {
        return false;
    };
    let writer = match manifest.encryption {
        Some(_) => keys,
        None => VaultKeys::default(),
    };
    let again = manifest.content.seal(&writer);
    assert_eq!(
        again.map(|sealed| sealed.manifest.content),
        Ok(manifest.content)
    );
    true
}

fn verified(mut value: Value, keys: &VaultKeys) -> Option<Manifest> {
    let system_id: SystemId = value.get("system_id")?.as_str()?.parse().ok()?;
    let upload_id: UploadId = value.get("upload_id")?.as_str()?.parse().ok()?;
    let checksum = check::checksum(&value).ok()?;
    value["checksum"] = checksum.to_string().into();
    if value["signature"].is_string() {
        value["signature"] = keys.to_sign()?.sign(&checksum).into();
    }
    let bytes = check::canonical(&value).ok()?;
    let against = Verification {
        system_id: &system_id,
        upload_id: &upload_id,
        now: time::parse("2026-01-02T03:04:05Z").ok()?,
        keys,
    };
    let unverified = UnverifiedManifest::parse(&bytes).ok()?;
    unverified.verify(&against).ok()
}
