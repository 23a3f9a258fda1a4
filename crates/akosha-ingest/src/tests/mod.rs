//! The worker on real stores, real pushes and an S3 server in this process.

mod inbox;
mod leases;
#[path = "../../../akosha-sync/tests/support/s3.rs"]
mod s3;
mod silence;
mod worker;

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use akosha_core::config::{Config, LoadedConfig};
use akosha_core::redact::Redactor;
use akosha_core::{IngestionMethod, MemoryInput, NewMemory, SystemId, UploadId};
use akosha_store::{Home, Store, StoreOptions, Trigger};
use akosha_sync::breaker::Breakers;
use akosha_sync::intake::{Candidate, Intake};
use akosha_sync::{NoProgress, SyncRequest, Syncer};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::IngestWorker;
use crate::engine::{Engine, Mode};
use crate::status::Board;
use s3::S3Server;

/// A machine, or a server.
pub(crate) struct Node {
    pub(crate) syncer: Syncer,
    home: TempDir,
}

impl Node {
    fn new(system_id: &str, set: impl FnOnce(&mut Config)) -> Self {
        Self::with_options(system_id, set, |_| {})
    }

    fn with_options(
        system_id: &str,
        set: impl FnOnce(&mut Config),
        set_options: impl FnOnce(&mut StoreOptions),
    ) -> Self {
        let home = tempfile::tempdir().unwrap();
        let system_id: SystemId = system_id.parse().unwrap();
        let mut config = Config::default_with(system_id.clone());
        config.poll_interval = Duration::from_secs(1);
        config.max_retries = 0;
        config.retry_backoff = Duration::from_millis(10);
        set(&mut config);
        let mut options = StoreOptions::new(system_id);
        set_options(&mut options);
        let store = Store::open(&Home::new(home.path()), options).unwrap();
        Self {
            syncer: Syncer::new(store, Arc::new(LoadedConfig::new(config))),
            home,
        }
    }

    pub(crate) fn in_folder(system_id: &str, vault: &Path) -> Self {
        Self::new(system_id, |config| {
            config.cloud_bucket = format!("file://{}", vault.display());
        })
    }

    fn in_bucket(system_id: &str, server: &S3Server) -> Self {
        Self::new(system_id, |config| {
            config.cloud_bucket = s3::BUCKET.into();
            config.cloud_endpoint.clone_from(&server.endpoint);
            config.cloud_access_key = Some(s3::ACCESS_KEY.into());
            config.cloud_secret_key = Some(s3::SECRET_KEY.into());
        })
    }

    fn store(&self) -> &Store {
        self.syncer.store()
    }

    fn worker(&self) -> IngestWorker {
        IngestWorker::new(self.syncer.clone(), Breakers::default())
    }

    /// Makes an upload of one memory, and returns its id.
    async fn push(&self, id: &str) -> UploadId {
        let input = MemoryInput {
            memory_id: Some(id.into()),
            text: format!("text of {id}"),
            ..MemoryInput::default()
        };
        let memory = NewMemory::check(input, &Redactor::built_in()).unwrap();
        let store = self.store();
        store
            .put(store.system_id(), &memory, IngestionMethod::Local)
            .unwrap();
        let request = SyncRequest {
            enable_fallback: false,
            ..SyncRequest::default()
        };
        let cancel = CancellationToken::new();
        let pushed = self
            .syncer
            .sync(&request, Trigger::Manual, &NoProgress, &cancel)
            .await;
        assert!(pushed.success, "{pushed:?}");
        pushed.upload_id.unwrap().parse().unwrap()
    }

    fn memories(&self) -> i64 {
        self.store().stats().unwrap().memories.try_into().unwrap()
    }
}

/// An engine of a worker that works on eight uploads at once.
pub(crate) fn engine(intake: &Intake, breakers: Breakers, is_patient: bool) -> Engine {
    let mode = Mode {
        since: None,
        is_patient,
    };
    let cancel = CancellationToken::new();
    let board = Board::default();
    Engine::new(intake.clone(), breakers, board, &mode, 8, &cancel)
}

/// An upload as a look finds it, of which nothing is in the vault.
pub(crate) fn candidate(number: u32) -> Candidate {
    Candidate {
        system_id: "laptop".parse().unwrap(),
        upload_id: format!("20260102_030405_laptop_{number:06x}")
            .parse()
            .unwrap(),
        at: chrono::DateTime::from_timestamp(i64::from(number), 0).unwrap(),
        seen: None,
    }
}

/// Makes a file look as if it was written so long ago.
fn age(path: &Path, by: Duration) {
    let file = File::options().write(true).open(path).unwrap();
    #[expect(
        clippy::disallowed_methods,
        reason = "the file system has no other clock"
    )]
    file.set_modified(SystemTime::now() - by).unwrap();
}

/// A day and more.
const LONG: Duration = Duration::from_hours(25);

/// Looks again and again until something holds.
async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..1500 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{what} did not happen");
}
