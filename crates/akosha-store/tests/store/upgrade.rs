//! A store that an earlier version wrote.

use akosha_store::{Home, Store, StoreOptions, Target};
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
