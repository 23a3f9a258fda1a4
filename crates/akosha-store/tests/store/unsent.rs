//! Changes that nobody else has move to another system id of this node.

use akosha_core::{IngestionMethod, SystemId};
use akosha_store::{Change, Op, SearchMode, SearchQuery, Target};

use crate::support::{Fixture, change, embedded, id, store, system, vector};

const HERE: &str = "here";
const NEW: &str = "new";

fn target() -> Target {
    Target::new("cloud", "s3://b")
}

fn newest(store: &Fixture) -> i64 {
    let all = store.changes(&system(HERE), 0, i64::MAX, 100, false);
    all.unwrap().last().unwrap().seq
}

/// Counts everything so far as acknowledged.
fn acknowledge(store: &Fixture) {
    let to_seq = newest(store);
    store
        .ack_push(&target(), &system(HERE), None, to_seq)
        .unwrap();
}

/// Moves what is unsent and returns how many changes that were.
fn move_unsent(store: &Fixture) -> u64 {
    store.move_unsent(&system(HERE), &system(NEW)).unwrap()
}

/// What a push of a system would send now, after what was sent before.
fn to_send(store: &Fixture, of: &str) -> Vec<(String, i64, Op, String)> {
    let of: SystemId = system(of);
    let acked = store.push_state(&target(), &of).unwrap().acked_seq;
    let changes = store.changes(&of, acked, i64::MAX, 100, false).unwrap();
    let row = |change: Change| {
        let id = change.memory_id.to_string();
        (id, change.revision, change.op, change.text)
    };
    changes.into_iter().map(row).collect()
}

fn shown(store: &Fixture, of: &str, name: &str) -> Option<String> {
    let memory = store.get(&id(name), Some(&system(of))).unwrap();
    memory.map(|memory| memory.text)
}

fn query(text: &str) -> SearchQuery {
    SearchQuery {
        text: text.into(),
        limit: 10,
        ..SearchQuery::default()
    }
}

fn put(name: &str, revision: i64, text: &str) -> (String, i64, Op, String) {
    (name.into(), revision, Op::Put, text.into())
}

#[test]
fn what_nobody_has_moves_whole() {
    let store = store();
    store.put_as(HERE, &embedded("a", "walrus", vector(&[1.0, 2.0])));
    store.remember("b", "one");
    store.remember("b", "two");
    store.remember("c", "given up");
    store.forget(&id("c"), None, false).unwrap();
    // The new id has been pushed before: its cursor is beyond all of these.
    store.remember_as(NEW, "d", "sent");
    let sent = store.changes(&system(NEW), 0, i64::MAX, 9, false).unwrap();
    store
        .ack_push(&target(), &system(NEW), None, sent[0].seq)
        .unwrap();
    let history = store.history(&id("b"), None).unwrap();

    assert_eq!(move_unsent(&store), 5);
    assert_eq!(to_send(&store, HERE), []);
    assert_eq!(
        to_send(&store, NEW),
        [
            put("a", 1, "walrus"),
            put("b", 1, "one"),
            put("b", 2, "two"),
            put("c", 1, "given up"),
            ("c".into(), 2, Op::Forget, String::new()),
        ]
    );
    assert_eq!(shown(&store, HERE, "a"), None);
    assert_eq!(shown(&store, NEW, "b").as_deref(), Some("two"));
    assert_eq!(shown(&store, NEW, "c"), None);
    let moved = store.history(&id("b"), Some(&system(NEW))).unwrap();
    for (before, after) in history.into_iter().zip(moved) {
        let system_id = before.system_id.clone();
        assert_eq!(akosha_core::Memory { system_id, ..after }, before);
    }
    // It is found under the new id alone, by words and by its vector.
    for mode in [SearchMode::Keyword, SearchMode::Semantic] {
        let query = SearchQuery {
            mode,
            embedding: Some(vector(&[1.0, 2.0])),
            ..query("walrus")
        };
        let hits = store.search(&query).unwrap().hits;
        let owners: Vec<_> = hits
            .iter()
            .map(|hit| hit.memory.system_id.as_str())
            .collect();
        assert_eq!(owners, [NEW], "{mode:?}");
    }
    assert_eq!(move_unsent(&store), 0);
}

#[test]
fn what_was_acknowledged_anywhere_ever_stays() {
    let store = store();
    store.remember("a", "sent");
    acknowledge(&store);
    store.reset_push(&target(), &system(HERE)).unwrap();
    store.remember("b", "sent elsewhere");
    let http = Target::new("http", "http://h");
    let to_seq = newest(&store);
    store.ack_push(&http, &system(HERE), None, to_seq).unwrap();
    store.remember("c", "not sent");
    assert_eq!(move_unsent(&store), 1);
    assert_eq!(
        to_send(&store, HERE),
        [put("a", 1, "sent"), put("b", 1, "sent elsewhere")]
    );
    assert_eq!(to_send(&store, NEW), [put("c", 1, "not sent")]);
}

