//! A store that an earlier version wrote.

use akosha_store::{Bucket, Home, Store, StoreOptions, Target};
use chrono::TimeDelta;
use rusqlite::Connection;

use crate::support::{START, system, time};

#[test]
fn what_was_pushed_before_is_known_as_begun_here() {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::new(folder.path());
    let db = Connection::open(home.database()).unwrap();
    db.execute_batch(include_str!("../../src/schema/001_first.sql"))
        .unwrap();
    let at = time(START).timestamp_micros();
    db.execute(
        "INSERT INTO pushes (target, system_id, acked_seq, epoch, last_upload_id, verified_at) \
         VALUES ('cloud s3://b', 'here', 7, 2, 'u1', ?1), ('http http://h', 'here', 9, 0, NULL, ?1)",
        [at],
    )
    .unwrap();
    db.pragma_update(None, "user_version", 1).unwrap();
    drop(db);

    let store = Store::open(&home, StoreOptions::new(system("here"))).unwrap();
    let here = system("here");
    let begun = store.begun(&here, &"u1".parse().unwrap()).unwrap().unwrap();
    assert_eq!((begun.epoch, begun.intent.to_seq), (2, 7));
    let state = store.push_state(&Target::new("cloud", "s3://b"), &here);
    assert_eq!(state.unwrap().acked_seq, 7);
}

#[test]
fn what_was_there_before_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::new(folder.path());
    let db = Connection::open(home.database()).unwrap();
    db.execute_batch(include_str!("../../src/schema/001_first.sql"))
        .unwrap();
    let at = time(START).timestamp_micros();
    for (id, op, is_head) in [
        ("a", "put", 1),
        ("b", "put", 1),
        ("b", "put", 0),
        ("c", "forget", 1),
    ] {
        db.execute(
            "INSERT INTO changes (system_id, memory_id, revision, op, is_head, is_local, \
             created_at, updated_at, stored_at, ingestion_method, kind, metadata, text) \
             VALUES ('there', ?1, 1, ?2, ?3, 0, 0, 0, ?4, 'local', 'note', '{}', 'text')",
            (id, op, is_head, at),
        )
        .unwrap();
    }
    db.execute(
        "INSERT INTO uploads VALUES ('there', 'u1', ?1, 3), ('there', 'u2', ?1, 0), \
         ('yonder', 'u1', ?1, 0)",
        [at],
    )
    .unwrap();
    db.execute_batch("INSERT INTO quarantine VALUES ('torn', 'u1', '', 'torn', 0)")
        .unwrap();
    db.pragma_update(None, "user_version", 1).unwrap();
    drop(db);

    let store = Store::open(&home, StoreOptions::new(system("here"))).unwrap();
    is_counted(&store);
    while store.derive_some().unwrap() {
        is_counted(&store);
    }
    is_counted(&store);
}

fn is_counted(store: &Store) {
    let page = store.systems(10, None).unwrap().systems;
    let counts: Vec<_> = page
        .iter()
        .map(|found| {
            let name = found.system_id.as_str();
            (name, found.memories, found.uploads, found.quarantined)
        })
        .collect();
    assert_eq!(
        counts,
        [("there", 2, 2, 0), ("torn", 0, 0, 1), ("yonder", 0, 1, 0)]
    );
    assert_eq!(page[0].last_upload_id.as_deref(), Some("u2"));
    let noon = time(START);
    let hour = store.activity(Bucket::Hour, noon, noon + TimeDelta::hours(1));
    let hour = hour.unwrap()[0];
    assert_eq!((hour.uploads, hour.memories), (3, 2));
}
