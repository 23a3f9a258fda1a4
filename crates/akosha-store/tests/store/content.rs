//! Content that is stored more than once: counted within a system, shown once across systems.

use akosha_core::IngestionMethod;
use akosha_store::{Change, Filter, Merged, Op, SearchQuery, Store};
use proptest::prelude::*;
use rusqlite::Connection;
use serde_json::json;

use crate::search::query;
use crate::support::{Fixture, change, embedded, id, memory, store, system, vector, with};

fn merge(store: &Store, changes: &[Change]) -> Merged {
    store.merge(changes, IngestionMethod::CloudPull).unwrap()
}

/// A change of another system than `there`.
fn of(name: &str, id: &str, revision: i64, op: Op, text: &str) -> Change {
    Change {
        system_id: system(name),
        ..change(id, revision, op, text)
    }
}

/// What a search shows: whose memory, which, and who else has it.
fn shown(store: &Store, query: &SearchQuery) -> Vec<(String, String, Vec<String>)> {
    let hits = store.search(query).unwrap().hits;
    let shown = hits.into_iter().map(|hit| {
        let others = hit.also_in.into_iter().map(String::from).collect();
        let memory = hit.memory;
        (memory.system_id.into(), memory.memory_id.into(), others)
    });
    shown.collect()
}

fn row(system: &str, id: &str, also_in: &[&str]) -> (String, String, Vec<String>) {
    let also_in = also_in.iter().map(|name| (*name).to_owned()).collect();
    (system.into(), id.into(), also_in)
}

#[test]
fn content_that_a_system_has_under_another_id_is_counted() {
    let store = store();
    let first = merge(
        &store,
        &[
            change("a", 1, Op::Put, "walrus"),
            change("b", 1, Op::Put, "walrus"),
            change("c", 1, Op::Put, "narwhal"),
            of("yonder", "a", 1, Op::Put, "walrus"),
        ],
    );
    assert_eq!((first.added, first.duplicates), (4, 1));
    let second = merge(
        &store,
        &[
            // Its own earlier revision is no duplicate of it.
            change("c", 2, Op::Put, "narwhal"),
            change("b", 2, Op::Forget, ""),
            change("c", 3, Op::Put, "beluga"),
        ],
    );
    assert_eq!((second.updated, second.duplicates), (2, 0));
    let third = merge(&store, &[change("a", 2, Op::Put, "orca")]);
    assert_eq!((third.updated, third.duplicates), (1, 0));
    // What is gone, or says something else now, is nobody's duplicate.
    let fourth = merge(&store, &[change("d", 1, Op::Put, "narwhal")]);
    assert_eq!((fourth.added, fourth.duplicates), (1, 0));
    let fifth = merge(&store, &[change("e", 1, Op::Put, "walrus")]);
    assert_eq!((fifth.added, fifth.duplicates), (1, 0));
    let sixth = merge(&store, &[change("f", 1, Op::Put, "orca")]);
    assert_eq!((sixth.added, sixth.duplicates), (1, 1));
}

#[test]
fn memories_of_several_systems_with_one_text_are_one_result() {
    let store = store();
    store.remember("a", "tabs in makefiles");
    for name in ["yonder", "there", "beyond"] {
        store.remember_as(name, "m", "tabs in makefiles");
    }
    store.remember("b", "makefiles need tabs, says the user");
    let found = shown(&store, &query("tabs makefiles"));
    assert_eq!(found.len(), 2);
    let (system, _, also_in) = &found[0];
    let mut all: Vec<&str> = also_in.iter().map(String::as_str).collect();
    assert!(all.is_sorted());
    all.push(system);
    all.sort_unstable();
    assert_eq!(all, ["beyond", "here", "there", "yonder"]);
    assert_eq!(found[1], row("here", "b", &[]));
    // The rows stay.
    assert_eq!(store.stats().unwrap().memories, 5);
}

#[test]
fn the_best_scored_memory_stands_for_the_others() {
    let store = store();
    let near = |system: &str, numbers: &[f32]| {
        store.put_as(system, &embedded("m", "pinniped", vector(numbers)));
    };
    near("there", &[0.5, 0.5]);
    near("here", &[1.0, 0.1]);
    near("yonder", &[0.1, 0.9]);
    let asked = SearchQuery {
        embedding: Some(vector(&[1.0])),
        ..query("pinniped")
    };
    assert_eq!(
        shown(&store, &asked),
        [row("here", "m", &["there", "yonder"])]
    );
}

