//! What a look costs, and what becomes of markers.

use std::fs;
use std::sync::Arc;

use akosha_core::{FixedClock, SystemId, UploadId};
use akosha_store::UploadRecord;
use akosha_sync::breaker::Breakers;

use super::{LONG, Node, S3Server, age, engine};
use crate::engine::Engine;
use crate::look::Look;

/// Systems that pushed once and are idle.
const IDLE: usize = 10_000;

/// Looks once and works until nothing is left; returns how many uploads were merged.
async fn look(engine: &mut Engine, look: Look) -> usize {
    let mut looking = engine.look(look).unwrap();
    let mut merged = 0;
    loop {
        tokio::select! {
            Some(piece) = engine.found.recv() => {
                for upload in piece.uploads {
                    engine.queue.push(upload);
                }
            }
            looked = &mut looking => {
                looked.unwrap().unwrap();
                break;
            }
        }
    }
    while let Ok(piece) = engine.found.try_recv() {
        for upload in piece.uploads {
            engine.queue.push(upload);
        }
    }
    engine.start_work();
    while let Some(joined) = engine.tasks.join_next_with_id().await {
        let outcome = engine.joined(joined).await.unwrap();
        merged += usize::from(matches!(outcome, crate::engine::Report::Merged(_)));
        engine.start_work();
    }
    merged
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_idle_systems_cost_one_listing() {
    let server = S3Server::start().await;
    let node = Node::in_bucket("server", &server);
    let bucket = server.bucket_folder();
    for number in 0..IDLE {
        let system_id: SystemId = format!("idle-{number}").parse().unwrap();
        let upload_id: UploadId = format!("20260102_030405_{system_id}_00000a")
            .parse()
            .unwrap();
        let folder = bucket.join(format!("systems/{system_id}/uploads/{upload_id}"));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("manifest.json"), "{}").unwrap();
        if number < 50 {
            // Merged a short time ago: its marker is still there.
            node.store()
                .record_upload(&upload_id, &system_id, &UploadRecord::default())
                .unwrap();
            fs::create_dir_all(bucket.join("inbox")).unwrap();
            fs::write(bucket.join("inbox").join(upload_id.as_str()), "").unwrap();
        }
    }
    let intake = node.syncer.intake().await.unwrap();
    let mut engine = engine(&intake, Breakers::default(), true);
    for polls in 1..=3 {
        assert_eq!(look(&mut engine, Look::Poll).await, 0);
        assert_eq!(server.lists(), polls);
    }
    let laptop = Node::in_bucket("laptop", &server);
    laptop.push("news").await;
    let before = server.lists();
    assert_eq!(look(&mut engine, Look::Poll).await, 1);
    assert_eq!(server.lists(), before + 1);
    engine.stop().await.unwrap();
}

#[tokio::test]
async fn markers_go_once_they_are_old_and_their_uploads_are_settled() {
    let folder = tempfile::tempdir().unwrap();
    let vault = folder.path().join("vault");
    let laptop = Node::in_folder("laptop", &vault);
    let merged = laptop.push("merged").await;
    let young = laptop.push("young").await;
    let node = Node::in_folder("server", &vault);
    let intake = node.syncer.intake().await.unwrap();
    let mut engine = engine(&intake, Breakers::default(), true);
    assert_eq!(look(&mut engine, Look::Poll).await, 2);

    let marker = |name: &str| vault.join("inbox").join(name);
    let waits = laptop.push("waits").await;
    for (name, is_old) in [
        (merged.as_str(), true),
        (young.as_str(), false),
        (waits.as_str(), true),
        ("20260102_030405_nobody_00000a", true),
        ("20260102_030405_nobody_00000b", false),
        ("no-upload-of-akosha", true),
    ] {
        fs::write(marker(name), "").unwrap();
        if is_old {
            age(&marker(name), LONG);
        }
    }
    for odd in ["two words", "..x", "a\u{e9}", "20260102_030405__00000a"] {
        fs::write(marker(odd), "").unwrap();
    }
    assert_eq!(look(&mut engine, Look::Poll).await, 1);
    assert!(!marker(merged.as_str()).exists());
    assert!(
        marker(young.as_str()).exists(),
        "other servers may not have seen it"
    );
    assert!(
        marker(waits.as_str()).exists(),
        "it was not merged when it was seen"
    );
    assert!(!marker("no-upload-of-akosha").exists());
    // Now it is known that there is nothing behind them.
    assert_eq!(look(&mut engine, Look::Poll).await, 0);
    assert!(!marker(waits.as_str()).exists());
    assert!(!marker("20260102_030405_nobody_00000a").exists());
    assert!(marker("20260102_030405_nobody_00000b").exists());
    assert!(
        marker("two words").exists(),
        "nobody's key is nobody's to remove"
    );
    engine.stop().await.unwrap();
}

