//! Manifests of encrypted and of signed uploads.

use super::*;
use crate::crypt::{HeldKey, KeyRing, OVERHEAD, OpenError, SignatureError};

/// Returns the draft with pieces as they are once they are sealed.
fn sealed_draft() -> ManifestDraft {
    let mut draft = draft();
    for chunk in &mut draft.files[0].chunks {
        chunk.stored_bytes += OVERHEAD;
    }
    draft
}

fn encrypting(ring: &KeyRing) -> VaultKeys {
    VaultKeys::new(ring.clone(), true, true, Vec::new())
}

fn read(bytes: &[u8], keys: &VaultKeys) -> Result<Manifest, ManifestError> {
    UnverifiedManifest::parse(bytes)?.verify(&Verification {
        system_id: &system(),
        upload_id: &upload(),
        now: now(),
        keys,
    })
}

fn json_of(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

#[test]
fn who_has_the_key_reads_what_was_written() {
    let keys = encrypting(&KeyRing::of_test(1));
    let draft = sealed_draft();
    let sealed = draft.seal(&keys).unwrap();
    assert_eq!(draft.seal(&keys).unwrap().bytes, sealed.bytes);
    let text = std::str::from_utf8(&sealed.bytes).unwrap();
    assert!(!text.contains("reflection"), "{text}");
    let signer = keys.to_sign().unwrap();
    let manifest = read(&sealed.bytes, &keys).unwrap();
    assert_eq!(manifest.files(), draft.files);
    assert_eq!(manifest.encryption(), Some(signer.key_id()));
    assert_eq!(manifest.signed_by(), Some(signer.public_key()));
    assert_eq!(manifest, sealed.manifest);
}

#[test]
fn without_the_key_it_is_named_and_may_come_later() {
    let (one, two) = (KeyRing::of_test(1), KeyRing::of_test(2));
    let bytes = sealed_draft().seal(&encrypting(&one)).unwrap().bytes;
    let key_id = one.current().unwrap().key_id();
    for (keys, says) in [
        (plain(), "this home has no key;"),
        (encrypting(&two), "this home has only `"),
    ] {
        let error = read(&bytes, &keys).unwrap_err();
        assert!(
            matches!(error, ManifestError::KeyMissing { key_id: named, .. } if named == key_id)
        );
        assert!(error.may_pass_later());
        let shown = error.to_string();
        for part in [says, &key_id.to_string(), "`akosha key import`"] {
            assert!(shown.contains(part), "{shown}");
        }
    }
}

#[test]
fn a_plain_upload_is_read_with_keys_and_by_them_signed() {
    let ring = KeyRing::of_test(1);
    let signing = VaultKeys::new(ring.clone(), false, false, Vec::new());
    let sealed = draft().seal(&signing).unwrap();
    assert_eq!(json_of(&sealed.bytes)["encryption"], Value::Null);
    let manifest = read(&sealed.bytes, &encrypting(&ring)).unwrap();
    assert_eq!(
        manifest.signed_by(),
        ring.current().map(HeldKey::public_key)
    );
    // Who has no key reads it as well.
    assert_eq!(verify(&sealed.bytes).unwrap(), manifest);
    let unsigned = draft().seal(&plain()).unwrap();
    let error = read(&unsigned.bytes, &encrypting(&ring)).unwrap_err();
    assert_eq!(error, ManifestError::Signature(SignatureError::Missing));
    assert!(error.may_pass_later());
}

#[test]
fn what_is_changed_and_sealed_anew_does_not_fit_its_signature() {
    let keys = encrypting(&KeyRing::of_test(1));
    let mut value = json_of(&sealed_draft().seal(&keys).unwrap().bytes);
    value["parent"] = upload().to_string().into();
    let bytes = resealed(value);
    let wrong = |error: &ManifestError| {
        matches!(
            error,
            ManifestError::Signature(SignatureError::Wrong { .. })
        )
    };
    let error = read(&bytes, &keys).unwrap_err();
    assert!(wrong(&error) && !error.may_pass_later(), "{error}");
    // Where no signature is required, one that does not fit is refused all the same.
    let lax = VaultKeys::new(KeyRing::of_test(1), true, false, Vec::new());
    assert!(wrong(&read(&bytes, &lax).unwrap_err()));
}

#[test]
fn no_turned_bit_of_a_signed_manifest_verifies() {
    let keys = encrypting(&KeyRing::of_test(1));
    let bytes = sealed_draft().seal(&keys).unwrap().bytes;
    for at in 0..bytes.len() {
        let mut changed = bytes.to_vec();
        changed[at] ^= 1 << (at % 8);
        assert!(read(&changed, &keys).is_err(), "byte {at}");
    }
}

#[test]
fn names_of_another_system_or_of_no_file_are_refused() {
    let ring = KeyRing::of_test(1);
    let keys = VaultKeys::new(ring.clone(), true, false, Vec::new());
    let sealer = ring.current().unwrap().sealer().clone();
    let value = json_of(&sealed_draft().seal(&keys).unwrap().bytes);
    let named = |name: &str| {
        let mut value = value.clone();
        value["files"][0]["name"] = name.into();
        value["signature"] = Value::Null;
        read(&resealed(value), &keys)
    };
    let other = sealer.seal_name(&"other".parse().unwrap(), "a.db").unwrap();
    let climbing = sealer.seal_name(&system(), "../a.db").unwrap();
    for (name, is_expected) in [
        (
            "a.db",
            (|e| matches!(e, OpenError::NotSealed)) as fn(&OpenError) -> bool,
        ),
        (&other, |e| matches!(e, OpenError::Changed { .. })),
        (&climbing, |e| matches!(e, OpenError::NoName)),
    ] {
        let error = named(name).unwrap_err();
        let ManifestError::SealedName { field, reason } = &error else {
            panic!("{error}");
        };
        assert_eq!(field, "files[0].name");
        assert!(is_expected(reason), "{error}");
    }
    let long = "A".repeat(417);
    assert!(matches!(named(&long), Err(ManifestError::Name { .. })));
    assert!(named(&sealer.seal_name(&system(), "b.db").unwrap()).is_ok());
}

#[test]
fn a_name_stands_once_however_it_is_sealed() {
    let keys = VaultKeys::new(KeyRing::of_test(1), true, false, Vec::new());
    let mut draft = sealed_draft();
    draft.files.push(draft.files[0].clone());
    let error = draft.seal(&keys).unwrap_err();
    assert!(
        matches!(error, ManifestError::Duplicate { field: "files", .. }),
        "{error}"
    );
}

#[test]
fn a_piece_that_is_not_compressed_has_the_size_of_its_seal() {
    let keys = VaultKeys::new(KeyRing::of_test(1), true, false, Vec::new());
    let mut draft = sealed_draft();
    for chunk in &mut draft.files[0].chunks {
        chunk.compression = None;
        chunk.stored_bytes = chunk.size_bytes + OVERHEAD;
    }
    let sealed = draft.seal(&keys).unwrap();
    assert_eq!(read(&sealed.bytes, &keys).unwrap().files(), draft.files);
    draft.files[0].chunks[0].stored_bytes -= OVERHEAD;
    assert!(matches!(
        draft.seal(&keys),
        Err(ManifestError::Total { .. })
    ));
}

/// The store keeps files in a list of their own.
#[test]
fn a_list_of_files_keeps_names_and_sealed_pieces() {
    for mut files in [draft().files, sealed_draft().files] {
        files[0].chunks[0].compression = None;
        files[0].chunks[0].stored_bytes = files[0].chunks[0].size_bytes;
        assert_eq!(files_from_json(&files_to_json(&files)), Ok(files.clone()));
        files[0].chunks[0].stored_bytes += OVERHEAD;
        assert_eq!(files_from_json(&files_to_json(&files)), Ok(files));
    }
}
