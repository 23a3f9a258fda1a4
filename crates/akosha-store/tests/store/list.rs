//! Listing in pages, filters, and walking through everything.

use akosha_core::ErrorKind;
use akosha_store::{Filter, PageRequest, Store, StoreError};
use serde_json::json;

use crate::support::{Fixture, id, store, system, time, with};

/// Returns the ids of all pages, and how many pages there were.
fn pages(store: &Store, limit: usize, filter: &Filter) -> (Vec<String>, usize) {
    let mut request = PageRequest {
        limit,
        cursor: None,
        filter: filter.clone(),
    };
    let mut ids = Vec::new();
    for page in 1.. {
        let found = store.list(&request).unwrap();
        assert!(found.memories.len() <= limit);
        ids.extend(found.memories.into_iter().map(|m| m.memory_id.to_string()));
        match found.next_cursor {
            Some(cursor) => request.cursor = Some(cursor),
            None => return (ids, page),
        }
    }
    unreachable!()
}

fn ids(store: &Store, filter: &Filter) -> Vec<String> {
    let mut ids = pages(store, 100, filter).0;
    ids.sort();
    ids
}

#[test]
fn pages_hold_every_memory_once_also_where_times_are_equal() {
    let store = store();
    for i in 0..25 {
        // Groups of ten share a time.
        if i % 10 == 0 {
            store.pass(1);
        }
        store.remember(&format!("m{i:02}"), "text");
    }
    let expected: Vec<String> = (0..25).rev().map(|i| format!("m{i:02}")).collect();
    for limit in [1, 3, 10, 24, 25, 26, 1000] {
        let (ids, pages) = pages(&store, limit, &Filter::default());
        assert_eq!(ids, expected, "{limit}");
        assert_eq!(pages, 25_usize.div_ceil(limit), "{limit}");
    }
}

#[test]
fn a_memory_stored_between_pages_disturbs_no_later_page() {
    let store = store();
    for i in 0..4 {
        store.remember(&format!("m{i}"), "text");
    }
    let first = store
        .list(&PageRequest {
            limit: 2,
            ..PageRequest::default()
        })
        .unwrap();
    store.pass(1);
    store.remember("new", "text");
    let second = store
        .list(&PageRequest {
            limit: 2,
            cursor: first.next_cursor,
            ..PageRequest::default()
        })
        .unwrap();
    let ids: Vec<_> = second
        .memories
        .iter()
        .map(|m| m.memory_id.as_str())
        .collect();
    assert_eq!(
        (ids.as_slice(), second.next_cursor),
        (["m1", "m0"].as_slice(), None)
    );
}

#[test]
fn bad_limits_and_cursors_are_named() {
    let store = store();
    for limit in [0, 1001] {
        let error = store
            .list(&PageRequest {
                limit,
                ..PageRequest::default()
            })
            .unwrap_err();
        assert!(error.to_string().starts_with("`limit` is"), "{error}");
    }
    for cursor in ["", "x", "1", "1.x", "1.2.3", "1.2' OR 1=1 --"] {
        let error = store
            .list(&PageRequest {
                limit: 1,
                cursor: Some(cursor.into()),
                ..PageRequest::default()
            })
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().starts_with("`cursor` is"), "{error}");
    }
}

fn sample() -> Fixture {
    let store = store();
    for (id, system, metadata) in [
        (
            "a",
            "here",
            json!({"project": "p", "type": "note", "tags": ["x", "y"], "created_at": "2026-01-01"}),
        ),
        (
            "b",
            "here",
            json!({"project": "p", "tags": ["x"], "created_at": "2026-01-02"}),
        ),
        (
            "c",
            "there",
            json!({"project": "q", "type": "note", "tags": ["y", "x"], "created_at": "2026-01-03"}),
        ),
        (
            "d",
            "there",
            json!({"tags": null, "created_at": "2026-01-04"}),
        ),
        (
            "e",
            "there",
            json!({"tags": ["it's \"quoted\"", "日本"], "created_at": "2026-01-05"}),
        ),
    ] {
        store.put_as(system, &with(id, "text", &metadata));
    }
    store
}

#[test]
fn filters_select_what_they_say() {
    let store = sample();
    let all = Filter::default;
    let tags = |tags: &[&str]| Filter {
        tags: tags.iter().map(ToString::to_string).collect(),
        ..all()
    };
    let cases: [(Filter, &[&str]); 14] = [
        (all(), &["a", "b", "c", "d", "e"]),
        (
            Filter {
                system_id: Some(system("there")),
                ..all()
            },
            &["c", "d", "e"],
        ),
        (
            Filter {
                project: Some("p".into()),
                ..all()
            },
            &["a", "b"],
        ),
        (
            Filter {
                project: Some("P".into()),
                ..all()
            },
            &[],
        ),
        (
            Filter {
                kind: Some("note".into()),
                ..all()
            },
            &["a", "c"],
        ),
        (
            Filter {
                kind: Some("session_memory".into()),
                ..all()
            },
            &["b", "d", "e"],
        ),
        (tags(&["x"]), &["a", "b", "c"]),
        (tags(&["x", "y"]), &["a", "c"]),
        (tags(&["y", "x", "x"]), &["a", "c"]),
        (tags(&["x", "z"]), &[]),
        (tags(&["it's \"quoted\"", "日本"]), &["e"]),
        (
            Filter {
                since: Some(time("2026-01-02")),
                ..all()
            },
            &["b", "c", "d", "e"],
        ),
        (
            Filter {
                until: Some(time("2026-01-02")),
                ..all()
            },
            &["a"],
        ),
        (
            Filter {
                since: Some(time("2026-01-01")),
                until: Some(time("2026-01-04")),
                kind: Some("note".into()),
                system_id: Some(system("there")),
                ..tags(&["y"])
            },
            &["c"],
        ),
    ];
    for (filter, expected) in cases {
        assert_eq!(ids(&store, &filter), expected, "{filter:?}");
        let mut walked = Vec::new();
        store
            .for_each::<StoreError>(&filter, |memory| {
                walked.push(memory.memory_id.to_string());
                Ok(())
            })
            .unwrap();
        assert_eq!(walked, expected, "{filter:?}");
    }
    // SQLite bounds the depth of an expression; the number of tags is none of its business.
    let many: Vec<String> = (0..5000).map(|i| i.to_string()).collect();
    assert_eq!(
        ids(
            &store,
            &Filter {
                tags: many,
                ..all()
            }
        ),
        Vec::<String>::new()
    );
}

#[test]
fn superseded_and_forgotten_memories_are_not_listed() {
    let store = sample();
    store.put_as("here", &with("a", "new", &json!({"tags": ["other"]})));
    store.forget(&id("b"), None, false).unwrap();
    let tagged = Filter {
        tags: vec!["x".into()],
        ..Filter::default()
    };
    assert_eq!(ids(&store, &tagged), ["c"]);
    assert_eq!(ids(&store, &Filter::default()), ["a", "c", "d", "e"]);
}

#[test]
fn walking_stops_at_the_first_error_of_the_visitor() {
    let store = sample();
    let mut seen = 0;
    let stopped = store.for_each(&Filter::default(), |_| {
        seen += 1;
        if seen == 2 {
            Err(StoreError::DiskFull)
        } else {
            Ok(())
        }
    });
    assert!(matches!(stopped, Err(StoreError::DiskFull)));
    assert_eq!(seen, 2);
}
