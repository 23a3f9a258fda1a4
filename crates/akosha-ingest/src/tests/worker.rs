//! The worker as a server runs it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use akosha_sync::NoProgress;
use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use super::s3::Fault;
use super::{Node, S3Server, eventually};
use crate::{News, OrchestratorHealth, OrchestratorMode, Scheduler, Turn, WorkerState};

#[tokio::test(flavor = "multi_thread")]
async fn it_finds_news_by_itself_and_when_it_is_woken() {
    let folder = tempfile::tempdir().unwrap();
    let vault = folder.path().join("vault");
    let laptop = Node::in_folder("laptop", &vault);
    laptop.push("a").await;
    let node = Node::new("server", |config| {
        config.cloud_bucket = format!("file://{}", vault.display());
        config.poll_interval = std::time::Duration::from_hours(1);
    });
    let worker = node.worker();
    let cancel = CancellationToken::new();
    let task = tokio::spawn({
        let (worker, cancel) = (worker.clone(), cancel.clone());
        async move { worker.run(cancel).await }
    });
    eventually("the first upload", || node.memories() == 1).await;
    laptop.push("b").await;
    worker.wake();
    eventually("the second upload", || node.memories() == 2).await;
    eventually("rest", || worker.status().state == WorkerState::Idle).await;
    let status = worker.status();
    assert_eq!(
        (status.uploads_merged, status.memories_added),
        (2, 2),
        "{status:?}"
    );
    assert_eq!((status.queue, status.in_flight), (0, 0), "{status:?}");
    assert!(status.last_poll_at.is_some() && status.last_sweep_at.is_some());
    assert!(status.next_poll_at > status.last_poll_at, "{status:?}");
    let shown = serde_json::to_value(&status).unwrap();
    assert_eq!(shown["state"], "idle");
    assert_eq!(worker.orchestrator().mode, OrchestratorMode::Off);
    cancel.cancel();
    task.await.unwrap().unwrap();
    assert_eq!(worker.status().state, WorkerState::Off);
    assert_eq!(std::fs::read_dir(vault.join("leases")).unwrap().count(), 0);
}

#[tokio::test]
async fn without_a_vault_it_is_off_and_waits() {
    let node = Node::new("server", |_| {});
    let worker = node.worker();
    assert!(!worker.status().enabled);
    let cancel = CancellationToken::new();
    cancel.cancel();
    worker.run(cancel.clone()).await.unwrap();
    assert!(
        worker
            .run_once(&NoProgress, &CancellationToken::new())
            .await
            .is_err()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_is_away_is_left_alone_and_taken_up_again() {
    let server = S3Server::start().await;
    let laptop = Node::in_bucket("laptop", &server);
    laptop.push("a").await;
    server.set_fault(Fault::Busy(3));
    let node = Node::in_bucket("server", &server);
    let worker = node.worker();
    let cancel = CancellationToken::new();
    let task = tokio::spawn({
        let (worker, cancel) = (worker.clone(), cancel.clone());
        async move { worker.run(cancel).await }
    });
    eventually("an error", || worker.status().last_error.is_some()).await;
    eventually("the upload", || node.memories() == 1).await;
    eventually("no error", || worker.status().last_error.is_none()).await;
    cancel.cancel();
    task.await.unwrap().unwrap();
}

/// A scheduler that takes what it is told and does nothing by itself.
#[derive(Debug, Default)]
struct Silent {
    told: AtomicU32,
    triggered: AtomicU32,
    missed: AtomicU32,
}

#[async_trait]
impl Scheduler for Silent {
    async fn tell(&self, news: &News) -> Turn {
        assert!(news.uploads > 0);
        self.told.fetch_add(1, Ordering::Relaxed);
        Turn::Scheduler
    }

    fn triggered(&self) {
        self.triggered.fetch_add(1, Ordering::Relaxed);
    }

    fn missed(&self) {
        self.missed.fetch_add(1, Ordering::Relaxed);
    }

    fn health(&self) -> OrchestratorHealth {
        OrchestratorHealth {
            mode: OrchestratorMode::Normal,
            ..OrchestratorHealth::default()
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduler_says_when_and_is_not_waited_for_longer_than_one_interval() {
    let folder = tempfile::tempdir().unwrap();
    let vault = folder.path().join("vault");
    let laptop = Node::in_folder("laptop", &vault);
    let node = Node::new("server", |config| {
        config.cloud_bucket = format!("file://{}", vault.display());
        config.poll_interval = std::time::Duration::from_secs(5);
    });
    let scheduler = Arc::new(Silent::default());
    let worker = node.worker().with_scheduler(scheduler.clone());
    let cancel = CancellationToken::new();
    laptop.push("a").await;
    let task = tokio::spawn({
        let (worker, cancel) = (worker.clone(), cancel.clone());
        async move { worker.run(cancel).await }
    });
    let count = |of: &AtomicU32| of.load(Ordering::Relaxed);
    eventually("its silence", || count(&scheduler.missed) == 1).await;
    eventually("the upload", || node.memories() == 1).await;
    let told = count(&scheduler.told);
    assert!(told > 0);
    laptop.push("b").await;
    eventually("being told", || count(&scheduler.told) > told).await;
    assert_eq!(node.memories(), 1, "it has not said when");
    worker.wake();
    eventually("the next upload", || node.memories() == 2).await;
    assert_eq!(count(&scheduler.triggered), 1);
    cancel.cancel();
    task.await.unwrap().unwrap();
}
