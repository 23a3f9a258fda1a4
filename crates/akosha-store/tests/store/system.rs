//! Pages of systems, activity over time, and counts that follow what they count.

use akosha_core::{IngestionMethod, UploadId};
use akosha_store::{ActivityPoint, Bucket, Change, Op, Store, SystemSummary, UploadRecord};
use chrono::TimeDelta;
use proptest::prelude::*;
use rusqlite::Connection;

use crate::support::{Fixture, START, change, id, store, system, time};

fn upload(name: &str) -> UploadId {
    name.parse().unwrap()
}

fn merged(store: &Store, system: &str, name: &str) {
    let record = UploadRecord::default();
    store
        .record_upload(&upload(name), &self::system(system), &record)
        .unwrap();
}

fn names(store: &Store, limit: usize, cursor: Option<&str>) -> (Vec<String>, Option<String>, u64) {
    let page = store.systems(limit, cursor).unwrap();
    let names = page.systems.into_iter().map(|system| system.system_id);
    (names.collect(), page.next_cursor, page.total)
}

#[test]
fn a_system_is_summed_up() {
    let store = store();
    store.remember_as("there", "a", "walrus");
    store.remember_as("there", "b", "walrus");
    store.remember_as("there", "b", "narwhal");
    store.remember_as("there", "c", "orca");
    store.forget(&id("c"), None, false).unwrap();
    merged(&store, "there", "20260501_113000_there_00000a");
    store.pass(60);
    // An older upload that comes later is not the newest.
    merged(&store, "there", "20260430_000000_there_00000b");
    merged(&store, "there", "20260430_000000_there_00000b");
    store.quarantine("u9", "there", None, "torn").unwrap();
    let page = store.systems(10, None).unwrap();
    assert_eq!(
        page.systems,
        [SystemSummary {
            system_id: "there".into(),
            memories: 2,
            uploads: 2,
            last_upload_id: Some("20260501_113000_there_00000a".into()),
            last_upload_at: Some(time("2026-05-01T11:30:00Z")),
            last_merged_at: Some(time("2026-05-01T12:01:00Z")),
            lag: Some(TimeDelta::minutes(30)),
            quarantined: 1,
        }]
    );
    assert_eq!((page.next_cursor, page.total), (None, 1));
}

#[test]
fn systems_come_in_pages() {
    let store = store();
    for name in ["c", "a", "b"] {
        store.remember_as(name, "m", "text");
    }
    store.quarantine("u1", "d", None, "torn").unwrap();
    merged(&store, "e", "an-id-of-another-program");
    let (first, cursor, total) = names(&store, 2, None);
    assert_eq!(
        (first, cursor.as_deref(), total),
        (vec!["a".into(), "b".into()], Some("b"), 5)
    );
    let (second, cursor, _) = names(&store, 3, cursor.as_deref());
    assert_eq!(second, ["c", "d", "e"]);
    assert_eq!(cursor, None);
    let page = store.systems(10, Some("d")).unwrap();
    assert_eq!(page.systems[0].last_upload_at, None);
    assert_eq!(page.systems[0].lag, None);
    // A system of which nothing is left is not told.
    store.forget(&id("m"), Some(&system("a")), true).unwrap();
    assert_eq!(names(&store, 10, None).0, ["b", "c", "d", "e"]);
    for limit in [0, 1001] {
        assert!(store.systems(limit, None).is_err());
    }
}

#[test]
fn activity_has_no_gaps() {
    let store: Fixture = store();
    store.remember("a", "one");
    store.remember("b", "two");
    merged(&store, "there", "u1");
    store.pass(2 * 3600);
    store.remember("c", "three");
    merged(&store, "there", "u2");
    merged(&store, "there", "u3");
    let activity = |bucket, since, until| store.activity(bucket, time(since), time(until));
    let point = |at, uploads, memories| ActivityPoint {
        at: time(at),
        uploads,
        memories,
    };
    let hours = activity(Bucket::Hour, "2026-05-01T11:59:00Z", "2026-05-01T15:00:00Z");
    assert_eq!(
        hours.unwrap(),
        [
            point("2026-05-01T11:00:00Z", 0, 0),
            point(START, 1, 2),
            point("2026-05-01T13:00:00Z", 0, 0),
            point("2026-05-01T14:00:00Z", 2, 1),
        ]
    );
    let days = activity(Bucket::Day, "2026-04-30T00:00:00Z", "2026-05-01T00:00:01Z");
    assert_eq!(
        days.unwrap(),
        [
            point("2026-04-30T00:00:00Z", 0, 0),
            point("2026-05-01T00:00:00Z", 3, 3)
        ]
    );
    for (since, until, named) in [
        ("2020-01-01", "2026-01-01", "the limit is 2000"),
        ("2026-01-01", "2026-01-01", "`until` must be after"),
    ] {
        let error = activity(Bucket::Hour, since, until).unwrap_err();
        assert!(error.to_string().contains(named), "{error}");
    }
}

/// The counts, and what they have to be.
fn counts(store: &Store) -> [Vec<(String, i64)>; 4] {
    let db = Connection::open(store.home().database()).unwrap();
    [
        "SELECT system_id, memories FROM systems WHERE memories <> 0 ORDER BY 1",
        "SELECT system_id, count(*) FROM changes WHERE is_head = 1 AND op = 'put' GROUP BY 1",
        "SELECT CAST(hour AS TEXT), memories FROM activity WHERE memories <> 0 ORDER BY 1",
        "SELECT CAST(stored_at / 3600000000 AS TEXT), count(*) FROM changes \
         WHERE is_head = 1 AND op = 'put' GROUP BY 1 ORDER BY 1",
    ]
    .map(|sql| {
        let mut statement = db.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
        rows.unwrap().map(Result::unwrap).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(30))]

    #[test]
    fn counts_follow_what_they_count(
        steps in proptest::collection::vec((0..7_u8, 0..4_u8, 1..5_i64, 0..3_u8), 1..40)
    ) {
        let store = store();
        let mut moved = 0;
        for (what, key, revision, text) in steps {
            let (key, text) = (format!("m{key}"), format!("text {text}"));
            let merge = |op, text: &str| {
                let change: Change = change(&key, revision, op, text);
                store.merge(&[change], IngestionMethod::CloudPull).unwrap();
            };
            match what {
                0 => drop(store.remember(&key, &text)),
                1 => drop(store.forget(&id(&key), None, revision == 1)),
                2 => merge(Op::Forget, ""),
                3 => merge(Op::Erase, ""),
                4 => {
                    moved += 1;
                    let to = system(&format!("here-{moved}"));
                    store.move_unsent(&system("here"), &to).unwrap();
                }
                5 => store.pass(3000),
                _ => merge(Op::Put, &text),
            }
        }
        let [systems, expected_systems, hours, expected_hours] = counts(&store);
        prop_assert_eq!(systems, expected_systems);
        prop_assert_eq!(hours, expected_hours);
    }
}
