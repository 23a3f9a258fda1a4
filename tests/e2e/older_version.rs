//! A process of an older version goes on in a home that a newer one has opened.

use std::time::Duration;

use serde_json::json;

use crate::support::{Home, eventually};

/// Stores a memory as a version does that keeps no counts.
fn store_as_before(home: &Home, memory_id: &str) {
    let sql = "INSERT INTO changes (system_id, memory_id, revision, op, is_head, is_local, \
         created_at, updated_at, stored_at, ingestion_method, kind, metadata, text) \
         VALUES ('laptop', ?1, 1, 'put', 1, 1, 0, 0, 0, 'local', 'note', '{}', 'Walrus')";
    home.open_database().execute(sql, [memory_id]).unwrap();
}

fn kept(home: &Home) -> i64 {
    let sql = "SELECT sum(memories) FROM systems";
    let database = home.open_database();
    database.query_row(sql, [], |row| row.get(0)).unwrap()
}

fn told(home: &Home) -> serde_json::Value {
    home.ok(&["status"])["store"]["memories"].clone()
}

#[test]
fn what_it_stores_is_counted() {
    let home = Home::new("laptop");
    home.store("a", "Walrus");
    store_as_before(&home, "b");
    assert_eq!((told(&home), kept(&home)), (json!(2), 1));
    // What this version writes on top does not make it look right.
    home.store("c", "Walrus");
    assert_eq!((told(&home), kept(&home)), (json!(3), 2));
    home.run(&["drain"]).ended(0);
    assert_eq!((told(&home), kept(&home)), (json!(3), 3));

    // A server puts it right too.
    store_as_before(&home, "d");
    assert_eq!((told(&home), kept(&home)), (json!(4), 3));
    let mut mcp = home.mcp();
    mcp.call("akosha_sync_status", json!({})).ok();
    eventually("the counts are right", Duration::from_secs(30), || {
        (kept(&home) == 4).then_some(())
    });
    assert!(mcp.finish().0.success());
}
