//! A vault that does not give some uploads, as against one that gives nothing.

use std::time::Duration;

use akosha_sync::breaker::{Breaker, Breakers, FAILURES};
use tokio_util::sync::CancellationToken;

use super::{Node, S3Server, candidate, engine, eventually};
use crate::IngestWorker;
use crate::look::Look;

/// Breakers of which that of the bucket is open, and half-open after `cool_down`.
fn tripped(cool_down: Duration) -> Breakers {
    let breakers = Breakers {
        bucket: Breaker::with_cool_down("bucket", cool_down),
        ..Breakers::default()
    };
    for _ in 0..FAILURES {
        breakers.bucket.admit().unwrap().failed("away");
    }
    breakers
}

#[tokio::test]
async fn a_look_and_no_upload_finds_out_whether_the_vault_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let node = Node::in_folder("server", &folder.path().join("vault"));
    let intake = node.syncer.intake().await.unwrap();
    let mut engine = engine(&intake, tripped(Duration::ZERO), true);
    engine.queue.push(candidate(0));
    assert!(engine.start_work(), "it waits");
    assert_eq!(engine.queue.in_work(), 0);
    let looked = engine.look(Look::Poll).unwrap().await.unwrap();
    assert!(looked.is_ok());
    assert!(!engine.start_work());
    assert_eq!(engine.queue.in_work(), 1);
    engine.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_that_the_bucket_does_not_give_stop_only_themselves() {
    const BROKEN: usize = 12;
    let server = S3Server::start().await;
    let laptop = Node::in_bucket("laptop", &server);
    for number in 0..BROKEN {
        laptop.push(&format!("broken-{number}")).await;
    }
    server.break_objects("systems/laptop/");
    let node = Node::in_bucket("server", &server);
    let breakers = Breakers {
        bucket: Breaker::with_cool_down("bucket", Duration::from_millis(100)),
        ..Breakers::default()
    };
    let worker = IngestWorker::new(node.syncer.clone(), breakers.clone());
    let cancel = CancellationToken::new();
    let task = tokio::spawn({
        let (worker, cancel) = (worker.clone(), cancel.clone());
        async move { worker.run(cancel).await }
    });
    eventually("all of them set aside", || {
        node.store().quarantined().unwrap().len() == BROKEN
    })
    .await;
    eventually("a breaker that is closed", || breakers.bucket.is_closed()).await;
    Node::in_bucket("desktop", &server).push("good").await;
    eventually("the good one", || node.memories() == 1).await;
    assert!(breakers.bucket.is_closed());
    // They are given again.
    server.mend_objects();
    let report = worker
        .run_once(&akosha_sync::NoProgress, &cancel)
        .await
        .unwrap();
    assert!(report.success, "{report:?}");
    assert_eq!(node.memories(), 1 + BROKEN as i64);
    assert_eq!(node.store().quarantined().unwrap(), []);
    cancel.cancel();
    task.await.unwrap().unwrap();
}
