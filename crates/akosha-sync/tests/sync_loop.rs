//! Push and pull between real stores through a folder vault.

#![allow(clippy::unwrap_used)]

#[path = "support/memories.rs"]
mod memories;

use std::path::Path;
use std::sync::Arc;

use akosha_core::config::{Config, LoadedConfig};
use akosha_core::{ErrorKind, IngestionMethod, Memory, SystemId};
use akosha_store::{Filter, Home, Store, StoreError, StoreOptions, Trigger};
use akosha_sync::{NoProgress, PullReport, SyncReport, SyncRequest, Syncer};
use tokio_util::sync::CancellationToken;

struct Node {
    syncer: Syncer,
    _home: tempfile::TempDir,
}

impl Node {
    fn new(system_id: &str, vault: &Path) -> Self {
        let home = tempfile::tempdir().unwrap();
        let syncer = open(home.path(), system_id, vault);
        Self {
            syncer,
            _home: home,
        }
    }

    fn store(&self) -> &Store {
        self.syncer.store()
    }

    fn put(&self, id: &str, text: &str) {
        memories::put(self.store(), id, text);
    }

    async fn push(&self) -> SyncReport {
        let request = SyncRequest {
            enable_fallback: false,
            ..SyncRequest::default()
        };
        self.syncer
            .sync(
                &request,
                Trigger::Manual,
                &NoProgress,
                &CancellationToken::new(),
            )
            .await
    }

    async fn pull(&self) -> PullReport {
        self.syncer
            .pull(&[], &NoProgress, &CancellationToken::new())
            .await
            .unwrap()
    }

    fn all(&self) -> Vec<Memory> {
        let mut all = Vec::new();
        self.store()
            .for_each(&Filter::default(), |mut memory| {
                memory.ingestion_method = IngestionMethod::Local;
                all.push(memory);
                Ok::<_, StoreError>(())
            })
            .unwrap();
        all
    }
}

fn open(home: &Path, system_id: &str, vault: &Path) -> Syncer {
    let system_id: SystemId = system_id.parse().unwrap();
    let mut config = Config::default_with(system_id.clone());
    config.cloud_bucket = url::Url::from_file_path(vault).unwrap().into();
    let store = Store::open(&Home::new(home), StoreOptions::new(system_id)).unwrap();
    Syncer::new(store, Arc::new(LoadedConfig::new(config)))
}

#[tokio::test]
async fn what_one_node_pushes_another_pulls() {
    let vault = tempfile::tempdir().unwrap();
    let vault = vault.path().join("vault");
    let (a, b) = (Node::new("a", &vault), Node::new("b", &vault));
    for i in 0..2500 {
        a.put(&format!("m{i}"), &format!("text number {i}"));
    }
    let report = a.push().await;
    assert!(report.success, "{report:?}");
    assert_eq!((report.method, report.memories_uploaded), ("cloud", 2500));
    let pulled = b.pull().await;
    assert!(pulled.success, "{pulled:?}");
    assert_eq!((pulled.uploads_merged, pulled.memories_added), (1, 2500));
    assert_eq!(a.all(), b.all());

    let again = a.push().await;
    assert!(again.success && again.memories_uploaded == 0 && again.bytes_transferred == 0);
    assert_eq!(b.pull().await.uploads_seen, 0);

    a.put("m1", "revised");
    let id = "m2".parse().unwrap();
    a.store().forget(&id, None, false).unwrap();
    let id = "m3".parse().unwrap();
    a.store().forget(&id, None, true).unwrap();
    let report = a.push().await;
    assert_eq!(report.memories_uploaded, 3, "{report:?}");
    let pulled = b.pull().await;
    assert_eq!(pulled.memories_updated, 3, "{pulled:?}");
    assert_eq!(a.all(), b.all());
    assert_eq!(b.all().len(), 2498);
    let history = b.store().history(&"m1".parse().unwrap(), None).unwrap();
    assert_eq!(history.len(), 2);
}

#[tokio::test]
async fn a_second_writer_is_told_and_may_take_over() {
    let vault = tempfile::tempdir().unwrap();
    let (a, b) = (
        Node::new("same", vault.path()),
        Node::new("same", vault.path()),
    );
    a.put("x", "from a");
    assert!(a.push().await.success);
    b.put("y", "from b");
    let report = b.push().await;
    assert_eq!(report.kind, Some(ErrorKind::Conflict), "{report:?}");
    assert_eq!(report.memories_uploaded, 0);

    let adoption = b.syncer.adopt(&"same".parse().unwrap()).await.unwrap();
    assert_eq!((adoption.epoch, adoption.adopted), (1, true));
    // Once is enough.
    let again = b.syncer.adopt(&"same".parse().unwrap()).await.unwrap();
    assert_eq!((again.epoch, again.adopted), (1, false));
    let unknown = b.syncer.adopt(&"typo".parse().unwrap()).await.unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::Config);
    assert!(unknown.to_string().contains("`same`"), "{unknown}");
    assert!(b.push().await.success);
    a.put("z", "from a again");
    let report = a.push().await;
    assert_eq!(report.kind, Some(ErrorKind::Conflict), "{report:?}");

    let reader = Node::new("reader", vault.path());
    assert_eq!(reader.pull().await.memories_added, 2);
}

#[tokio::test]
async fn jobs_drain_once_and_stay_where_nothing_works() {
    let vault = tempfile::tempdir().unwrap();
    let folder = vault.path().join("missing").join("vault");
    let a = Node::new("a", &folder);
    let request = SyncRequest {
        enable_fallback: false,
        ..SyncRequest::default()
    };
    a.put("x", "text");
    let first = a.syncer.enqueue(Trigger::SessionEnd, &request).unwrap();
    let second = a.syncer.enqueue(Trigger::SessionEnd, &request).unwrap();
    assert_eq!(first, second);
    a.syncer.drain(&CancellationToken::new()).await.unwrap();
    let queue = a.store().queue().unwrap();
    assert_eq!((queue.pending, queue.running), (1, 0), "{queue:?}");
    assert!(queue.last_error.is_some());

    std::fs::create_dir(vault.path().join("missing")).unwrap();
    a.syncer.enqueue(Trigger::SessionEnd, &request).unwrap();
    a.syncer.drain(&CancellationToken::new()).await.unwrap();
    let queue = a.store().queue().unwrap();
    assert_eq!(
        (queue.pending, queue.running, queue.last_error),
        (0, 0, None)
    );
    let status = a.syncer.status().await.unwrap();
    assert_eq!(status.lag.unsynced_memories, 0);
    assert!(status.vault.verified_at.is_some());
}
