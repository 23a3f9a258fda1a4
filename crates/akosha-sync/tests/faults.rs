//! Sync through storage that fails at random, before or after it has done what was asked: nothing
//! is lost, nothing is doubled, no success is false, and once the storage is well, both homes are
//! equal. `AKOSHA_FAULT_SEED=7 cargo test --test faults` runs one seed: the same changes meet the same
//! dice, which fall to requests in the order in which they arrive.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail as tests do")]
#![allow(
    clippy::print_stderr,
    reason = "the seed of a failure is what replays it"
)]

#[path = "support/memories.rs"]
mod memories;
#[path = "support/s3.rs"]
mod s3;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use akosha_core::MemoryId;
use akosha_core::config::{Config, Durability, LoadedConfig};
use akosha_store::{Filter, Home, Store, StoreError, StoreOptions, Trigger};
use akosha_sync::care::{CollectOptions, RepairReport};
use akosha_sync::{NoProgress, PullReport, SyncError, SyncReport, SyncRequest, Syncer};
use memories::put;
use s3::{ACCESS_KEY, BUCKET, Fault, S3Server, SECRET_KEY};
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Runs of the suite where `AKOSHA_FAULT_SEEDS` does not say otherwise.
const SEEDS: u64 = 40;

/// Runs that are under way at once.
const AT_ONCE: usize = 8;

/// Rounds of one run.
const ROUNDS: u64 = 6;

struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        s3::next(&mut self.0, bound)
    }
}

struct Node {
    syncer: Syncer,
    file: PathBuf,
    _home: TempDir,
}

impl Node {
    fn new(system_id: &str, server: &S3Server) -> Self {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("notes.db");
        let mut config = Config::default_with(system_id.parse().unwrap());
        config.cloud_bucket = BUCKET.into();
        config.cloud_endpoint.clone_from(&server.endpoint);
        config.cloud_access_key = Some(ACCESS_KEY.into());
        config.cloud_secret_key = Some(SECRET_KEY.into());
        config.max_retries = 1;
        config.retry_backoff = Duration::from_millis(1);
        config.upload_timeout = Duration::from_millis(1500);
        config.chunk_size_mb = 1;
        config.durability = Durability::Process;
        config.files = Some(vec![file.clone()]);
        std::fs::write(&file, "the first state").unwrap();
        let mut options = StoreOptions::new(config.system_id.clone());
        options.durability = config.durability;
        let store = Store::open(&Home::new(home.path().join("home")), options).unwrap();
        Self {
            syncer: Syncer::new(store, Arc::new(LoadedConfig::new(config))),
            file,
            _home: home,
        }
    }

    fn store(&self) -> &Store {
        self.syncer.store()
    }

    async fn push(&self) -> SyncReport {
        let request = SyncRequest {
            enable_fallback: false,
            ..SyncRequest::default()
        };
        let cancel = CancellationToken::new();
        self.syncer
            .sync(&request, Trigger::Manual, &NoProgress, &cancel)
            .await
    }

    /// Merges, removes without grace, or repairs.
    async fn care(&self, dice: &mut Dice) -> Result<(), SyncError> {
        let cancel = CancellationToken::new();
        if dice.below(3) == 0 {
            let repaired = self
                .syncer
                .repair_vault(dice.below(2) == 0, &NoProgress, &cancel);
            return repaired.await.map(drop);
        }
        let options = CollectOptions {
            grace: chrono::TimeDelta::zero(),
            merge_from: 2,
            dry_run: false,
        };
        self.syncer
            .collect_garbage(options, &cancel)
            .await
            .map(drop)
    }

    async fn pull(&self) -> Result<PullReport, SyncError> {
        let cancel = CancellationToken::new();
        self.syncer.pull(&[], &NoProgress, &cancel).await
    }

    /// Returns every memory, by its id, with its revision and its text.
    fn memories(&self) -> BTreeMap<String, (i64, String)> {
        let mut all = BTreeMap::new();
        self.store()
            .for_each(&Filter::default(), |memory| {
                let before = all.insert(
                    format!("{}/{}", memory.system_id, memory.memory_id),
                    (memory.revision, memory.text),
                );
                assert!(before.is_none(), "a memory is there twice");
                Ok::<_, StoreError>(())
            })
            .unwrap();
        all
    }

