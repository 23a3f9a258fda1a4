//! Merging what other stores made: idempotent, and the same in any order.

use akosha_core::IngestionMethod;
use akosha_store::{Change, Merged, Op, Store, StoreError};
use proptest::prelude::*;

use crate::support::{Fixture, change, embedded, id, memory, store, system, vector};

fn merge(store: &Store, changes: &[Change]) -> Merged {
    store.merge(changes, IngestionMethod::CloudPull).unwrap()
}

fn head(store: &Store, name: &str) -> Option<(i64, String)> {
    let memory = store.get(&id(name), Some(&system("there"))).unwrap()?;
    Some((memory.revision, memory.text))
}

#[test]
fn what_comes_in_is_whole_and_is_not_sent_on() {
    let from = store();
    let to = store();
    from.put_as("there", &embedded("a", "walrus", vector(&[1.0, 2.0])));
    from.pass(30);
    from.remember_as("there", "a", "walrus, corrected");
    let changes = from
        .changes(&system("there"), 0, i64::MAX, 10, false)
        .unwrap();
    assert_eq!(merge(&to, &changes).added, 1);
    let (sent, got) = (from.history(&id("a"), None), to.history(&id("a"), None));
    for (sent, got) in sent.unwrap().into_iter().zip(got.unwrap()) {
        assert_eq!(got.ingestion_method, IngestionMethod::CloudPull);
        let ingestion_method = sent.ingestion_method;
        assert_eq!(
            akosha_core::Memory {
                ingestion_method,
                ..got
            },
            sent
        );
    }
    assert_eq!(
        to.changes(&system("there"), 0, i64::MAX, 10, false)
            .unwrap(),
        []
    );
    assert_eq!(to.local_systems().unwrap(), [system("here")]);
}

#[test]
fn merging_again_changes_nothing() {
    let store = store();
    let changes = [
        change("a", 1, Op::Put, "one"),
        change("a", 2, Op::Put, "two"),
        change("b", 1, Op::Put, "b"),
        change("b", 2, Op::Forget, ""),
    ];
    let first = merge(&store, &changes);
    assert_eq!(
        first,
        Merged {
            added: 1,
            skipped: 3,
            ..Merged::default()
        }
    );
    let again = merge(&store, &changes);
    assert_eq!(
        again,
        Merged {
            skipped: 4,
            unchanged: 4,
            ..Merged::default()
        }
    );
    assert_eq!(head(&store, "a"), Some((2, "two".into())));
    assert_eq!(head(&store, "b"), None);
    assert_eq!(store.history(&id("a"), None).unwrap().len(), 2);
}

#[test]
fn it_is_counted_by_what_the_store_ends_with() {
    let store = store();
    merge(&store, &[change("known", 1, Op::Put, "one")]);
    let since = store.newest_seq().unwrap();
    let merge = |changes: &[Change]| {
        let merged = store.merge_since(changes, IngestionMethod::CloudPull, since);
        merged.unwrap()
    };
    let counted = |merged: Merged| (merged.added, merged.updated, merged.skipped);
    // Came and went within one upload.
    let first = merge(&[
        change("gone", 1, Op::Put, "text"),
        change("gone", 2, Op::Forget, ""),
        change("new", 1, Op::Put, "one"),
        change("new", 2, Op::Put, "two"),
        change("known", 2, Op::Put, "two"),
    ]);
    assert_eq!(counted(first), (1, 1, 3));
    // What an upload before has brought, one after it takes away, or changes again.
    let second = merge(&[
        change("new", 3, Op::Forget, ""),
        change("known", 3, Op::Forget, ""),
        change("gone", 3, Op::Put, "back"),
        change("gone", 1, Op::Put, "text"),
    ]);
    assert_eq!(counted(second), (0, 0, 4));
    let mut total = first;
    total += second;
    assert_eq!(counted(total), (1, 1, 7));
    assert_eq!((total.unchanged, store.stats().unwrap().memories), (1, 1));
}

#[test]
fn an_older_revision_fills_in_history_and_does_not_come_back() {
    let store = store();
    merge(&store, &[change("a", 3, Op::Put, "three")]);
    let late = merge(&store, &[change("a", 1, Op::Put, "one")]);
    assert_eq!((late.added, late.updated, late.skipped), (0, 0, 1));
    assert_eq!(head(&store, "a"), Some((3, "three".into())));
    let revisions: Vec<_> = store
        .history(&id("a"), None)
        .unwrap()
        .iter()
        .map(|memory| memory.revision)
        .collect();
    assert_eq!(revisions, [1, 3]);
}

