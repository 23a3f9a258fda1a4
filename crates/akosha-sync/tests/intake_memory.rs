//! What an upload takes in memory is what its rows take there, not what they take in the vault.

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::Arc;

use akosha_core::config::{Config, LoadedConfig};
use akosha_core::redact::Redactor;
use akosha_core::{IngestionMethod, MemoryInput, NewMemory, SystemId};
use akosha_store::{Home, Store, StoreOptions, Trigger};
use akosha_sync::intake::{Candidate, Intake, KEPT_BYTES, Verified};
use akosha_sync::{NoProgress, SyncRequest, Syncer};
use serde_json::json;
use tokio_util::sync::CancellationToken;

fn open(home: &Path, vault: &Path) -> Syncer {
    let system_id: SystemId = "here".parse().unwrap();
    let mut config = Config::default_with(system_id.clone());
    config.cloud_bucket = url::Url::from_file_path(vault).unwrap().into();
    let store = Store::open(&Home::new(home), StoreOptions::new(system_id)).unwrap();
    Syncer::new(store, Arc::new(LoadedConfig::new(config)))
}

/// Pushes forty memories with this metadata, and returns their upload.
async fn pushed(home: &Path, vault: &Path, metadata: serde_json::Value) -> (Intake, Candidate) {
    let syncer = open(home, vault);
    for i in 0..40 {
        let input = MemoryInput {
            text: format!("text {i}"),
            metadata: metadata.as_object().cloned(),
            ..MemoryInput::default()
        };
        let memory = NewMemory::check(input, &Redactor::built_in()).unwrap();
        let store = syncer.store();
        store
            .put(store.system_id(), &memory, IngestionMethod::Local)
            .unwrap();
    }
    let (request, cancel) = (SyncRequest::default(), CancellationToken::new());
    let report = syncer
        .sync(&request, Trigger::Manual, &NoProgress, &cancel)
        .await;
    assert!(report.success, "{report:?}");
    let intake = syncer.intake().await.unwrap();
    let uploads = intake.uploads(syncer.store().system_id()).await.unwrap();
    (intake, uploads.into_iter().next().unwrap())
}

async fn verified(intake: &Intake, candidate: &Candidate) -> Verified {
    let opened = intake.open(candidate).await.unwrap();
    let fetched = intake.fetch(opened).await.unwrap();
    fetched.verify(KEPT_BYTES).unwrap()
}

#[tokio::test]
async fn metadata_counts_as_text_does() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let (intake, small) = pushed(&at("a"), &at("small"), json!({"project": "p"})).await;
    let small = verified(&intake, &small).await;
    assert!(small.is_kept());
    assert!(
        (40 << 11..KEPT_BYTES).contains(&small.size()),
        "{}",
        small.size()
    );
    // 200 KB each, and next to nothing in the vault.
    let large = json!({"blob": vec!["x y ".repeat(25); 2000]});
    let (intake, large) = pushed(&at("b"), &at("large"), large).await;
    assert!(!verified(&intake, &large).await.is_kept());
}

#[tokio::test]
async fn a_large_manifest_is_not_read_along_with_others() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let (intake, candidate) = pushed(&at("a"), &at("vault"), json!({})).await;
    assert!(intake.open_small(&candidate).await.unwrap().is_some());
    let manifest = at("vault")
        .join("systems/here/uploads")
        .join(candidate.upload_id.as_str())
        .join("manifest.json");
    let written = std::fs::read(&manifest).unwrap();
    // White space says nothing.
    let padded = [written, vec![b' '; 1 << 20]].concat();
    std::fs::write(&manifest, padded).unwrap();
    assert!(intake.open_small(&candidate).await.unwrap().is_none());
    assert!(intake.open(&candidate).await.is_ok());
}
