//! Forgetting and erasing.

use std::fs;
use std::time::Duration;

use akosha_core::{Clock, IngestionMethod, SystemClock};
use akosha_store::{DRAIN_LEASE, Op, Store, StoreError, Target};
use serde_json::json;

use crate::support::{Fixture, change, embedded, id, memory, store, system, vector, with};

fn find(store: &Store, text: &str) -> usize {
    let query = akosha_store::SearchQuery {
        text: text.into(),
        limit: 100,
        ..akosha_store::SearchQuery::default()
    };
    store.search(&query).unwrap().hits.len()
}

#[test]
fn what_is_forgotten_is_found_no_more_and_stays_in_history() {
    let store = store();
    store.remember("a", "walrus");
    store.pass(5);
    let forgotten = store.forget(&id("a"), None, false).unwrap();
    assert_eq!(
        (forgotten.revision, forgotten.already, forgotten.erased),
        (2, false, false)
    );
    assert!(!forgotten.was_pushed);
    assert_eq!(store.get(&id("a"), None).unwrap(), None);
    assert_eq!(find(&store, "walrus"), 0);
    assert_eq!(store.stats().unwrap().memories, 0);
    assert_eq!(store.history(&id("a"), None).unwrap().len(), 1);
    let again = store.forget(&id("a"), None, false).unwrap();
    assert_eq!((again.revision, again.already), (2, true));
    // Storing it anew is a new revision, also with the old text.
    let anew = store.remember("a", "walrus");
    assert_eq!((anew.revision, anew.deduplicated), (3, false));
    assert_eq!(find(&store, "walrus"), 1);
}

#[test]
fn an_unknown_id_cannot_be_forgotten() {
    let store = store();
    for erase in [false, true] {
        assert!(matches!(
            store.forget(&id("a"), None, erase),
            Err(StoreError::NoMemory(_))
        ));
        assert!(matches!(
            store.forget(&id("a"), Some(&system("there")), erase),
            Err(StoreError::NoMemory(_))
        ));
    }
}

#[test]
fn a_deletion_of_an_own_memory_syncs_and_one_of_anothers_does_not() {
    let store = store();
    store.remember("mine", "x");
    store
        .merge(
            &[change("theirs", 1, Op::Put, "y")],
            IngestionMethod::CloudPull,
        )
        .unwrap();
    store.forget(&id("mine"), None, false).unwrap();
    store.forget(&id("theirs"), None, false).unwrap();
    let sent = |name: &str| {
        store
            .changes(&system(name), 0, i64::MAX, 10, false)
            .unwrap()
            .iter()
            .map(|change| change.op)
            .collect::<Vec<_>>()
    };
    assert_eq!(sent("here"), [Op::Put, Op::Forget]);
    assert_eq!(sent("there"), []);
    assert_eq!(store.get(&id("theirs"), None).unwrap(), None);
}

#[test]
fn it_is_said_whether_copies_exist_elsewhere() {
    let store = store();
    store.remember("a", "x");
    let target = Target::new("cloud", "file:///vault");
    store.ack_push(&target, &system("here"), None, 1).unwrap();
    store.remember("b", "y");
    assert!(store.forget(&id("a"), None, true).unwrap().was_pushed);
    assert!(!store.forget(&id("b"), None, true).unwrap().was_pushed);
}

