//! The key file of a home.

use std::fs;

use akosha_core::config::{Config, Encryption};
use akosha_core::{Clock, ErrorKind, SystemClock, time};
use akosha_store::Home;
use chrono::{DateTime, Utc};
use tempfile::TempDir;

use super::key;
use crate::ContentHash;
use crate::crypt::{HeldKey, KeyError, KeyRing, MasterKey, Phrase, Sealer, VaultKeys};

fn home() -> (TempDir, Home) {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::new(folder.path().join("home"));
    (folder, home)
}

fn now() -> DateTime<Utc> {
    time::parse("2026-11-21T12:00:00Z").unwrap()
}

#[test]
fn the_first_key_is_made_once() {
    let (_folder, home) = home();
    assert!(KeyRing::load(&home).unwrap().current().is_none());
    let made = KeyRing::create(&home, now()).unwrap();
    let ring = KeyRing::load(&home).unwrap();
    assert_eq!(ring.current().unwrap().key_id(), made.key_id());
    assert_eq!(ring.current().unwrap().created_at(), now());
    let error = KeyRing::create(&home, now()).unwrap_err();
    assert!(matches!(error, KeyError::Exists { key_id } if key_id == made.key_id()));
    assert_eq!(KeyRing::load(&home).unwrap().keys().len(), 1);
}

#[test]
fn rotation_keeps_the_keys_before() {
    let (_folder, home) = home();
    let error = KeyRing::rotate(&home, now()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let first = KeyRing::create(&home, now()).unwrap();
    let second = KeyRing::rotate(&home, now()).unwrap();
    let ring = KeyRing::load(&home).unwrap();
    let ids: Vec<_> = ring.keys().iter().map(HeldKey::key_id).collect();
    assert_eq!(ids, [second.key_id(), first.key_id()]);
}

#[test]
fn a_phrase_brings_a_key_to_another_home() {
    let (_folder, here) = home();
    let (_other, there) = home();
    let made = KeyRing::create(&here, now()).unwrap();
    let phrase = made.phrase();
    let typed = format!(
        "  {}\n",
        phrase.expose().to_uppercase().replace(' ', " \n ")
    );
    let brought = KeyRing::import(&there, &typed, false, now()).unwrap();
    assert_eq!((brought.new, brought.known), (vec![made.key_id()], vec![]));
    assert_eq!(brought.current, made.key_id());
    let found = KeyRing::load(&there).unwrap();
    assert_eq!(found.keys()[0].phrase().expose(), phrase.expose());
    let again = KeyRing::import(&there, phrase.expose(), false, now()).unwrap();
    assert_eq!((again.new, again.known), (vec![], vec![made.key_id()]));
}

#[test]
fn an_import_leaves_the_current_key_unless_told_otherwise() {
    let (_folder, home) = home();
    let own = KeyRing::create(&home, now()).unwrap();
    let text = Phrase::of(&key(9));
    let brought = KeyRing::import(&home, text.expose(), false, now()).unwrap();
    assert_eq!(brought.current, own.key_id());
    let brought_id = brought.new[0];
    let brought = KeyRing::import(&home, text.expose(), true, now()).unwrap();
    assert_eq!(brought.current, brought_id);
    let ring = KeyRing::load(&home).unwrap();
    let ids: Vec<_> = ring.keys().iter().map(HeldKey::key_id).collect();
    assert_eq!(ids, [brought_id, own.key_id()]);
}

#[test]
fn a_key_file_brings_all_its_keys() {
    let (_folder, here) = home();
    let (_other, there) = home();
    KeyRing::create(&here, now()).unwrap();
    let current = KeyRing::rotate(&here, now()).unwrap();
    let text = fs::read_to_string(KeyRing::path(&here)).unwrap();
    let brought = KeyRing::import(&there, &text, false, now()).unwrap();
    assert_eq!((brought.new.len(), brought.current), (2, current.key_id()));
    assert_eq!(fs::read_to_string(KeyRing::path(&there)).unwrap(), text);
}

#[test]
fn more_keys_than_can_be_read_again_are_refused() {
    let (_folder, here) = home();
    let own = KeyRing::create(&here, now()).unwrap();
    let path = KeyRing::path(&here);
    let entries: Vec<_> = (0..420)
        .map(|_| {
            let master = MasterKey::generate().unwrap();
            let sealer = Sealer::new(&master).unwrap();
            serde_json::json!({
                "key_id": sealer.key_id(),
                "key": hex::encode(master.expose()),
                "created_at": "2026-01-02T03:04:05Z",
            })
        })
        .collect();
    let file = |count: usize| {
        let keys = entries.get(..count).unwrap();
        serde_json::json!({"version": 1, "keys": keys}).to_string()
    };
    let few = KeyRing::import(&here, &file(200), false, now()).unwrap();
    assert_eq!(few.new.len(), 200);
    let before = fs::read(&path).unwrap();
    // The text is within the limit, the file that it would make is not.
    let error = KeyRing::import(&here, &file(420), false, now()).unwrap_err();
    assert!(matches!(error, KeyError::TooMany { .. }), "{error}");
    assert_eq!(fs::read(&path).unwrap(), before);
    let ring = KeyRing::load(&here).unwrap();
    assert_eq!(ring.current().unwrap().key_id(), own.key_id());
}

#[test]
fn what_is_no_phrase_is_refused_without_being_repeated() {
    let (_folder, home) = home();
    let good = Phrase::of(&key(0));
    let words: Vec<&str> = good.expose().split(' ').collect();
    let swapped = [&words[1..2], &words[..1], &words[2..]].concat().join(" ");
    for (text, said) in [
        (String::new(), "has 0 words"),
        (words[..23].join(" "), "has 23 words"),
        (good.expose().replace("liar", "lair"), "word 3"),
        (swapped, "two are swapped"),
    ] {
        let error = KeyRing::import(&home, &text, false, now()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().contains(said), "{error}");
        assert!(!error.to_string().contains("lair"), "{error}");
    }
    assert!(!KeyRing::path(&home).exists());
}

#[test]
fn a_damaged_file_is_named_and_never_replaced() {
    let (_folder, home) = home();
    KeyRing::create(&home, now()).unwrap();
    let path = KeyRing::path(&home);
    let good = fs::read_to_string(&path).unwrap();
    let id = KeyRing::load(&home).unwrap().keys()[0].key_id().to_string();
    for bad in [
        String::new(),
        "{".into(),
        good.replace("\"version\": 1", "\"version\": 2"),
        good.replace(&id, "0000000000000000"),
        good.replace("\"key\": \"", "\"key\": \"zz"),
        "{\"version\": 1, \"keys\": []}".into(),
        " ".repeat(70_000),
    ] {
        fs::write(&path, &bad).unwrap();
        let error = KeyRing::load(&home).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Data, "{bad:.80}");
        assert!(error.to_string().contains("keys.json"), "{error}");
        assert!(KeyRing::create(&home, now()).is_err());
        assert!(KeyRing::rotate(&home, now()).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), bad);
    }
}

