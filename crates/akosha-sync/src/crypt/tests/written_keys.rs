//! Keys as they are written down: the key file, and the recovery phrase.

use std::fs;

use akosha_core::time;
use akosha_store::Home;
use proptest::prelude::*;
use zeroize::Zeroizing;

use crate::crypt::{HeldKey, KeyError, KeyRing, MasterKey, Phrase, file};

fn master(bytes: [u8; 32]) -> MasterKey {
    MasterKey::from_bytes(Zeroizing::new(bytes))
}

/// Returns the bytes of the file of a home with these keys.
fn key_file(masters: &[[u8; 32]]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::new(folder.path());
    for bytes in masters {
        let phrase = Phrase::of(&master(*bytes));
        let now = time::parse("2026-11-21T12:00:00Z").unwrap();
        KeyRing::import(&home, phrase.expose(), false, now).unwrap();
    }
    fs::read(KeyRing::path(&home)).unwrap()
}

fn read(bytes: &[u8]) -> Result<Vec<String>, KeyError> {
    let ring = file::parse(bytes, "the file")?;
    let phrase = |held: &HeldKey| held.phrase().expose().to_owned();
    Ok(ring.keys().iter().map(phrase).collect())
}

proptest! {
    // Each case writes to the disk, and makes sure of it.
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_key_file_comes_back_and_no_changed_key_does(
        masters in prop::collection::hash_set(any::<[u8; 32]>(), 1..4),
        at: prop::sample::Index,
        bit in 0_u8..8,
    ) {
        let masters: Vec<[u8; 32]> = masters.into_iter().collect();
        let bytes = key_file(&masters);
        let phrases: Vec<String> = masters
            .iter()
            .map(|bytes| Phrase::of(&master(*bytes)).expose().to_owned())
            .collect();
        prop_assert_eq!(read(&bytes).unwrap(), phrases.clone());
        let at = at.index(bytes.len() - 1);
        prop_assert!(read(&bytes[..at]).is_err());
        let mut flipped = bytes;
        flipped[at] ^= 1 << bit;
        // The time at which a key came is no part of it, nor is white space.
        match read(&flipped) {
            Ok(found) => prop_assert_eq!(found, phrases),
            Err(KeyError::Damaged { what, .. }) => prop_assert_eq!(what, "the file"),
            Err(other) => prop_assert!(false, "{}", other),
        }
    }
}

proptest! {
    #[test]
    fn a_phrase_is_its_key(bytes: [u8; 32]) {
        let phrase = Phrase::of(&master(bytes));
        prop_assert_eq!(phrase.expose().split(' ').count(), 24);
        let key = Phrase::parse(phrase.expose()).unwrap();
        prop_assert_eq!(key.expose(), &bytes);
    }

    #[test]
    fn a_wrong_word_is_named_and_a_missing_one_counted(
        bytes: [u8; 32],
        at in 0_usize..24,
        wrong in "[a-z]{9,12}",
    ) {
        let phrase = Phrase::of(&master(bytes));
        let mut words: Vec<&str> = phrase.expose().split(' ').collect();
        words[at] = &wrong;
        let error = Phrase::parse(&words.join(" ")).unwrap_err().to_string();
        prop_assert!(error.contains(&format!("word {}", at + 1)), "{}", error);
        prop_assert!(!error.contains(&wrong), "{}", error);
        words.remove(at);
        let error = Phrase::parse(&words.join(" ")).unwrap_err().to_string();
        prop_assert!(error.contains("23 words"), "{}", error);
    }

    #[test]
    fn a_swapped_word_is_refused_or_another_key(bytes: [u8; 32], a in 0_usize..24, b in 0_usize..24) {
        let phrase = Phrase::of(&master(bytes));
        let mut words: Vec<&str> = phrase.expose().split(' ').collect();
        prop_assume!(words[a] != words[b]);
        words.swap(a, b);
        // Eight bits check a phrase: one swap in 256 makes the phrase of another key, whose id
        // tells it from this one.
        if let Ok(other) = Phrase::parse(&words.join(" ")) {
            prop_assert_ne!(other.expose(), &bytes);
        }
    }
}