/// Returns in which files of the home the bytes stand.
fn traces(store: &Fixture, bytes: &str) -> Vec<String> {
    let mut files: Vec<_> = fs::read_dir(store.folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .collect();
    files.sort();
    files
        .into_iter()
        .filter(|path| {
            let content = fs::read(path).unwrap();
            content
                .windows(bytes.len())
                .any(|window| window.eq_ignore_ascii_case(bytes.as_bytes()))
        })
        .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
        .collect()
}

#[test]
fn erasing_leaves_no_byte_of_any_revision() {
    let store = store();
    let tags = json!({"tags": ["zebrafish"], "secret": "quokkaquokka"});
    for i in 0..300 {
        store.remember(
            &format!("before{i}"),
            &format!("filler {i} {}", "x".repeat(i * 7)),
        );
    }
    store.put_as("here", &with("a", "platypusone was here", &tags));
    store.put_as(
        "here",
        &with("a", &"platypustwo was here ".repeat(1000), &tags),
    );
    store.put_as(
        "here",
        &embedded("a", "platypusthree", vector(&[1.234_567])),
    );
    for i in 0..300 {
        store.remember(
            &format!("after{i}"),
            &format!("filler {i} {}", "y".repeat(i * 5)),
        );
    }
    let words = ["platypus", "quokka", "zebrafish"];
    let vector = 1.234_567_f32.to_le_bytes();
    // Otherwise the test could not fail.
    assert!(words.iter().all(|word| !traces(&store, word).is_empty()));

    let forgotten = store.forget(&id("a"), None, true).unwrap();
    assert!(forgotten.erased && !forgotten.already);
    assert_eq!(forgotten.traces_remain, None);
    for word in words {
        assert_eq!(traces(&store, word), Vec::<String>::new(), "{word}");
    }
    for file in ["akosha.db", "akosha.db-wal"] {
        let content = fs::read(store.folder.path().join(file)).unwrap_or_default();
        assert!(!content.windows(4).any(|window| window == vector), "{file}");
    }
    assert_eq!(store.history(&id("a"), None).unwrap(), []);
    assert_eq!(find(&store, "platypustwo"), 0);
    assert_eq!(find(&store, "filler"), 100);
    assert_eq!(store.stats().unwrap().memories, 600);
    let sent = store
        .changes(&system("here"), 0, i64::MAX, 1000, false)
        .unwrap();
    let erased = sent.iter().find(|change| change.op == Op::Erase).unwrap();
    assert_eq!((erased.revision, erased.text.as_str()), (4, ""));
    // What was merely forgotten before can still be erased, and once is enough.
    store.forget(&id("before1"), None, false).unwrap();
    assert!(!store.forget(&id("before1"), None, true).unwrap().already);
    assert!(store.forget(&id("before1"), None, false).unwrap().already);
}

#[test]
fn an_erasure_that_was_pulled_leaves_nothing_after_the_scrub() {
    let store = store();
    store
        .merge(
            &[change("a", 1, Op::Put, "platypus in the pond")],
            IngestionMethod::CloudPull,
        )
        .unwrap();
    store
        .merge(&[change("a", 2, Op::Erase, "")], IngestionMethod::CloudPull)
        .unwrap();
    store.scrub().unwrap();
    assert_eq!(traces(&store, "platypus"), Vec::<String>::new());
    assert_eq!(find(&store, "platypus"), 0);
}

#[test]
fn a_reader_that_holds_an_old_state_is_told_and_the_scrub_stays_due() {
    let store = store();
    store.remember("a", "platypus");
    store.put_as("here", &memory("b", "other"));
    let reader = store.again();
    let told = reader.for_each::<StoreError>(&akosha_store::Filter::default(), |_| {
        let forgotten = store.forget(&id("a"), None, true);
        match forgotten {
            Ok(forgotten) if forgotten.traces_remain.is_some() => Err(StoreError::Busy),
            other => panic!("{other:?}"),
        }
    });
    assert!(matches!(told, Err(StoreError::Busy)));
    store.scrub().unwrap();
    assert_eq!(traces(&store, "platypus"), Vec::<String>::new());
}

#[test]
fn an_erasure_removes_what_dead_pushes_left_with_the_content() {
    let store = store();
    let tmp = store.home().temporary();
    let plant = || {
        for folder in ["push-dead", "session-buddy-alive"] {
            fs::create_dir_all(tmp.join(folder)).unwrap();
        }
        for name in [
            "push-dead/copy",
            "push-file",
            "download-alive",
            "segment-alive",
            "session-buddy-alive/copy",
        ] {
            fs::write(tmp.join(name), "secret").unwrap();
        }
    };
    let left = || {
        let entries = fs::read_dir(&tmp).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    };
    plant();
    store.remember("a", "secret");
    store.forget(&id("a"), None, false).unwrap();
    assert_eq!(left().len(), 5, "to forget is not to erase");
    // A push that is at work has files of its own.
    let lease = store.try_lease(DRAIN_LEASE, Duration::from_mins(1));
    let lease = lease.unwrap().unwrap();
    store.forget(&id("a"), None, true).unwrap();
    assert_eq!(left().len(), 5);
    lease.release().unwrap();
    let erased = store.forget(&id("a"), None, true).unwrap();
    assert!(erased.already && erased.traces_remain.is_none());
    // Pulls and imports hold no lease: theirs may be in use.
    let alive = ["download-alive", "segment-alive", "session-buddy-alive"];
    assert_eq!(left(), alive);
    assert!(
        store
            .try_lease(DRAIN_LEASE, Duration::from_mins(1))
            .unwrap()
            .is_some()
    );
    // Work of two days ago is dead, too.
    store
        .home()
        .remove_leftovers(SystemClock.now() + chrono::TimeDelta::days(2));
    assert_eq!(left(), [""; 0]);
}
