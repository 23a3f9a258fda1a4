//! Two processes of one home that sync at once, because the machine of the first slept: the one
//! that has the lease counts, and the vault ends with every row once.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail as tests do")]

#[path = "support/memories.rs"]
mod memories;

use std::path::Path;
use std::sync::{Arc, Mutex};

use akosha_core::config::{Config, Durability, LoadedConfig};
use akosha_core::{ErrorKind, FixedClock, Sources, SystemId, ThreadRandom, time};
use akosha_store::{Home, Store, StoreOptions, Trigger};
use akosha_sync::{NoProgress, Progress, ProgressState, SyncReport, SyncRequest, Syncer};
use chrono::TimeDelta;
use memories::put;
use tokio_util::sync::CancellationToken;

fn open(home: &Path, system_id: &str, vault: &Path, clock: &Arc<FixedClock>) -> Syncer {
    let system_id: SystemId = system_id.parse().unwrap();
    let mut config = Config::default_with(system_id.clone());
    config.cloud_bucket = url::Url::from_file_path(vault).unwrap().into();
    let options = StoreOptions {
        durability: Durability::Process,
        sources: Sources {
            clock: clock.clone(),
            random: Arc::new(ThreadRandom),
        },
        ..StoreOptions::new(system_id)
    };
    let store = Store::open(&Home::new(home), options).unwrap();
    Syncer::new(store, Arc::new(LoadedConfig::new(config)))
}

async fn push(syncer: &Syncer, progress: &dyn Progress) -> SyncReport {
    let request = SyncRequest {
        enable_fallback: false,
        ..SyncRequest::default()
    };
    let cancel = CancellationToken::new();
    syncer
        .sync(&request, Trigger::Manual, progress, &cancel)
        .await
}

/// Does something once, as soon as a push has sent its first segment.
struct Meanwhile<F>(Mutex<Option<F>>);

impl<F: FnOnce() + Send> Progress for Meanwhile<F> {
    fn update(&self, _state: ProgressState) {
        if let Some(work) = self.0.lock().unwrap().take() {
            work();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_slept_through_its_lease_does_not_commit() {
    let folder = tempfile::tempdir().unwrap();
    let (home, vault) = (folder.path().join("home"), folder.path().join("vault"));
    let clock = Arc::new(FixedClock::new(
        time::parse("2026-05-01T12:00:00Z").unwrap(),
    ));
    let asleep = open(&home, "laptop", &vault, &clock);
    for i in 0..10 {
        put(asleep.store(), &format!("m{i}"), "text");
    }
    let second: Arc<Mutex<Option<SyncReport>>> = Arc::default();
    let meanwhile = Meanwhile(Mutex::new(Some({
        let (home, vault, clock) = (home.clone(), vault.clone(), clock.clone());
        let second = second.clone();
        move || {
            clock.advance(TimeDelta::hours(1));
            let awake = open(&home, "laptop", &vault, &clock);
            put(awake.store(), "after the sleep", "text");
            let work = std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build();
                runtime.unwrap().block_on(push(&awake, &NoProgress))
            });
            *second.lock().unwrap() = Some(work.join().unwrap());
        }
    })));
    let first = push(&asleep, &meanwhile).await;
    let second = second.lock().unwrap().take().unwrap();
    assert!(second.success, "{second:?}");
    assert_eq!(second.memories_uploaded, 11);
    assert!(!first.success, "{first:?}");
    assert_eq!(first.memories_uploaded, 0);
    assert_eq!(first.kind, Some(ErrorKind::Unavailable));
    let told = first.error.unwrap();
    assert!(told.contains("took over"), "{told}");

    // What the second one did stands: nothing is sent again, a reader gets each row once.
    let again = push(&asleep, &NoProgress).await;
    assert!(again.success, "{again:?}");
    assert_eq!(again.memories_uploaded, 0);
    let uploads = std::fs::read_dir(vault.join("systems/laptop/uploads")).unwrap();
    let manifests = uploads.filter(|upload| {
        let upload = upload.as_ref().unwrap();
        upload.path().join("manifest.json").exists()
    });
    assert_eq!(manifests.count(), 1);
    let reader = open(&folder.path().join("reader"), "reader", &vault, &clock);
    let cancel = CancellationToken::new();
    let pulled = reader.pull(&[], &NoProgress, &cancel).await.unwrap();
    assert_eq!((pulled.uploads_merged, pulled.memories_added), (1, 11));
    assert_eq!(pulled.memories_skipped, 0);
}