#[test]
fn a_system_that_is_named_keeps_all_its_rows() {
    let store = store();
    store.remember("a", "walrus");
    store.remember_as("there", "b", "walrus");
    store.remember_as("there", "c", "walrus");
    let of_there = SearchQuery {
        filter: Filter {
            system_id: Some(system("there")),
            ..Filter::default()
        },
        ..query("walrus")
    };
    assert_eq!(
        shown(&store, &of_there),
        [row("there", "c", &["here"]), row("there", "b", &["here"])]
    );
}

#[test]
fn memories_of_one_system_are_its_own_whatever_they_say() {
    let store = store();
    store.remember("a", "walrus");
    store.remember("b", "walrus");
    assert_eq!(
        shown(&store, &query("walrus")),
        [row("here", "b", &[]), row("here", "a", &[])]
    );
}

#[test]
fn other_metadata_makes_no_other_content() {
    let store = store();
    store.put_as("here", &with("a", "walrus", &json!({"project": "p"})));
    store.put_as("there", &with("b", "walrus", &json!({"project": "q"})));
    assert_eq!(shown(&store, &query("walrus")).len(), 1);
    let in_q = SearchQuery {
        filter: Filter {
            project: Some("q".into()),
            ..Filter::default()
        },
        ..query("walrus")
    };
    assert_eq!(shown(&store, &in_q), [row("there", "b", &["here"])]);
}

#[test]
fn what_many_systems_have_does_not_crowd_out_the_rest() {
    let store: Fixture = store();
    let mut batch: Vec<_> = (0..700)
        .map(|i| (system(&format!("s{i:03}")), memory("m", "walrus")))
        .collect();
    for i in 0..9 {
        // Longer texts score less than the short one.
        let text = format!("walrus number {i} lives in a colder place than all others");
        batch.push((system("here"), memory(&format!("other-{i}"), &text)));
    }
    store.put_batch(&batch, IngestionMethod::Local).unwrap();
    let found = shown(&store, &query("walrus"));
    assert_eq!(found.len(), 10);
    // As many names as an answer may hold.
    assert_eq!(found[0].2.len(), 100);
    assert!(found[1..].iter().all(|(system, ..)| system == "here"));
    let few = SearchQuery {
        limit: 2,
        ..query("walrus")
    };
    assert_eq!(shown(&store, &few).len(), 2);
}

#[test]
fn forgotten_and_changed_memories_are_in_no_other_system() {
    let store = store();
    store.remember("a", "walrus");
    store.remember_as("there", "b", "walrus");
    store.remember_as("yonder", "c", "walrus");
    store.forget(&id("b"), None, true).unwrap();
    store.remember_as("yonder", "c", "narwhal");
    assert_eq!(shown(&store, &query("walrus")), [row("here", "a", &[])]);
}

/// The key of the content of every row.
type Keys = Vec<(i64, i64)>;

/// What `contents` has to hold, and what it holds.
fn rows(store: &Store) -> (Keys, Keys) {
    let db = Connection::open(store.home().database()).unwrap();
    let all = |sql: &str| -> Vec<(i64, String)> {
        let mut statement = db.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
        rows.unwrap().map(Result::unwrap).collect()
    };
    let expected = all("SELECT seq, text FROM changes WHERE is_head = 1 AND op = 'put' ORDER BY 1")
        .into_iter()
        .map(|(seq, text)| (seq, akosha_core::content_key(&text)));
    let found = all("SELECT seq, CAST(key AS TEXT) FROM contents ORDER BY 1")
        .into_iter()
        .map(|(seq, key)| (seq, key.parse().unwrap()));
    (expected.collect(), found.collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(30))]

    #[test]
    fn contents_are_those_of_the_heads(
        steps in proptest::collection::vec((0..6_u8, 0..4_u8, 1..5_i64, 0..3_u8), 1..40)
    ) {
        let store = store();
        for (what, key, revision, text) in steps {
            let (key, text) = (format!("m{key}"), format!("text {text}"));
            match what {
                0 => drop(store.remember(&key, &text)),
                1 => drop(store.forget(&id(&key), None, revision == 1)),
                2 => drop(merge(&store, &[change(&key, revision, Op::Forget, "")])),
                3 => drop(merge(&store, &[change(&key, revision, Op::Erase, "")])),
                _ => drop(merge(&store, &[change(&key, revision, Op::Put, &text)])),
            }
        }
        let (expected, found) = rows(&store);
        prop_assert_eq!(expected, found);
    }
}
