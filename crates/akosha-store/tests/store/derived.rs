//! Tables that are derived from others, in a home that an older version wrote, or still writes.

use akosha_core::{IngestionMethod, content_key};
use akosha_store::{Bucket, Change, Home, IncomingUpload, Merged, Op, Store, StoreOptions};
use chrono::TimeDelta;
use proptest::prelude::*;
use rusqlite::{Connection, params};
use tempfile::TempDir;

use crate::search::query;
use crate::support::{START, change, id, memory, system, time};

/// A home as an older version leaves it.
fn old_home() -> (TempDir, Home, Connection) {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::new(folder.path());
    let db = Connection::open(home.database()).unwrap();
    db.pragma_update(None, "journal_mode", "wal").unwrap();
    for step in [
        include_str!("../../src/schema/001_first.sql"),
        include_str!("../../src/schema/002_sync.sql"),
        include_str!("../../src/schema/003_files.sql"),
        include_str!("../../src/schema/004_care.sql"),
    ] {
        db.execute_batch(step).unwrap();
    }
    db.pragma_update(None, "user_version", 4).unwrap();
    (folder, home, db)
}

/// Stores a memory as an older version does.
fn old_put(db: &Connection, system: &str, id: &str, text: &str) {
    db.execute(
        "UPDATE changes SET is_head = 0 WHERE system_id = ?1 AND memory_id = ?2 AND is_head = 1",
        [system, id],
    )
    .unwrap();
    db.execute(
        "INSERT INTO changes (system_id, memory_id, revision, op, is_head, is_local, created_at, \
         updated_at, stored_at, ingestion_method, kind, metadata, text) \
         VALUES (?1, ?2, 1, 'put', 1, 0, ?4, ?4, ?4, 'local', 'note', '{}', ?3)",
        params![system, id, text, time(START).timestamp_micros()],
    )
    .unwrap();
    db.execute(
        "INSERT INTO words (rowid, text, labels) VALUES (last_insert_rowid(), ?1, '')",
        [text],
    )
    .unwrap();
}

/// Notes an upload as an older version does.
fn old_upload(db: &Connection, system: &str, id: &str) {
    db.execute(
        "INSERT OR IGNORE INTO uploads (system_id, upload_id, merged_at, rows) VALUES (?1, ?2, ?3, 1)",
        params![system, id, time(START).timestamp_micros()],
    )
    .unwrap();
}

fn open(home: &Home) -> Store {
    Store::open(home, StoreOptions::new(system("here"))).unwrap()
}

fn rows(db: &Connection, sql: &str) -> Vec<(String, i64, i64)> {
    let mut statement = db.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
    rows.unwrap().map(Result::unwrap).collect()
}

const HEADS: &str = "FROM changes WHERE is_head = 1 AND op = 'put'";

/// Whether what the store answers is what is there.
fn answers_are_right(store: &Store, db: &Connection) {
    let memories = rows(
        db,
        &format!("SELECT system_id, count(*), 0 {HEADS} GROUP BY 1 ORDER BY 1"),
    );
    let uploads = rows(
        db,
        "SELECT system_id, count(*), 0 FROM uploads GROUP BY 1 ORDER BY 1",
    );
    let stats = store.stats().unwrap();
    let total = memories.iter().map(|it| it.1).sum::<i64>().unsigned_abs();
    assert_eq!(
        (stats.memories, stats.systems),
        (total, memories.len() as u64)
    );
    let page = store.systems(100, None).unwrap();
    assert_eq!(page.total, page.systems.len() as u64);
    let told = |count: fn(&akosha_store::SystemSummary) -> u64| {
        let told = page.systems.iter().filter(move |it| count(it) > 0);
        told.map(|it| (it.system_id.clone(), count(it) as i64, 0))
            .collect::<Vec<_>>()
    };
    assert_eq!(told(|it| it.memories), memories);
    assert_eq!(told(|it| it.uploads), uploads);
    let (since, until) = (time("2026-01-01T00:00:00Z"), time("2027-01-01T00:00:00Z"));
    let days = store
        .activity(Bucket::Day, since, until + TimeDelta::days(365))
        .unwrap();
    assert_eq!(days.iter().map(|day| day.memories).sum::<u64>(), total);
    let total = uploads.iter().map(|it| it.1).sum::<i64>().unsigned_abs();
    assert_eq!(days.iter().map(|day| day.uploads).sum::<u64>(), total);
}

/// Whether the tables hold what is there, and nothing else.
fn tables_are_right(db: &Connection) {
    let kept = rows(
        db,
        "SELECT system_id, memories, uploads FROM systems \
         WHERE memories <> 0 OR uploads <> 0 ORDER BY 1",
    );
    let counted = rows(
        db,
        &format!(
            "SELECT system_id, sum(m), sum(u) FROM (SELECT system_id, 1 AS m, 0 AS u {HEADS} \
             UNION ALL SELECT system_id, 0, 1 FROM uploads) GROUP BY 1 ORDER BY 1"
        ),
    );
    assert_eq!(kept, counted);
    let hours = "SELECT '', sum(memories), sum(uploads) FROM activity";
    let counted = format!("SELECT '', (SELECT count(*) {HEADS}), (SELECT count(*) FROM uploads)");
    let sums = |sql: &str| -> (Option<i64>, Option<i64>) {
        db.query_row(sql, [], |row| Ok((row.get(1)?, row.get(2)?)))
            .unwrap()
    };
    let (memories, uploads) = sums(hours);
    assert_eq!((memories.or(Some(0)), uploads.or(Some(0))), sums(&counted));
    let keys = rows(db, "SELECT system_id, seq, key FROM contents ORDER BY seq");
    let mut statement = db.prepare(&format!("SELECT system_id, seq, text {HEADS} ORDER BY seq"));
    let heads = statement.as_mut().unwrap().query_map([], |row| {
        Ok((
            row.get(0)?,
            row.get(1)?,
            content_key(&row.get::<_, String>(2)?),
        ))
    });
    let heads: Vec<_> = heads.unwrap().map(Result::unwrap).collect();
    assert_eq!(keys, heads);
}