#[cfg(unix)]
#[test]
fn others_may_not_read_the_file() {
    use std::os::unix::fs::PermissionsExt;
    let (_folder, home) = home();
    KeyRing::create(&home, now()).unwrap();
    let path = KeyRing::path(&home);
    let mode = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    let found = path.metadata().unwrap().permissions().mode();
    assert_eq!(found & 0o7777, 0o600);
    for bad in [0o640, 0o604, 0o620, 0o666] {
        mode(bad);
        let error = KeyRing::load(&home).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.hint().contains("chmod 600"), "{}", error.hint());
    }
    mode(0o400);
    KeyRing::load(&home).unwrap();
}

#[test]
fn commands_at_once_lose_no_key() {
    let (_folder, home) = home();
    KeyRing::create(&home, now()).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| KeyRing::rotate(&home, now()).unwrap());
        }
    });
    assert_eq!(KeyRing::load(&home).unwrap().keys().len(), 9);
}

#[test]
fn no_key_is_ever_printed() {
    let (_folder, home) = home();
    let made = KeyRing::create(&home, now()).unwrap();
    let text = fs::read_to_string(KeyRing::path(&home)).unwrap();
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    let secret = value["keys"][0]["key"].as_str().unwrap();
    let first_word = made.phrase().expose().split(' ').next().unwrap().to_owned();
    for shown in [
        format!("{made:?}"),
        format!("{:?}", KeyRing::load(&home).unwrap()),
        format!("{:?}", made.phrase()),
        format!("{:?}", made.sealer()),
    ] {
        assert!(!shown.contains(secret), "{shown}");
        assert!(!shown.contains(&format!("{first_word} ")), "{shown}");
    }
}

#[test]
fn encryption_needs_a_key() {
    let (_folder, home) = home();
    let mut config = Config::default_with("laptop".parse().unwrap());
    assert!(VaultKeys::load(&home, &config).unwrap().to_sign().is_none());
    config.encryption = Encryption::On;
    let error = VaultKeys::load(&home, &config).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.hint().contains("akosha key create"));
    let made = KeyRing::create(&home, now()).unwrap();
    let keys = VaultKeys::load(&home, &config).unwrap();
    assert_eq!(keys.to_encrypt().unwrap().key_id(), made.key_id());
    config.encryption = Encryption::Off;
    let keys = VaultKeys::load(&home, &config).unwrap();
    assert!(keys.to_encrypt().is_none() && keys.to_sign().is_some());
    assert!(keys.find(made.key_id()).is_some());
}

/// A push clears what other pushes left behind; what a pull is reading is not among that.
#[test]
fn a_push_leaves_alone_what_a_pull_has_opened() {
    let (_folder, home) = home();
    home.create().unwrap();
    let (system, temporary) = ("laptop".parse().unwrap(), home.temporary());
    let sealer = KeyRing::create(&home, now()).unwrap().sealer().clone();
    let plain = home.root().join("plain");
    fs::write(&plain, "rows").unwrap();
    let file = sealer.seal_segment(&system, &plain, &temporary).unwrap();
    let object = fs::read(&file.path).unwrap();
    assert_eq!(ContentHash::of(&object), file.sha256);
    assert_eq!(object.len() as u64, file.size_bytes);
    let opened = sealer.open_segment(&system, &file.path, &temporary);
    let opened = opened.unwrap();
    home.remove_leftovers(SystemClock.now());
    assert!(!file.path.exists());
    assert_eq!(fs::read(&opened).unwrap(), b"rows");
}
