//! The gauges that are read from the store when somebody scrapes.

use std::sync::Arc;
use std::time::Duration;

use akosha_core::Tier;
use akosha_core::metric::{
    CONFLICTS, MEMORIES, QUARANTINED, QUEUE_JOBS, STORE_BYTES, SYSTEMS, UNSYNCED_MEMORIES,
};
use akosha_mcp::StoreHandle;
use akosha_store::{Store, StoreError};
use akosha_sync::Syncer;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// Age up to which what was read is shown again. Counting takes the longer the more is stored.
const FRESH: Duration = Duration::from_secs(5);

/// How long a scrape waits for the count; it shows what was there before, and the next one the
/// new.
const WAIT: Duration = Duration::from_millis(500);

/// Reads the gauges, one reader at a time.
#[derive(Clone)]
pub(super) struct Gauges {
    store: StoreHandle,
    /// When they were read last; held while they are being read.
    read_at: Arc<Mutex<Option<Instant>>>,
}

impl Gauges {
    /// Creates the gauges of `store`; nothing is read yet.
    pub(super) fn new(store: StoreHandle) -> Self {
        Self {
            store,
            read_at: Arc::default(),
        }
    }

    /// Reads the gauges where they are not fresh, and waits a moment for that.
    pub(super) async fn refresh(&self) {
        let Some((_, syncer)) = self.store.opened_now() else {
            return;
        };
        let Ok(mut read_at) = Arc::clone(&self.read_at).try_lock_owned() else {
            return;
        };
        if read_at.is_some_and(|at| at.elapsed() < FRESH) {
            return;
        }
        let reading = tokio::task::spawn_blocking(move || {
            if let Err(error) = read(&syncer) {
                tracing::warn!(%error, "the store cannot be measured");
            }
            *read_at = Some(Instant::now());
        });
        // It goes on by itself where it takes longer.
        let _ = tokio::time::timeout(WAIT, reading).await;
    }
}

fn read(syncer: &Syncer) -> Result<(), StoreError> {
    let store = syncer.store();
    let counted = store.stats()?;
    set(STORE_BYTES.name, counted.size_bytes);
    set(SYSTEMS.name, counted.systems);
    for (tier, memories) in store.tiers()? {
        metrics::gauge!(MEMORIES.name, "tier" => name(tier)).set(memories as f64);
    }
    set(CONFLICTS.name, store.conflicts()?.len() as u64);
    set(QUARANTINED.name, quarantined_uploads(store)?);
    set(UNSYNCED_MEMORIES.name, syncer.lag()?.unsynced_memories);
    let queue = store.queue()?;
    let jobs = [
        ("pending", queue.pending),
        ("running", queue.running),
        ("parked", queue.parked),
    ];
    for (state, count) in jobs {
        metrics::gauge!(QUEUE_JOBS.name, "state" => state).set(count as f64);
    }
    Ok(())
}

fn name(tier: Tier) -> &'static str {
    match tier {
        Tier::Hot => "hot",
        Tier::Warm => "warm",
        Tier::Cold => "cold",
    }
}

/// Counts uploads, of which each may have several items that are set aside.
fn quarantined_uploads(store: &Store) -> Result<u64, StoreError> {
    let mut uploads: Vec<_> = store
        .quarantined()?
        .into_iter()
        .map(|item| (item.system_id, item.upload_id))
        .collect();
    uploads.sort_unstable();
    uploads.dedup();
    Ok(uploads.len() as u64)
}

fn set(name: &'static str, value: u64) {
    metrics::gauge!(name).set(value as f64);
}