fn fill(store: &Store) {
    while store.derive_some().unwrap() {}
}

#[test]
fn an_upgrade_leaves_what_is_there_for_later() {
    let (_folder, home, mut db) = old_home();
    let batch = db.transaction().unwrap();
    for i in 0..2500 {
        old_put(&batch, "there", &format!("m{i}"), &format!("text {i}"));
        old_upload(&batch, "there", &format!("u{i:04}"));
    }
    batch.commit().unwrap();
    let store = open(&home);
    let held = |table: &str| -> i64 {
        let sql = format!("SELECT count(*) FROM {table}");
        db.query_row(&sql, [], |row| row.get(0)).unwrap()
    };
    for table in ["contents", "systems", "activity"] {
        assert_eq!(held(table), 0, "{table}");
    }
    answers_are_right(&store, &db);
    // What comes and goes meanwhile is counted once, on both sides of how far it is filled.
    assert!(store.derive_some().unwrap());
    assert_eq!(held("contents"), 2000);
    for name in ["m7", "m2400"] {
        store.forget(&id(name), None, false).unwrap();
    }
    old_upload(&db, "there", "u0001b");
    old_upload(&db, "there", "u2400b");
    store
        .put(
            &system("here"),
            &memory("new", "text"),
            IngestionMethod::Local,
        )
        .unwrap();
    answers_are_right(&store, &db);
    fill(&store);
    answers_are_right(&store, &db);
    tables_are_right(&db);
}

#[test]
fn a_group_of_uploads_fills_once() {
    let (_folder, home, mut db) = old_home();
    let batch = db.transaction().unwrap();
    for i in 0..5000 {
        old_put(&batch, "there", &format!("m{i}"), &format!("text {i}"));
    }
    batch.commit().unwrap();
    let store = open(&home);
    let there = system("there");
    let ids = ["u1", "u2", "u3"].map(|id| id.parse().unwrap());
    let uploads = ids.each_ref().map(|upload_id| IncomingUpload {
        system_id: &there,
        upload_id,
        changes: &[],
        before: Merged::default(),
        rows: 0,
        bytes: 0,
        refused: &[],
    });
    let method = IngestionMethod::CloudPull;
    store.merge_uploads(&uploads, method, None).unwrap();
    let missing = || -> i64 {
        db.query_row("SELECT missing_up_to FROM derived", [], |row| row.get(0))
            .unwrap()
    };
    assert_eq!(missing(), 3000);
    // It is found as soon as it is there.
    let same = [change("new", 1, Op::Put, "text 4999")];
    assert_eq!(store.merge(&same, method).unwrap().duplicates, 1);
    assert_eq!(missing(), 1000);
}

#[test]
fn what_an_older_version_writes_meanwhile_is_counted() {
    let (_folder, home, db) = old_home();
    old_put(&db, "there", "a", "walrus");
    let store = open(&home);
    fill(&store);
    for name in ["a", "b", "c"] {
        old_put(&db, "there", name, "narwhal");
    }
    answers_are_right(&store, &db);
    // What this version writes on top does not hide it.
    for name in ["a", "b", "c"] {
        store.forget(&id(name), None, false).unwrap();
    }
    assert_eq!(store.stats().unwrap().memories, 0);
    // The row of a memory that says something else now.
    let put = |store: &str, id: &str| change_of(store, id, "walrus");
    let merged = store.merge(&[put("there", "d")], IngestionMethod::CloudPull);
    assert_eq!(merged.unwrap().duplicates, 0);
    store
        .merge(&[put("yonder", "d")], IngestionMethod::CloudPull)
        .unwrap();
    let found = store.search(&query("walrus")).unwrap().hits;
    assert_eq!(found[0].also_in.len(), 1);
    answers_are_right(&store, &db);
    fill(&store);
    answers_are_right(&store, &db);
    tables_are_right(&db);
}

fn change_of(name: &str, id: &str, text: &str) -> Change {
    Change {
        system_id: system(name),
        ..change(id, 1, Op::Put, text)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20))]

    #[test]
    fn two_versions_may_use_a_home(
        before in 0..6_u8,
        steps in proptest::collection::vec((0..8_u8, 0..6_u8, 1..5_i64, 0..3_u8), 1..30)
    ) {
        let (_folder, home, db) = old_home();
        for key in 0..before {
            old_put(&db, "there", &format!("m{key}"), "text");
            old_upload(&db, "there", &format!("u{key}"));
        }
        let store = open(&home);
        for (what, key, revision, text) in steps {
            let (key, text) = (format!("m{key}"), format!("text {text}"));
            let merge = |op, text: &str| {
                let change = change(&key, revision, op, text);
                store.merge_since(&[change], IngestionMethod::CloudPull, 0).unwrap();
            };
            match what {
                0 => drop(store.put(&system("there"), &memory(&key, &text), IngestionMethod::Local)),
                1 => drop(store.forget(&id(&key), None, revision == 1)),
                2 => merge(Op::Forget, ""),
                3 => merge(Op::Put, &text),
                4 => old_put(&db, "there", &key, &text),
                5 => old_upload(&db, "there", &key),
                6 => fill(&store),
                _ => drop(store.derive_some().unwrap()),
            }
            answers_are_right(&store, &db);
        }
        fill(&store);
        answers_are_right(&store, &db);
        tables_are_right(&db);
    }
}
