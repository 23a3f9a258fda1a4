//! What every test here needs: a store in a temporary home with a clock that stands still.

use std::sync::Arc;

use akosha_core::config::Durability;
use akosha_core::redact::Redactor;
use akosha_core::{
    Embedding, FixedClock, IngestionMethod, MemoryId, MemoryInput, NewMemory, Sources, SystemId,
    ThreadRandom,
};
use akosha_store::{Change, Home, Op, Store, StoreOptions, Stored};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use tempfile::TempDir;

pub(crate) const START: &str = "2026-05-01T12:00:00Z";

pub(crate) struct Fixture {
    pub(crate) store: Store,
    pub(crate) clock: Arc<FixedClock>,
    pub(crate) folder: TempDir,
}

impl std::ops::Deref for Fixture {
    type Target = Store;

    fn deref(&self) -> &Store {
        &self.store
    }
}

/// Opens a new store of the system `here`.
pub(crate) fn store() -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(FixedClock::new(time(START)));
    let options = options("here", clock.clone());
    let store = Store::open(&Home::new(folder.path()), options).unwrap();
    Fixture {
        store,
        clock,
        folder,
    }
}

impl Fixture {
    pub(crate) fn pass(&self, seconds: i64) {
        self.clock.advance(TimeDelta::seconds(seconds));
    }

    /// Stores a memory of the own system.
    pub(crate) fn remember(&self, id: &str, text: &str) -> Stored {
        self.remember_as("here", id, text)
    }

    pub(crate) fn remember_as(&self, system: &str, id: &str, text: &str) -> Stored {
        self.put_as(system, &memory(id, text))
    }

    pub(crate) fn put_as(&self, system: &str, memory: &NewMemory) -> Stored {
        self.put(&self::system(system), memory, IngestionMethod::Local)
            .unwrap()
    }

    /// Opens the same home once more, as another process would.
    pub(crate) fn again(&self) -> Store {
        let options = options("here", self.clock.clone());
        Store::open(self.store.home(), options).unwrap()
    }
}

fn options(system: &str, clock: Arc<FixedClock>) -> StoreOptions {
    StoreOptions {
        durability: Durability::Process,
        sources: Sources {
            clock,
            random: Arc::new(ThreadRandom),
        },
        ..StoreOptions::new(self::system(system))
    }
}

pub(crate) fn system(id: &str) -> SystemId {
    id.parse().unwrap()
}

pub(crate) fn id(id: &str) -> MemoryId {
    id.parse().unwrap()
}

pub(crate) fn time(text: &str) -> DateTime<Utc> {
    akosha_core::time::parse(text).unwrap()
}

pub(crate) fn memory(id: &str, text: &str) -> NewMemory {
    with(id, text, &serde_json::json!({}))
}

pub(crate) fn with(id: &str, text: &str, metadata: &Value) -> NewMemory {
    let input = MemoryInput {
        memory_id: Some(id.to_owned()),
        text: text.to_owned(),
        embedding: None,
        metadata: metadata.as_object().cloned(),
    };
    NewMemory::check(input, &Redactor::built_in()).unwrap()
}

pub(crate) fn embedded(id: &str, text: &str, embedding: Embedding) -> NewMemory {
    NewMemory {
        embedding: Some(embedding),
        ..memory(id, text)
    }
}

/// An embedding whose first numbers are given and whose rest is zero.
pub(crate) fn vector(numbers: &[f32]) -> Embedding {
    let mut all = numbers.to_vec();
    all.resize(384, 0.0);
    Embedding::try_from(all).unwrap()
}

/// A change as another store of `there` would send it.
pub(crate) fn change(id: &str, revision: i64, op: Op, text: &str) -> Change {
    Change {
        seq: revision,
        op,
        system_id: system("there"),
        memory_id: self::id(id),
        revision,
        text: text.to_owned(),
        metadata: akosha_core::Metadata::default(),
        embedding: None,
        embedding_model: None,
        created_at: time(START),
        updated_at: time(START),
        stored_at: time(START),
        ingestion_method: IngestionMethod::Local,
    }
}
