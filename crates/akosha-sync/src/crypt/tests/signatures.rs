//! Whose signatures count.

use proptest::prelude::*;

use super::sealer;
use crate::ContentHash;
use crate::crypt::{KeyRing, PublicKey, SignatureError, VaultKeys};

fn ring(first: u8) -> KeyRing {
    KeyRing::of_test(first)
}

fn strict(ring: KeyRing, trusted: &[PublicKey]) -> VaultKeys {
    VaultKeys::new(ring, false, true, trusted.to_vec())
}

fn lax() -> VaultKeys {
    VaultKeys::default()
}

#[test]
fn own_and_trusted_signatures_count() {
    let checksum = ContentHash::of(b"manifest");
    let signature = sealer(1).sign(&checksum);
    let public_key = sealer(1).public_key();
    for keys in [
        strict(ring(1), &[]),
        strict(ring(2), &[public_key]),
        strict(KeyRing::default(), &[public_key]),
        lax(),
    ] {
        let found = keys.check_signature(Some(&signature), &checksum);
        assert_eq!(found, Ok(Some(public_key)));
    }
    let found = strict(ring(2), &[]).check_signature(Some(&signature), &checksum);
    assert_eq!(found, Err(SignatureError::Untrusted { public_key }));
}

#[test]
fn what_is_missing_or_unknown_is_refused_where_signatures_are_required() {
    let checksum = ContentHash::of(b"manifest");
    let strict = strict(ring(1), &[]);
    let missing = strict.check_signature(None, &checksum);
    assert_eq!(missing, Err(SignatureError::Missing));
    assert_eq!(lax().check_signature(None, &checksum), Ok(None));
    let good = sealer(1).sign(&checksum);
    for odd in [
        "",
        "ed25519",
        "ed448:aa:bb",
        &good.replace("ed25519", "Ed25519"),
        &good.to_uppercase().replace("ED25519", "ed25519"),
        &format!("{good}:"),
        &good[..good.len() - 1],
    ] {
        let found = strict.check_signature(Some(odd), &checksum);
        assert_eq!(found, Err(SignatureError::UnknownForm), "{odd}");
        assert_eq!(lax().check_signature(Some(odd), &checksum), Ok(None));
    }
}

proptest! {
    #[test]
    fn a_signature_of_something_else_is_refused_always(
        text in "[a-z]{1,20}",
        at in 0_usize..64,
        bit in 0_u8..8,
    ) {
        let checksum = ContentHash::of(b"Manifest");
        let other = sealer(1).sign(&ContentHash::of(text.as_bytes()));
        let own = sealer(1).sign(&checksum);
        let start = own.len() - 128;
        let mut bytes = hex::decode(&own[start..]).unwrap();
        bytes[at] ^= 1 << bit;
        let changed = format!("{}{}", &own[..start], hex::encode(bytes));
        for signature in [other, changed] {
            for keys in [strict(ring(1), &[]), lax()] {
                let found = keys.check_signature(Some(&signature), &checksum);
                prop_assert!(matches!(found, Err(SignatureError::Wrong { .. })), "{:?}", found);
            }
        }
    }
}