#[test]
fn two_contents_of_one_revision_are_both_kept_and_told() {
    let (one, two) = (store(), store());
    let (x, y) = (change("a", 1, Op::Put, "x"), change("a", 1, Op::Put, "y"));
    assert_eq!(merge(&one, std::slice::from_ref(&x)).conflicts, 0);
    assert_eq!(merge(&one, std::slice::from_ref(&y)).conflicts, 1);
    merge(&two, &[y, x.clone()]);
    for store in [&one, &two] {
        assert_eq!(head(store, "a"), head(&one, "a"));
        assert_eq!(store.history(&id("a"), None).unwrap().len(), 2);
        let conflicts = store.conflicts().unwrap();
        assert_eq!(conflicts.len(), 1);
        assert_eq!(
            (&conflicts[0].memory_id, conflicts[0].revision),
            (&id("a"), 1)
        );
    }
    // The same again is no further conflict, nor is the same content at another time.
    let later = Change {
        updated_at: x.updated_at + chrono::TimeDelta::hours(1),
        ..x
    };
    assert_eq!(merge(&one, &[later]).conflicts, 0);
    assert_eq!(one.conflicts().unwrap().len(), 1);
}

#[test]
fn a_local_change_and_a_pulled_one_of_the_same_revision_conflict() {
    let store = store();
    store.remember_as("there", "a", "mine");
    let merged = merge(&store, &[change("a", 1, Op::Put, "theirs")]);
    assert_eq!(merged.conflicts, 1);
    let unsynced = store
        .changes(&system("there"), 0, i64::MAX, 10, false)
        .unwrap();
    assert_eq!(unsynced.len(), 1, "what was made here is still sent");
}

#[test]
fn an_erasure_removes_and_keeps_out_every_earlier_revision() {
    let store = store();
    let puts = [
        change("a", 1, Op::Put, "one"),
        change("a", 2, Op::Put, "two"),
        change("a", 2, Op::Put, "other two"),
    ];
    merge(&store, &puts);
    merge(&store, &[change("a", 3, Op::Erase, "")]);
    assert_eq!(head(&store, "a"), None);
    assert_eq!(store.history(&id("a"), None).unwrap(), []);
    assert_eq!(store.conflicts().unwrap(), []);
    let again = merge(&store, &puts);
    assert_eq!(again.skipped, 3);
    assert_eq!(store.history(&id("a"), None).unwrap(), []);
    // A later revision is a new memory under the old id.
    assert_eq!(merge(&store, &[change("a", 4, Op::Put, "four")]).updated, 1);
    assert_eq!(head(&store, "a"), Some((4, "four".into())));
}

#[test]
fn a_revision_that_nothing_can_follow_is_an_error_of_that_memory_alone() {
    let store = store();
    merge(&store, &[change("a", i64::MAX, Op::Put, "x")]);
    let stored = store.put(
        &system("there"),
        &memory("a", "next"),
        IngestionMethod::Local,
    );
    assert!(matches!(stored, Err(StoreError::Row(_))), "{stored:?}");
    let forgotten = store.forget(&id("a"), None, true);
    assert!(matches!(forgotten, Err(StoreError::Row(_))));
    assert_eq!(store.remember_as("there", "b", "b").revision, 1);
}

/// Everything that readers can tell apart, of every memory.
fn seen(store: &Fixture) -> Vec<String> {
    let mut seen = Vec::new();
    for name in ["a", "b", "c"] {
        seen.push(format!("{name} {:?}", head(store, name)));
        if let Ok(history) = store.history(&id(name), Some(&system("there"))) {
            let mut rows: Vec<String> = history
                .iter()
                .map(|memory| format!("{name} {} {}", memory.revision, memory.text))
                .collect();
            rows.sort();
            seen.extend(rows);
        }
        let newest = store.newest_change(&system("there"), &id(name)).unwrap();
        seen.push(format!("{:?}", newest.map(|c| (c.revision, c.op, c.text))));
    }
    let conflicts = store.conflicts().unwrap();
    let mut conflicts: Vec<String> = conflicts
        .iter()
        .map(|conflict| format!("{} {}", conflict.memory_id, conflict.revision))
        .collect();
    conflicts.sort();
    seen.extend(conflicts);
    for word in ["red", "green", "blue"] {
        let mut found = crate::search::ids(store, &crate::search::query(word));
        found.sort();
        seen.push(format!("{word} {found:?}"));
    }
    seen
}

fn any_change() -> impl Strategy<Value = Change> {
    let op = prop_oneof![6 => Just(Op::Put), 1 => Just(Op::Forget), 1 => Just(Op::Erase)];
    (
        prop::sample::select(vec!["a", "b", "c"]),
        1..5_i64,
        op,
        prop::sample::select(vec!["red", "green", "blue"]),
        0..3_i64,
    )
        .prop_map(|(name, revision, op, text, later)| {
            let text = if op == Op::Put { text } else { "" };
            let change = change(name, revision, op, text);
            Change {
                updated_at: change.updated_at + chrono::TimeDelta::minutes(later),
                ..change
            }
        })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(60) })]

    #[test]
    fn order_repetition_and_batches_do_not_matter(
        (changes, shuffled) in prop::collection::vec(any_change(), 1..12).prop_flat_map(|changes| {
            let twice: Vec<Change> = changes.iter().chain(&changes).cloned().collect();
            (Just(changes), Just(twice).prop_shuffle())
        }),
        cut in 1..6_usize,
    ) {
        let (one, two) = (store(), store());
        merge(&one, &changes);
        for batch in shuffled.chunks(cut) {
            merge(&two, batch);
        }
        prop_assert_eq!(seen(&one), seen(&two));
    }
}
