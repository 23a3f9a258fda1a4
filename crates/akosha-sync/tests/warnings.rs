//! What the storage cannot promise is told by `status`, in any later process, and found by a look.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail as tests do")]

#[path = "support/memories.rs"]
mod memories;
#[path = "support/s3.rs"]
mod s3;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use akosha_core::config::{Config, LoadedConfig};
use akosha_core::{FixedClock, Sources, SystemId, ThreadRandom, time};
use akosha_store::{Home, Store, StoreOptions, Trigger};
use akosha_sync::{NoProgress, SyncRequest, Syncer};
use memories::put;
use s3::{ACCESS_KEY, BUCKET, Fault, S3Server, SECRET_KEY};
use tokio_util::sync::CancellationToken;

/// Opens a home at a time, or now.
fn open(home: &Path, server: &S3Server, at: Option<&str>) -> Syncer {
    let system_id: SystemId = "laptop".parse().unwrap();
    let mut config = Config::default_with(system_id.clone());
    config.cloud_bucket = BUCKET.into();
    config.cloud_endpoint.clone_from(&server.endpoint);
    config.cloud_access_key = Some(ACCESS_KEY.into());
    config.cloud_secret_key = Some(SECRET_KEY.into());
    config.enable_fallback = false;
    let mut options = StoreOptions::new(system_id);
    if let Some(at) = at {
        options.sources = Sources {
            clock: Arc::new(FixedClock::new(time::parse(at).unwrap())),
            random: Arc::new(ThreadRandom),
        };
    }
    let store = Store::open(&Home::new(home), options).unwrap();
    Syncer::new(store, Arc::new(LoadedConfig::new(config)))
}

/// Stores something, syncs it, and returns what another process tells then.
async fn warnings(home: &Path, server: &S3Server, at: Option<&str>, text: &str) -> Vec<String> {
    let syncer = open(home, server, at);
    put(syncer.store(), text, text);
    let cancel = CancellationToken::new();
    let request = SyncRequest::default();
    let report = syncer
        .sync(&request, Trigger::Manual, &NoProgress, &cancel)
        .await;
    assert!(report.success, "{report:?}");
    open(home, server, at)
        .status()
        .await
        .unwrap()
        .vault
        .warnings
}

#[tokio::test]
async fn a_bucket_without_conditional_writes_is_told_of_until_it_has_them() {
    let server = S3Server::start().await;
    let home = tempfile::tempdir().unwrap();
    let none: [&str; 0] = [];
    let told = async |at, text| warnings(home.path(), &server, Some(at), text).await;
    assert_eq!(told("2026-01-01T00:00:00Z", "all is well").await, none);
    server.set_fault(Fault::IgnoreConditions);
    // For a week it is not asked again.
    assert_eq!(told("2026-01-07T23:00:00Z", "still well").await, none);
    let lost = told("2026-01-08T01:00:00Z", "not any more").await;
    assert_eq!(lost.len(), 1, "{lost:?}");
    assert!(lost[0].contains("conditional writes"), "{lost:?}");
    server.set_fault(Fault::None);
    assert_eq!(told("2026-01-15T00:00:00Z", "still lost").await, lost);
    assert_eq!(told("2026-01-15T02:00:00Z", "well again").await, none);
}

/// Returns every object with its bytes.
fn objects(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(objects(&path));
        } else {
            let bytes = std::fs::read(&path).unwrap();
            found.insert(path, bytes);
        }
    }
    found
}

#[tokio::test]
async fn a_look_finds_conditions_that_are_ignored_or_refused_and_changes_nothing() {
    let server = S3Server::start().await;
    let home = tempfile::tempdir().unwrap();
    let examine = async || {
        let found = open(home.path(), &server, None)
            .examine_vault()
            .await
            .unwrap();
        let ahead = found.clock_ahead.unwrap().abs();
        assert!(ahead < chrono::TimeDelta::minutes(1), "{ahead}");
        assert!(found.refused.is_none(), "{found:?}");
        found.conditional_writes
    };
    assert_eq!(examine().await, None);
    warnings(home.path(), &server, None, "something to look at").await;
    let before = objects(&server.bucket_folder());
    for (fault, honoured) in [
        (Fault::None, true),
        (Fault::IgnoreConditions, false),
        (Fault::RefuseConditions, false),
    ] {
        server.set_fault(fault);
        assert_eq!(examine().await, Some(honoured), "{fault:?}");
    }
    assert_eq!(objects(&server.bucket_folder()), before);
}
