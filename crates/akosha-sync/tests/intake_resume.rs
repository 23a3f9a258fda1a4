//! A merge that is cut off goes on where it was, and its record says what it did in all.

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::Arc;

use akosha_core::config::{Config, LoadedConfig};
use akosha_core::redact::Redactor;
use akosha_core::{IngestionMethod, MemoryInput, NewMemory, SystemId};
use akosha_store::{Home, Store, StoreOptions, Trigger};
use akosha_sync::intake::Intake;
use akosha_sync::{NoProgress, SyncRequest, Syncer};
use tokio_util::sync::CancellationToken;

fn open(home: &Path, system_id: &str, vault: &Path) -> Syncer {
    let system_id: SystemId = system_id.parse().unwrap();
    let mut config = Config::default_with(system_id.clone());
    config.cloud_bucket = url::Url::from_file_path(vault).unwrap().into();
    let store = Store::open(&Home::new(home), StoreOptions::new(system_id)).unwrap();
    Syncer::new(store, Arc::new(LoadedConfig::new(config)))
}

#[tokio::test]
async fn what_was_merged_before_it_was_cut_off_counts() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let laptop = open(&at("laptop"), "laptop", &at("vault"));
    let memories: Vec<(SystemId, NewMemory)> = (0..5000)
        .map(|i| {
            let input = MemoryInput {
                text: format!("text {i}"),
                ..MemoryInput::default()
            };
            let memory = NewMemory::check(input, &Redactor::built_in()).unwrap();
            (laptop.store().system_id().clone(), memory)
        })
        .collect();
    let stored = laptop.store().put_batch(&memories, IngestionMethod::Local);
    stored.unwrap();
    let (request, cancel) = (SyncRequest::default(), CancellationToken::new());
    let pushed = laptop
        .sync(&request, Trigger::Manual, &NoProgress, &cancel)
        .await;
    assert!(pushed.success, "{pushed:?}");

    let server = open(&at("server"), "server", &at("vault"));
    let intake = server.intake().await.unwrap();
    let system_id = laptop.store().system_id();
    let candidate = intake.uploads(system_id).await.unwrap().remove(0);
    let opened = intake.open(&candidate).await.unwrap();
    let verified = intake.fetch(opened).await.unwrap().verify(0).unwrap();
    assert!(!verified.is_kept());

    // It is stopped once it has merged some rows.
    let stop = CancellationToken::new();
    let merge = {
        let (intake, stop) = (intake.clone(), stop.clone());
        std::thread::spawn(move || intake.merge(vec![verified], None, &stop))
    };
    while held(&intake) == 0 {
        std::thread::yield_now();
    }
    stop.cancel();
    let (left, error) = merge.join().unwrap().refused.unwrap();
    assert!((1000..5000).contains(&held(&intake)), "{error}");

    let merging = intake.merge(left, None, &CancellationToken::new());
    let merged = merging.done[0].merged;
    assert_eq!((merged.added, merged.skipped), (5000, 0));
    let record = intake
        .store()
        .upload_record(&candidate.upload_id, system_id);
    assert_eq!(record.unwrap().unwrap().merged.added, 5000);
    assert_eq!(held(&intake), 5000);
}

fn held(intake: &Intake) -> u64 {
    intake.store().stats().unwrap().memories
}
