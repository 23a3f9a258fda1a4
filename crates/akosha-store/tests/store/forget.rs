//! Forgetting and erasing.

use std::fs;
use std::time::Duration;

use akosha_core::{Clock, IngestionMethod, SystemClock};
use akosha_store::{Change, DRAIN_LEASE, Op, Store, StoreError, Target};
use serde_json::json;

use crate::support::{Fixture, change, embedded, id, memory, store, system, vector, with};

fn merge(store: &Store, changes: &[Change]) {
    store.merge(changes, IngestionMethod::CloudPull).unwrap();
}

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
    merge(&store, &[change("theirs", 1, Op::Put, "y")]);
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

/// What a store shows and keeps of the memory `a` of another system.
fn of_a(store: &Store) -> (Option<String>, Vec<String>, u64) {
    let there = system("there");
    let shown = store.get(&id("a"), Some(&there)).unwrap();
    let history = store.history(&id("a"), Some(&there)).unwrap();
    (
        shown.map(|memory| memory.text),
        history.into_iter().map(|memory| memory.text).collect(),
        store.conflicts().unwrap().len() as u64,
    )
}

#[test]
fn another_systems_memory_stays_forgotten_whatever_comes_of_it() {
    let texts = ["one", "two", "three", "four"];
    let puts: Vec<Change> = (1..)
        .zip(texts)
        .map(|(revision, text)| change("a", revision, Op::Put, text))
        .collect();
    // It is forgotten after each number of revisions that came, the others come late or early.
    for known in 1..=puts.len() {
        for backwards in [false, true] {
            let store = store();
            let mut order: Vec<Change> = puts[..known].to_vec();
            let mut rest: Vec<Change> = puts[known..].to_vec();
            if backwards {
                // The newest is known first, those before it come after the deletion.
                rest = order.split_off(1);
                order = vec![puts[known - 1].clone()];
                rest.extend(puts[..known - 1].iter().cloned());
            }
            merge(&store, &order);
            store.forget(&id("a"), None, false).unwrap();
            for late in &rest {
                merge(&store, std::slice::from_ref(late));
                merge(&store, std::slice::from_ref(late));
            }
            let (shown, _, conflicts) = of_a(&store);
            assert_eq!((shown, conflicts), (None, 0), "{known} {backwards}");
            assert_eq!(find(&store, texts[known - 1]), 0);
            assert!(store.forget(&id("a"), None, false).unwrap().already);
            // Its own system's deletion, and what follows that, changes nothing either.
            merge(&store, &[change("a", 5, Op::Forget, "")]);
            merge(&store, &[change("a", 6, Op::Put, "six")]);
            assert_eq!(of_a(&store).0, None);
            // Erasing it later leaves nothing of what came in between.
            store.forget(&id("a"), None, true).unwrap();
            assert_eq!(of_a(&store), (None, vec![], 0));
        }
    }
}

#[test]
fn another_systems_memory_stays_erased() {
    let store = store();
    merge(&store, &[change("a", 1, Op::Put, "walrus")]);
    store.forget(&id("a"), None, true).unwrap();
    for revision in 2..5 {
        merge(&store, &[change("a", revision, Op::Put, "walrus, again")]);
        assert_eq!(of_a(&store), (None, vec![], 0));
    }
    assert_eq!(traces(&store, "walrus"), [""; 0]);
    merge(&store, &[change("a", 6, Op::Erase, "")]);
    merge(&store, &[change("a", 7, Op::Put, "walrus, anew")]);
    assert_eq!(of_a(&store), (None, vec![], 0));
}

#[test]
fn an_erasure_by_its_own_system_removes_what_is_forgotten_here() {
    let store = store();
    merge(&store, &[change("a", 1, Op::Put, "one")]);
    store.forget(&id("a"), None, false).unwrap();
    merge(&store, &[change("a", 2, Op::Put, "two")]);
    assert_eq!(of_a(&store).1, ["one", "two"]);
    merge(&store, &[change("a", 9, Op::Erase, "")]);
    assert_eq!(of_a(&store), (None, vec![], 0));
    merge(&store, &[change("a", 10, Op::Put, "ten")]);
    assert_eq!(of_a(&store), (None, vec!["ten".into()], 0));
}

#[test]
fn who_stores_it_here_anew_has_it_back() {
    let store = store();
    merge(&store, &[change("a", 1, Op::Put, "one")]);
    store.forget(&id("a"), None, false).unwrap();
    merge(&store, &[change("a", 5, Op::Put, "five")]);
    let stored = store.remember_as("there", "a", "told otherwise");
    assert_eq!(stored.revision, 6);
    assert_eq!(of_a(&store).0.as_deref(), Some("told otherwise"));
    merge(&store, &[change("a", 7, Op::Put, "seven")]);
    assert_eq!(of_a(&store).0.as_deref(), Some("seven"));
}

#[test]
fn every_deletion_is_in_history_until_an_erasure() {
    let store = store();
    store.remember("a", "one");
    store.forget(&id("a"), None, false).unwrap();
    store.remember("a", "three");
    store.forget(&id("a"), None, false).unwrap();
    let deletions = |name: &str| -> Vec<(i64, Op)> {
        let found = store.deletions(&id(name), None).unwrap();
        found
            .iter()
            .map(|change| (change.revision, change.op))
            .collect()
    };
    assert_eq!(deletions("a"), [(2, Op::Forget), (4, Op::Forget)]);
    store.forget(&id("a"), None, true).unwrap();
    assert_eq!(deletions("a"), [(5, Op::Erase)]);
    // Nothing but the deletion tells whose it was.
    merge(&store, &[change("b", 1, Op::Put, "theirs")]);
    store.forget(&id("b"), None, true).unwrap();
    assert_eq!(deletions("b"), [(2, Op::Erase)]);
    assert!(matches!(
        store.deletions(&id("c"), None),
        Err(StoreError::NoMemory(_))
    ));
}

#[test]
fn an_own_tombstone_hides_no_other_systems_memory() {
    let store = store();
    store.remember("a", "mine");
    merge(&store, &[change("a", 1, Op::Put, "theirs")]);
    let get = || store.get(&id("a"), None).unwrap().unwrap().text;
    assert_eq!(get(), "mine");
    store.forget(&id("a"), None, false).unwrap();
    assert_eq!(get(), "theirs");
    // A deletion that is repeated does not go on to it.
    assert!(store.forget(&id("a"), None, false).unwrap().already);
    assert_eq!(get(), "theirs");
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
