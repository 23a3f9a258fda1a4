//! What is sealed is opened as it was, and nothing else is.

use proptest::prelude::*;

use super::{sealer, system};
use crate::ContentHash;
use crate::crypt::{Kind, OVERHEAD, OpenError};

const KINDS: [Kind; 3] = [Kind::Segment, Kind::Chunk, Kind::Name];

fn kind() -> impl Strategy<Value = Kind> {
    prop::sample::select(KINDS.to_vec())
}

proptest! {
    #[test]
    fn what_is_sealed_is_opened(
        kind in kind(),
        plaintext in prop::collection::vec(any::<u8>(), 0..256),
    ) {
        let object = sealer(1).seal(kind, &system(), &plaintext).unwrap();
        prop_assert_eq!(object.len() as u64, plaintext.len() as u64 + OVERHEAD);
        prop_assert_eq!(&sealer(1).seal(kind, &system(), &plaintext).unwrap(), &object);
        prop_assert_eq!(sealer(1).open(kind, &system(), object).unwrap(), plaintext);
    }

    #[test]
    fn a_flipped_bit_is_found_and_named(
        kind in kind(),
        plaintext in prop::collection::vec(any::<u8>(), 0..200),
        at: prop::sample::Index,
        bit in 0_u8..8,
    ) {
        let mut object = sealer(1).seal(kind, &system(), &plaintext).unwrap();
        let at = at.index(object.len());
        object[at] ^= 1 << bit;
        let error = sealer(1).open(kind, &system(), object).unwrap_err();
        let expected = match at {
            0..8 => matches!(error, OpenError::NotSealed),
            8..16 => matches!(error, OpenError::OtherKey { .. }),
            _ => matches!(error, OpenError::Changed { .. }),
        };
        prop_assert!(expected, "byte {}: {}", at, error);
    }

    #[test]
    fn what_is_cut_or_longer_is_refused(
        plaintext in prop::collection::vec(any::<u8>(), 0..200),
        keep: prop::sample::Index,
        more in prop::collection::vec(any::<u8>(), 1..20),
    ) {
        let object = sealer(1).seal(Kind::Chunk, &system(), &plaintext).unwrap();
        let cut = object[..keep.index(object.len())].to_vec();
        let short = cut.len() < OVERHEAD as usize;
        let error = sealer(1).open(Kind::Chunk, &system(), cut).unwrap_err();
        prop_assert_eq!(matches!(error, OpenError::TooShort { .. }), short, "{}", error);
        let long = [object, more].concat();
        prop_assert!(sealer(1).open(Kind::Chunk, &system(), long).is_err());
    }

    #[test]
    fn no_object_makes_the_reader_panic(object in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(sealer(1).open(Kind::Name, &system(), object.clone()).is_err());
        let text = String::from_utf8_lossy(&object).into_owned();
        prop_assert!(sealer(1).open_name(&system(), &text).is_err());
    }

    #[test]
    fn names_come_back(name in "[A-Za-z0-9_-][A-Za-z0-9_-]{0,250}(\\.[a-z]{1,3})?") {
        let sealed = sealer(1).seal_name(&system(), &name).unwrap();
        prop_assert!(sealed.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)));
        prop_assert_eq!(sealer(1).open_name(&system(), &sealed).unwrap(), name);
    }
}

#[test]
fn an_object_fits_only_where_it_was_made_for() {
    let object = sealer(1).seal(Kind::Segment, &system(), b"text").unwrap();
    let moved = "desktop".parse().unwrap();
    for (kind, system_id) in [(Kind::Chunk, &system()), (Kind::Segment, &moved)] {
        let error = sealer(1).open(kind, system_id, object.clone());
        let key_id = sealer(1).key_id();
        assert_eq!(error, Err(OpenError::Changed { key_id }));
    }
    let (found, expected) = (sealer(1).key_id(), sealer(2).key_id());
    let error = sealer(2).open(Kind::Segment, &system(), object);
    assert_eq!(error, Err(OpenError::OtherKey { found, expected }));
}

#[test]
fn keys_have_nothing_in_common() {
    let (one, two) = (sealer(1), sealer(2));
    let hash = ContentHash::of(b"known content");
    assert_ne!(one.key_id(), two.key_id());
    assert_ne!(one.name_of(&hash), two.name_of(&hash));
    assert_ne!(one.name_of(&hash), hash);
    assert_ne!(one.chunker_seed(), two.chunker_seed());
    assert_ne!(one.public_key(), two.public_key());
    let seal = |text: &[u8]| one.seal(Kind::Chunk, &system(), text).unwrap();
    // Nonces, too, differ with the content.
    assert_ne!(seal(b"a")[16..40], seal(b"b")[16..40]);
}

#[test]
fn lengths_of_names_tell_little() {
    let length = |name| sealer(1).seal_name(&system(), name).unwrap().len();
    assert_eq!(length("a"), length("reflection.duckdb.wal"));
    assert_eq!(length(&"x".repeat(255)), 416);
    assert!(sealer(1).seal_name(&system(), &"x".repeat(300)).is_err());
}

#[test]
fn what_opens_is_a_name_all_the_same() {
    for text in ["", "..", "a/b", "a\nb", ".", "/etc/passwd"] {
        let sealed = sealer(1).seal_name(&system(), text).unwrap();
        let error = sealer(1).open_name(&system(), &sealed);
        assert_eq!(error, Err(OpenError::NoName), "{text:?}");
    }
}

#[test]
fn what_is_too_large_is_refused_on_both_sides() {
    let most = Kind::Segment.limit() as usize;
    let error = sealer(1)
        .seal(Kind::Segment, &system(), &vec![0; most + 1])
        .unwrap_err();
    assert_eq!(error.size, most as u64 + 1);
    let object = vec![0; most + OVERHEAD as usize + 1];
    let error = sealer(1).open(Kind::Segment, &system(), object);
    assert!(matches!(error, Err(OpenError::TooLarge { .. })));
}
