//! Bytes that another program computed: a change of any of them is a change of the format.
//!
//! They were made with PyNaCl (libsodium) and Python's `hmac`; `tests/real/test_encryption.py`
//! reads what the binary writes in the same way.

use super::{key, sealer, system};
use crate::ContentHash;
use crate::crypt::{Kind, Phrase};

const PLAINTEXT: &[u8] = b"what to remember";

const SEGMENT: &str = "616b6f73686131007a5157c1f03470d64b18b1663d032b56fa1576f3d12e6889fcb52dbec4da\
                       2168342e54c338b21119936e3725fc3878b636df695b2d5909a7e8136ca10727b88b";

const CHUNK: &str = "616b6f73686131007a5157c1f03470d6f34f70168bf159970771a35c3a00ef2bd95d5b399dc2c2\
                     0b0fe827e6656b877076d2bc07cbbfb0575b02bad7f6b9eb61626c77f4684facd8";

const NAME: &str = "YWtvc2hhMQB6UVfB8DRw1uDvkPVqvk19zTD-vjMahdb2RaZrCUQgB2lwPlys4dVRaLOO-heGGmGwb1\
                    5CkIeSHstP-r1V__xFoS1yM_7HJfn8zSmPv7rLZg";

const SIGNATURE: &str = "ed25519:4b7f3db3584adb49ce7971b4f43ea901416259e91f070cd5273cd61bfb48e8d6:\
                         a75dbf922dfc391652e2f7e861ff9df28eb13b197e331b7325a8ada7a2343aa7\
                         fd7dd3391b209305089559cf829695cdc353c00cbba18e01b0a655ec59ce1e01";

#[test]
fn objects_have_these_bytes() {
    let sealer = sealer(0);
    for (kind, expected) in [(Kind::Segment, SEGMENT), (Kind::Chunk, CHUNK)] {
        let object = sealer.seal(kind, &system(), PLAINTEXT).unwrap();
        assert_eq!(hex::encode(&object), expected);
        assert_eq!(sealer.open(kind, &system(), object).unwrap(), PLAINTEXT);
    }
}

#[test]
fn names_are_these() {
    let sealer = sealer(0);
    assert_eq!(sealer.seal_name(&system(), "notes.db").unwrap(), NAME);
    assert_eq!(sealer.open_name(&system(), NAME).unwrap(), "notes.db");
    assert_eq!(
        sealer.name_of(&ContentHash::of(PLAINTEXT)).to_string(),
        "34a494ede920a28e6b7c8bcca5dfa8700fe14e2562426e8ba63123cd12ca0b02"
    );
}

#[test]
fn what_is_derived_is_this() {
    let sealer = sealer(0);
    assert_eq!(sealer.key_id().to_string(), "7a5157c1f03470d6");
    assert_eq!(sealer.chunker_seed(), 15_993_843_064_725_574_335);
    assert_eq!(sealer.sign(&ContentHash::of(b"")), SIGNATURE);
}

/// The vector of BIP39 for these 32 bytes.
#[test]
fn the_phrase_is_this() {
    let phrase = Phrase::of(&key(0));
    assert_eq!(
        phrase.expose(),
        "abandon amount liar amount expire adjust cage candy arch gather drum bullet absurd math \
         era live bid rhythm alien crouch range attend journey unaware"
    );
}
