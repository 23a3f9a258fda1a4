//! One of the demo's systems.

use std::path::Path;
use std::sync::Arc;

use akosha_core::config::{Config, LoadedConfig};
use akosha_core::{IngestionMethod, Memory, MemoryId, NewMemory, SystemId};
use akosha_store::{
    Home, Queue, SearchOutcome, SearchQuery, Store, StoreError, StoreOptions, Stored,
};
use akosha_sync::{NoProgress, PullReport, SyncError, Syncer};
use tokio_util::sync::CancellationToken;

use super::DemoError;

/// A system with a home of its own below the demo's folder.
pub(super) struct Machine {
    pub(super) syncer: Syncer,
}

impl Machine {
    /// Makes the home and opens its store, with the vault as its only way to sync.
    pub(super) async fn start(name: &str, folder: &Path, vault: &Path) -> Result<Self, DemoError> {
        let system_id: SystemId = name.parse()?;
        let config = Config {
            cloud_bucket: file_url(vault),
            enable_fallback: false,
            ..Config::default_with(system_id.clone())
        };
        let home = Home::new(folder.join(name));
        let store = blocking(move || Store::open(&home, StoreOptions::new(system_id))).await??;
        let config = Arc::new(LoadedConfig::new(config));
        Ok(Self {
            syncer: Syncer::new(store, config),
        })
    }

    async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, DemoError> {
        let store = self.syncer.store().clone();
        Ok(blocking(move || work(&store)).await??)
    }

    pub(super) async fn put(&self, memories: Vec<NewMemory>) -> Result<Vec<Stored>, DemoError> {
        self.on_disk(move |store| {
            let own = |memory| (store.system_id().clone(), memory);
            let batch: Vec<_> = memories.into_iter().map(own).collect();
            store.put_batch(&batch, IngestionMethod::Local)
        })
        .await
    }

    pub(super) async fn queue(&self) -> Result<Queue, DemoError> {
        self.on_disk(Store::queue).await
    }

    pub(super) async fn pull(&self) -> Result<PullReport, SyncError> {
        let cancel = CancellationToken::new();
        self.syncer.pull(&[], &NoProgress, &cancel).await
    }

    pub(super) async fn search(&self, query: SearchQuery) -> Result<SearchOutcome, DemoError> {
        self.on_disk(move |store| store.search(&query)).await
    }

    pub(super) async fn history(&self, memory_id: &str) -> Result<Vec<Memory>, DemoError> {
        let memory_id: MemoryId = memory_id.parse()?;
        self.on_disk(move |store| store.history(&memory_id, None))
            .await
    }
}

/// Runs `work` on a thread that may block.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, DemoError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| DemoError::Check {
            step: "start",
            message: error.to_string(),
        })
}

fn file_url(path: &Path) -> String {
    // A drive letter comes after a third slash.
    let slash = if cfg!(windows) { "/" } else { "" };
    format!("file://{slash}{}", path.display())
}