    fn change(&self, dice: &mut Dice, round: u64) {
        let store = self.store();
        for _ in 0..=dice.below(20) {
            let id = format!("m{}", dice.below(30));
            if dice.below(6) == 0 {
                let id: MemoryId = id.parse().unwrap();
                // What was never stored cannot be forgotten.
                let _ = store.forget(&id, Some(store.system_id()), false);
                continue;
            }
            put(store, &id, &format!("round {round}, {}", dice.below(1000)));
        }
        if dice.below(2) == 0 {
            let length = 1000 + dice.below(1_500_000);
            let bytes: Vec<u8> = (0..length / 8)
                .flat_map(|_| dice.below(u64::MAX).to_le_bytes())
                .collect();
            std::fs::write(&self.file, bytes).unwrap();
        }
    }
}

/// Runs one seed and returns how many pushes and pulls failed on the way; panics where a promise is
/// broken.
async fn run(seed: u64) -> u64 {
    let mut dice = Dice(seed);
    let mut failed = 0;
    let server = S3Server::start().await;
    let one = Node::new("one", &server);
    let two = Node::new("two", &server);
    for round in 0..ROUNDS {
        one.change(&mut dice, round);
        two.change(&mut dice, round);
        server.set_fault(Fault::Chaos {
            seed: dice.below(u64::MAX),
            one_in: 3 + dice.below(30),
            // One seed is one service: it does so always or never.
            ignores_conditions: seed.is_multiple_of(3),
        });
        for node in [&one, &two] {
            let report = node.push().await;
            assert_eq!(report.success, report.error.is_none(), "{report:?}");
            if report.success {
                let status = node.syncer.status().await.unwrap();
                assert_eq!(
                    status.lag.unsynced_memories, 0,
                    "a false success: {report:?}"
                );
            }
            failed += u64::from(!report.success);
            match node.pull().await {
                Ok(pulled) => assert!(pulled.quarantined.is_empty(), "{pulled:?}"),
                Err(_) => failed += 1,
            }
            failed += u64::from(node.care(&mut dice).await.is_err());
        }
    }
    server.set_fault(Fault::None);
    for node in [&one, &two] {
        let report = node.push().await;
        assert!(report.success, "{report:?}");
        let again = node.push().await;
        assert!(again.success && again.bytes_transferred == 0, "{again:?}");
        let cancel = CancellationToken::new();
        let repaired = node.syncer.repair_vault(true, &NoProgress, &cancel).await;
        let repaired = repaired.unwrap();
        assert_eq!(repaired, RepairReport::default(), "nothing was lost");
        let verified = node
            .syncer
            .verify_vault(&[], true, &NoProgress)
            .await
            .unwrap();
        assert!(verified.success, "{verified:?}");
    }
    let fresh = Node::new("fresh", &server);
    for node in [&one, &two, &fresh] {
        let pulled = node.pull().await.unwrap();
        assert!(
            pulled.success && pulled.quarantined.is_empty(),
            "{pulled:?}"
        );
    }
    let expected = one.memories();
    assert_eq!(expected, two.memories(), "the homes differ");
    assert_eq!(expected, fresh.memories(), "a fresh home differs");
    for node in [&one, &two] {
        let to = tempfile::tempdir().unwrap();
        let system = node.store().system_id();
        fresh
            .syncer
            .fetch_file(system, None, "notes.db", to.path(), false, &NoProgress)
            .await
            .unwrap();
        let found = std::fs::read(to.path().join("notes.db")).unwrap();
        assert!(
            found == std::fs::read(&node.file).unwrap(),
            "the file differs"
        );
    }
    failed
}

/// Returns a number that the environment sets.
fn set(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_seed_converges() {
    let mut seeds = match set("AKOSHA_FAULT_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..set("AKOSHA_FAULT_SEEDS").unwrap_or(SEEDS),
    };
    let mut running = JoinSet::new();
    let mut names = HashMap::new();
    let mut failed = 0;
    loop {
        while running.len() < AT_ONCE
            && let Some(seed) = seeds.next()
        {
            names.insert(running.spawn(run(seed)).id(), seed);
        }
        match running.join_next_with_id().await {
            Some(Ok((_, failures))) => failed += failures,
            Some(Err(error)) => {
                let seed = names[&error.id()];
                eprintln!("replay it with AKOSHA_FAULT_SEED={seed}");
                std::panic::resume_unwind(error.into_panic());
            }
            None => break,
        }
    }
    // Storage that never failed shows nothing.
    assert!(failed > 0 || names.len() == 1);
}
