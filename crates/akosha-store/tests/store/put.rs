//! Storing and reading back.

use akosha_core::{IngestionMethod, Tier};
use akosha_store::{Store, StoreError, StoreOptions};
use serde_json::json;

use crate::support::{embedded, id, memory, store, system, time, vector, with};

#[test]
fn what_is_stored_is_read_back_whole() {
    let store = store();
    let new = with(
        "a",
        "text with \0 and 🦀",
        &json!({"type": "note", "tags": ["x"], "other": {"deep": [1, null]}, "created_at": "2020-01-01"}),
    );
    let new = akosha_core::NewMemory {
        embedding: Some(vector(&[0.25, -1.0])),
        ..new
    };
    let stored = store.put_as("here", &new);
    assert_eq!((stored.revision, stored.deduplicated), (1, false));
    assert!(stored.has_embedding);
    let memory = store.get(&id("a"), None).unwrap().unwrap();
    assert_eq!(memory.text, new.text);
    assert_eq!(memory.metadata, new.metadata);
    assert_eq!(memory.embedding, new.embedding);
    assert_eq!(memory.created_at, time("2020-01-01"));
    assert_eq!(memory.stored_at, stored.stored_at);
    assert_eq!(memory.ingestion_method, IngestionMethod::Local);
    assert_eq!(memory.tier, Tier::Hot);
    assert_eq!(memory.system_id, system("here"));
}

#[test]
fn the_same_content_is_stored_once() {
    let store = store();
    let first = store.remember("a", "one");
    store.pass(60);
    let again = store.remember("a", "one");
    assert!(again.deduplicated);
    assert_eq!(again.revision, 1);
    assert_eq!(again.stored_at, first.stored_at);
    assert_eq!(store.history(&id("a"), None).unwrap().len(), 1);
    assert_eq!(store.stats().unwrap().memories, 1);
    // Another system's memory of the same id is another memory.
    assert!(!store.remember_as("there", "a", "one").deduplicated);
    let stats = store.stats().unwrap();
    assert_eq!((stats.memories, stats.systems), (2, 2));
    assert!(stats.size_bytes > 0);
}

#[test]
fn repeating_without_the_embedding_keeps_it() {
    let store = store();
    store.put_as("here", &embedded("a", "one", vector(&[1.0])));
    let again = store.remember("a", "one");
    assert!(again.deduplicated && again.has_embedding);
    let other = store.put_as("here", &embedded("a", "one", vector(&[2.0])));
    assert_eq!((other.deduplicated, other.revision), (false, 2));
}

#[test]
fn other_content_becomes_a_revision_and_the_old_one_stays_in_history() {
    let store = store();
    store.remember("a", "one");
    store.pass(60);
    assert_eq!(store.remember("a", "two").revision, 2);
    store.pass(60);
    // Metadata alone is content too.
    let third = store.put_as("here", &with("a", "two", &json!({"project": "p"})));
    assert_eq!(third.revision, 3);
    let now = store.get(&id("a"), None).unwrap().unwrap();
    assert_eq!((now.text.as_str(), now.revision), ("two", 3));
    assert_eq!(now.created_at, time("2026-05-01T12:00:00Z"));
    assert_eq!(now.updated_at, time("2026-05-01T12:02:00Z"));
    let history = store.history(&id("a"), None).unwrap();
    let shown: Vec<_> = history
        .iter()
        .map(|m| (m.revision, m.text.as_str()))
        .collect();
    assert_eq!(shown, [(1, "one"), (2, "two"), (3, "two")]);
    // What was true once can be true again.
    assert_eq!(store.remember("a", "one").revision, 4);
}

#[test]
fn a_missing_id_is_made_and_sorts_by_time() {
    let store = store();
    let nameless = akosha_core::NewMemory {
        memory_id: None,
        ..memory("unused", "x")
    };
    let first = store.put_as("here", &nameless).memory_id;
    store.pass(1);
    let second = store.put_as("here", &nameless).memory_id;
    assert!(first < second, "{first} {second}");
    assert_eq!(first.as_str().len(), 26);
}

#[test]
fn a_batch_is_stored_together_and_in_order() {
    let store = store();
    let batch: Vec<_> = ["one", "two", "one"]
        .map(|text| (system("here"), memory("same", text)))
        .into();
    let stored = store.put_batch(&batch, IngestionMethod::Import).unwrap();
    let revisions: Vec<_> = stored
        .iter()
        .map(|s| (s.revision, s.deduplicated))
        .collect();
    assert_eq!(revisions, [(1, false), (2, false), (3, false)]);
    assert_eq!(store.put_batch(&[], IngestionMethod::Import).unwrap(), []);
    let read = store.get(&id("same"), None).unwrap().unwrap();
    assert_eq!(read.ingestion_method, IngestionMethod::Import);
}

#[test]
fn an_id_without_its_system_means_the_own_memory_then_the_only_one() {
    let store = store();
    store.remember_as("there", "a", "theirs");
    let read = |system: Option<&str>| {
        let system = system.map(crate::support::system);
        store
            .get(&id("a"), system.as_ref())
            .map(|memory| memory.map(|m| m.text))
    };
    assert_eq!(read(None).unwrap().unwrap(), "theirs");
    store.remember_as("yonder", "a", "far");
    match read(None).unwrap_err() {
        StoreError::Ambiguous { systems, .. } => assert_eq!(systems, ["there", "yonder"]),
        other => panic!("{other}"),
    }
    assert_eq!(read(Some("yonder")).unwrap().unwrap(), "far");
    // One that its system forgot does not stand in the way.
    store
        .forget(&id("a"), Some(&system("yonder")), false)
        .unwrap();
    assert_eq!(read(None).unwrap().unwrap(), "theirs");
    store.remember("a", "own");
    assert_eq!(read(None).unwrap().unwrap(), "own");
    assert_eq!(read(Some("nowhere")).unwrap(), None);
    assert_eq!(store.get(&id("unknown"), None).unwrap(), None);
    assert!(matches!(
        store.history(&id("unknown"), None),
        Err(StoreError::NoMemory(_))
    ));
}

#[test]
fn the_own_memory_is_found_among_thousands_of_systems() {
    let store = store();
    let batch: Vec<_> = (0..1500)
        .map(|i| (system(&format!("a-{i:04}")), memory("same", "text")))
        .chain([(system("here"), memory("same", "own"))])
        .collect();
    store.put_batch(&batch, IngestionMethod::HttpPush).unwrap();
    let read = store.get(&id("same"), None).unwrap().unwrap();
    assert_eq!(read.text, "own");
    let other = Store::open(store.home(), StoreOptions::new(system("other"))).unwrap();
    let error = other.get(&id("same"), None).unwrap_err().to_string();
    assert!(error.len() < 200, "{error}");
}

#[test]
fn another_handle_sees_it_at_once_and_the_writer_id_stays() {
    let store = store();
    let other = store.again();
    store.remember("a", "one");
    assert_eq!(other.get(&id("a"), None).unwrap().unwrap().text, "one");
    assert_eq!(other.writer_id(), store.writer_id());
}
