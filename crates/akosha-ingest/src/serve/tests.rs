//! The steps of the worker.

use akosha_sync::breaker::{Breakers, FAILURES};
use async_trait::async_trait;

use super::*;
use crate::OrchestratorHealth;
use crate::tests::{Node, candidate, engine};

#[tokio::test]
async fn an_upload_that_is_due_waits_quietly_while_the_vault_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let node = Node::in_folder("server", &folder.path().join("vault"));
    let intake = node.syncer.intake().await.unwrap();
    let breakers = Breakers::default();
    for _ in 0..FAILURES {
        breakers.bucket.admit().unwrap().failed("away");
    }
    let mut engine = engine(&intake, breakers, true);
    engine.queue.push(candidate(0));
    let upload = engine.queue.take(Instant::now()).unwrap();
    engine
        .queue
        .put_back(upload, Instant::now(), Duration::ZERO);
    let (woken, cancel) = (Notify::new(), CancellationToken::new());
    let mut serving = Serving::new(engine, Duration::from_hours(1), None, &woken);
    let step = tokio::time::timeout(Duration::from_millis(300), serving.step(&cancel));
    assert!(step.await.is_err(), "it did something again and again");
    assert_eq!(serving.engine.queue.len(), 1);
    serving.engine.stop().await.unwrap();
}

#[tokio::test]
async fn it_ends_where_nothing_can_be_merged_any_more() {
    let folder = tempfile::tempdir().unwrap();
    let node = Node::in_folder("server", &folder.path().join("vault"));
    let intake = node.syncer.intake().await.unwrap();
    let mut engine = engine(&intake, Breakers::default(), true);
    engine.thread = Some(tokio::spawn(async { panic!("a defect") }));
    let (woken, cancel) = (Notify::new(), CancellationToken::new());
    let run = run(engine, Duration::from_hours(1), None, &woken, &cancel);
    let ended = tokio::time::timeout(Duration::from_secs(10), run).await;
    let error = ended.expect("it goes on for nothing").unwrap_err();
    assert!(error.to_string().contains("a defect"), "{error}");
}

#[tokio::test]
async fn an_upload_whose_work_panics_is_set_aside_and_gives_its_slot_back() {
    let folder = tempfile::tempdir().unwrap();
    let node = Node::in_folder("server", &folder.path().join("vault"));
    let intake = node.syncer.intake().await.unwrap();
    let mut engine = engine(&intake, Breakers::default(), true);
    engine.queue.push(candidate(0));
    let upload = engine.queue.take(Instant::now()).unwrap();
    engine.spawn(upload, async { panic!("a defect") });
    let joined = engine.tasks.join_next_with_id().await.unwrap();
    let outcome = engine.joined(joined).await.unwrap();
    assert!(matches!(outcome, Report::SetAside(..)), "{outcome:?}");
    assert_eq!(engine.queue.in_work(), 0);
    let set_aside = intake.store().quarantined().unwrap();
    assert!(set_aside[0].reason.contains("a defect"), "{set_aside:?}");
    engine.queue.push(candidate(0));
    assert_eq!(engine.queue.len(), 1, "it can be tried again");
    engine.stop().await.unwrap();
}

/// A scheduler that takes what it is told.
#[derive(Debug)]
struct Told;

#[async_trait]
impl Scheduler for Told {
    async fn tell(&self, _news: &News) -> Turn {
        Turn::Scheduler
    }

    fn triggered(&self) {}

    fn missed(&self) {}

    fn health(&self) -> OrchestratorHealth {
        OrchestratorHealth {
            mode: OrchestratorMode::Normal,
            ..OrchestratorHealth::default()
        }
    }
}

#[tokio::test]
async fn what_a_look_gives_as_it_ends_is_told_too() {
    let folder = tempfile::tempdir().unwrap();
    let node = Node::in_folder("server", &folder.path().join("vault"));
    let intake = node.syncer.intake().await.unwrap();
    let engine = engine(&intake, Breakers::default(), true);
    let piece = Piece {
        uploads: vec![candidate(0)],
        hopeless: Vec::new(),
    };
    engine.sender.try_send(piece).unwrap();
    let woken = Notify::new();
    let mut serving = Serving::new(
        engine,
        Duration::from_hours(1),
        Some(Arc::new(Told)),
        &woken,
    );
    serving.looked(Some(Ok(()))).await;
    assert_eq!(serving.engine.queue.len(), 1);
    assert!(serving.asking.is_some(), "nobody was told");
    serving.engine.stop().await.unwrap();
}

#[tokio::test]
async fn a_sweep_that_fails_is_not_repeated_at_every_poll() {
    let folder = tempfile::tempdir().unwrap();
    let node = Node::in_folder("server", &folder.path().join("vault"));
    let intake = node.syncer.intake().await.unwrap();
    let engine = engine(&intake, Breakers::default(), true);
    let woken = Notify::new();
    let mut serving = Serving::new(engine, Duration::from_secs(1), None, &woken);
    let now = Instant::now();
    serving.start_look(now);
    ended(&mut serving.looking).await.unwrap().unwrap();
    serving.looking = None;
    assert_eq!(serving.swept, Some(now));
    let error = SyncError::Local {
        message: "away".into(),
        hint: String::new(),
        kind: akosha_core::ErrorKind::Unavailable,
    };
    serving.looked(Some(Err(error))).await;
    assert!(serving.next_sweep >= now + SWEEP_AT_MOST_EVERY);
    assert!(serving.next_sweep < now + SWEEP_EVERY);
    serving.engine.stop().await.unwrap();
}