#[test]
fn a_revision_of_what_others_have_becomes_a_memory_of_its_own() {
    let store = store();
    store.put_as(HERE, &embedded("a", "first", vector(&[1.0])));
    store.remember("b", "theirs");
    acknowledge(&store);
    store.remember("a", "second");
    store.forget(&id("b"), None, false).unwrap();

    assert_eq!(move_unsent(&store), 1);
    assert_eq!(to_send(&store, NEW), [put("a", 2, "second")]);
    assert_eq!(shown(&store, HERE, "a").as_deref(), Some("first"));
    // What this node forgot stays forgotten here, and the deletion waits for those who have it.
    assert_eq!(shown(&store, HERE, "b"), None);
    let deletion = ("b".into(), 2, Op::Forget, String::new());
    assert_eq!(to_send(&store, HERE), [deletion]);
    let left = store.unsynced(&target(), &system(HERE)).unwrap();
    assert_eq!((left.changes, left.deletions), (1, 1));
    let found = store.search(&query("first")).unwrap().hits;
    assert_eq!(found.len(), 1, "what others have is found again");
    assert!(found[0].memory.embedding.is_some());
}

#[test]
fn a_forgotten_revision_stays_forgotten_under_both_ids() {
    let store = store();
    store.remember("a", "first");
    acknowledge(&store);
    store.remember("a", "second");
    store.forget(&id("a"), None, false).unwrap();
    assert_eq!(move_unsent(&store), 2);
    assert_eq!(shown(&store, HERE, "a"), None);
    assert_eq!(shown(&store, NEW, "a"), None);
    let tombstone = ("a".into(), 3, Op::Forget, String::new());
    assert_eq!(to_send(&store, NEW), [put("a", 2, "second"), tombstone]);
}

#[test]
fn what_was_erased_stays_erased() {
    let store = store();
    store.remember("a", "secret");
    let sent = store.changes(&system(HERE), 0, i64::MAX, 9, false).unwrap();
    acknowledge(&store);
    store.forget(&id("a"), None, true).unwrap();
    for _ in 0..2 {
        assert_eq!(move_unsent(&store), 0);
        assert_eq!(to_send(&store, NEW), []);
        let erasure = ("a".into(), 2, Op::Erase, String::new());
        assert_eq!(to_send(&store, HERE), [erasure], "who has it is to be told");
    }
    // Not even the vault brings it back.
    store.merge(&sent, IngestionMethod::CloudPull).unwrap();
    assert_eq!(shown(&store, HERE, "a"), None);
}

#[test]
fn the_erasure_of_what_nobody_had_is_told_to_nobody() {
    let store = store();
    store.remember("a", "secret");
    store.forget(&id("a"), None, true).unwrap();
    assert_eq!(move_unsent(&store), 0);
    assert_eq!(to_send(&store, HERE), []);
    assert_eq!(to_send(&store, NEW), []);
}

#[test]
fn what_every_target_refused_moves() {
    let store = store();
    let http = Target::new("http", "http://h");
    for name in ["a", "b", "c"] {
        store.remember(name, "offered");
    }
    let offered = store.changes(&system(HERE), 0, i64::MAX, 9, false).unwrap();
    let refuse = |target: &Target, index: usize| {
        let change = &offered[index];
        store
            .reject(target, &system(HERE), &change.memory_id, change.seq, "no")
            .unwrap();
    };
    // One target took `a` and `c`, the other one was offered `a` and `b` alone.
    acknowledge(&store);
    let to_seq = offered[1].seq;
    store.ack_push(&http, &system(HERE), None, to_seq).unwrap();
    refuse(&target(), 1);
    refuse(&http, 0);
    refuse(&http, 1);
    assert_eq!(move_unsent(&store), 1);
    assert_eq!(to_send(&store, NEW), [put("b", 1, "offered")]);
    assert_eq!(shown(&store, HERE, "b"), None);
    assert_eq!(store.rejected(&target(), &system(HERE)).unwrap(), []);
    let left = store.rejected(&http, &system(HERE)).unwrap();
    assert_eq!(left.len(), 1, "the one that another target has");
    assert_eq!(left[0].memory_id, id("a"));
}

#[test]
fn what_the_new_id_has_already_stays_the_newest() {
    let store = store();
    store.remember("a", "before the change");
    store.remember("b", "the same");
    store.remember_as(NEW, "a", "after the change");
    store.remember_as(NEW, "b", "the same");
    move_unsent(&store);
    assert_eq!(shown(&store, NEW, "a").as_deref(), Some("after the change"));
    let texts: Vec<_> = store
        .history(&id("a"), Some(&system(NEW)))
        .unwrap()
        .into_iter()
        .map(|memory| memory.text)
        .collect();
    let expected = ["after the change", "before the change", "after the change"];
    assert_eq!(texts, expected);
    assert_eq!(
        store.history(&id("b"), Some(&system(NEW))).unwrap().len(),
        1
    );
    assert_eq!(store.conflicts().unwrap(), []);
}

#[test]
fn a_conflict_with_the_other_machine_ends_with_the_move() {
    let store = store();
    store.remember("a", "from here");
    let theirs = Change {
        system_id: system(HERE),
        ..change("a", 1, Op::Put, "from the other machine")
    };
    store.merge(&[theirs], IngestionMethod::CloudPull).unwrap();
    assert_eq!(store.conflicts().unwrap().len(), 1);
    assert_eq!(move_unsent(&store), 1);
    assert_eq!(store.conflicts().unwrap(), []);
    assert_eq!(
        shown(&store, HERE, "a").as_deref(),
        Some("from the other machine")
    );
    assert_eq!(shown(&store, NEW, "a").as_deref(), Some("from here"));
}