#[tokio::test]
async fn a_sweep_finds_what_has_no_marker() {
    let folder = tempfile::tempdir().unwrap();
    let vault = folder.path().join("vault");
    let laptop = Node::in_folder("laptop", &vault);
    let upload_id = laptop.push("a").await;
    fs::remove_file(vault.join("inbox").join(upload_id.as_str())).unwrap();
    let node = Node::in_folder("server", &vault);
    let intake = node.syncer.intake().await.unwrap();
    let mut engine = engine(&intake, Breakers::default(), true);
    assert_eq!(look(&mut engine, Look::Poll).await, 0);
    assert_eq!(look(&mut engine, Look::Sweep).await, 1);
    assert_eq!(look(&mut engine, Look::Sweep).await, 0);
    engine.stop().await.unwrap();
}

#[tokio::test]
async fn what_may_pass_later_waits_and_what_cannot_is_read_once() {
    let folder = tempfile::tempdir().unwrap();
    let vault = folder.path().join("vault");
    let laptop = Node::in_folder("laptop", &vault);
    let lacking = laptop.push("lacking").await;
    let segments = vault.join("systems/laptop/segments");
    let hidden = folder.path().join("hidden");
    fs::rename(&segments, &hidden).unwrap();
    let garbled = laptop.push("garbled").await;
    let manifest = vault.join(format!("systems/laptop/uploads/{garbled}/manifest.json"));
    fs::write(&manifest, "{").unwrap();

    let node = Node::in_folder("server", &vault);
    let intake = node.syncer.intake().await.unwrap();
    let mut engine = engine(&intake, Breakers::default(), true);
    for what in [Look::Poll, Look::Poll, Look::Sweep] {
        assert_eq!(look(&mut engine, what).await, 0);
    }
    let set_aside = node.store().quarantined().unwrap();
    assert_eq!(set_aside.len(), 2, "{set_aside:?}");
    let attempts = || -> i64 {
        let path = node.home.path().join("akosha.db");
        let db = rusqlite::Connection::open(path).unwrap();
        let sql = "SELECT attempts FROM quarantine WHERE upload_id = ?1";
        db.query_row(sql, [lacking.as_str()], |row| row.get(0))
            .unwrap()
    };
    assert_eq!(attempts(), 1, "it was tried again before its time");

    // It comes back, and its time comes.
    for entry in fs::read_dir(&hidden).unwrap() {
        let path = entry.unwrap().path();
        fs::rename(&path, segments.join(path.file_name().unwrap())).unwrap();
    }
    let path = node.home.path().join("akosha.db");
    let db = rusqlite::Connection::open(path).unwrap();
    db.execute("UPDATE quarantine SET not_before = 0", [])
        .unwrap();
    assert_eq!(look(&mut engine, Look::Poll).await, 1);
    assert_eq!(node.store().quarantined().unwrap().len(), 1);
    // What was removed from the vault is not set aside any more.
    fs::remove_file(&manifest).unwrap();
    look(&mut engine, Look::Sweep).await;
    assert_eq!(node.store().quarantined().unwrap(), []);
    engine.stop().await.unwrap();
}

#[tokio::test]
async fn a_machine_whose_clock_is_wrong_takes_no_leases_away() {
    let folder = tempfile::tempdir().unwrap();
    let vault = folder.path().join("vault");
    let node = Node::with_options(
        "server",
        |config| config.cloud_bucket = format!("file://{}", vault.display()),
        |options| {
            let ahead = options.sources.clock.now() + chrono::TimeDelta::days(3);
            options.sources.clock = Arc::new(FixedClock::new(ahead));
        },
    );
    let (young, old) = (
        vault.join("leases/20260102_030405_laptop_00000a"),
        vault.join("leases/20260102_030405_laptop_00000b"),
    );
    fs::create_dir_all(vault.join("leases")).unwrap();
    for lease in [&young, &old] {
        fs::write(lease, "{}").unwrap();
    }
    age(&old, LONG);
    let intake = node.syncer.intake().await.unwrap();
    let mut engine = engine(&intake, Breakers::default(), true);
    look(&mut engine, Look::Sweep).await;
    assert!(young.exists() && !old.exists());
    engine.stop().await.unwrap();
}

#[tokio::test]
async fn what_a_killed_worker_left_in_the_home_goes_after_a_day() {
    let folder = tempfile::tempdir().unwrap();
    let node = Node::in_folder("server", &folder.path().join("vault"));
    let left = |name: &str| node.home.path().join("tmp").join(name);
    for (name, is_old) in [("young", false), ("old", true), ("push-other", true)] {
        fs::write(left(name), "").unwrap();
        if is_old {
            age(&left(name), LONG);
        }
    }
    let intake = node.syncer.intake().await.unwrap();
    let mut engine = engine(&intake, Breakers::default(), true);
    look(&mut engine, Look::Sweep).await;
    assert!(left("young").exists() && !left("old").exists());
    assert!(left("push-other").exists(), "whoever pushes may need it");
    engine.stop().await.unwrap();
}
