//! Figures of the store beside the budgets of the design.
//!
//! `AKOSHA_BENCH_LARGE=1` adds the searches over 100,000 memories.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "divan makes the items, and a bench that fails may panic"
)]

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex};

use akosha_core::config::Durability;
use akosha_core::redact::Redactor;
use akosha_core::{Embedding, IngestionMethod, MemoryInput, NewMemory, SystemId};
use akosha_store::{Change, Home, SearchMode, SearchQuery, Store, StoreOptions};
use divan::Bencher;
use tempfile::TempDir;

/// Different words of the texts.
const WORDS: f64 = 20_000.0;

/// The most frequent words of a language, which say nothing and are not searched for.
const STOP_WORDS: f64 = 57.0;

fn main() {
    divan::main();
}

fn system() -> SystemId {
    "bench".parse().unwrap()
}

struct Fixture {
    store: Store,
    _folder: TempDir,
}

fn empty(durability: Durability) -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let options = StoreOptions {
        durability,
        ..StoreOptions::new(system())
    };
    let store = Store::open(&Home::new(folder.path()), options).unwrap();
    Fixture {
        store,
        _folder: folder,
    }
}

/// Numbers that look random and are the same in every run.
fn mixed(seed: u64) -> u64 {
    let mut x = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

fn word(seed: u64) -> String {
    // Zipf's law: the frequency of a word is the inverse of its rank.
    let share = (mixed(seed) % 1_000_000) as f64 / 1e6;
    let rank = STOP_WORDS * ((WORDS + STOP_WORDS) / STOP_WORDS).powf(share);
    format!("w{}", rank as u64)
}

fn text(seed: u64) -> String {
    let words: Vec<String> = (0..60).map(|i| word(seed * 100 + i)).collect();
    words.join(" ")
}

fn vector(seed: u64) -> Embedding {
    let numbers: Vec<f32> = (0..384)
        .map(|i| (mixed(seed * 1000 + i) % 20_001) as f32 / 10_000.0 - 1.0)
        .collect();
    Embedding::try_from(numbers).unwrap()
}

fn memory(seed: u64, with_vector: bool) -> NewMemory {
    let input = MemoryInput {
        text: text(seed),
        ..MemoryInput::default()
    };
    NewMemory {
        embedding: with_vector.then(|| vector(seed)),
        ..NewMemory::check(input, &Redactor::built_in()).unwrap()
    }
}

fn batch(first: u64, count: u64) -> Vec<(SystemId, NewMemory)> {
    (first..first + count)
        .map(|seed| (system(), memory(seed, true)))
        .collect()
}

/// Stores of a size, made once and shared by the benches that read.
fn filled(size: u64) -> Store {
    static MADE: LazyLock<Mutex<BTreeMap<u64, Fixture>>> = LazyLock::new(Mutex::default);
    let mut made = MADE.lock().unwrap();
    let fixture = made.entry(size).or_insert_with(|| {
        let fixture = empty(Durability::Process);
        for first in (0..size).step_by(1000) {
            fixture
                .store
                .put_batch(
                    &batch(first, 1000.min(size - first)),
                    IngestionMethod::Local,
                )
                .unwrap();
        }
        fixture
    });
    fixture.store.clone()
}

fn sizes() -> Vec<u64> {
    match std::env::var_os("AKOSHA_BENCH_LARGE") {
        Some(_) => vec![10_000, 100_000],
        None => vec![10_000],
    }
}

#[divan::bench(args = [Durability::Full, Durability::Process])]
fn put_one(bencher: Bencher<'_, '_>, durability: Durability) {
    let fixture = empty(durability);
    let next = Cell::new(0);
    bencher
        .with_inputs(|| memory(next.replace(next.get() + 1), false))
        .bench_local_values(|memory| {
            fixture
                .store
                .put(&system(), &memory, IngestionMethod::Local)
                .unwrap()
        });
}

#[divan::bench(sample_count = 20, sample_size = 1)]
fn batch_of_1000_with_vectors(bencher: Bencher<'_, '_>) {
    let fixture = empty(Durability::Full);
    let next = Cell::new(0);
    bencher
        .with_inputs(|| batch(next.replace(next.get() + 1000), 1000))
        .bench_local_values(|batch| {
            fixture
                .store
                .put_batch(&batch, IngestionMethod::Local)
                .unwrap()
        });
}

fn search(bencher: Bencher<'_, '_>, size: u64, mode: SearchMode, words: u64) {
    let store = filled(size);
    let next = Cell::new(0);
    bencher
        .with_inputs(|| {
            let seed = 1_000_000 + next.replace(next.get() + 1);
            let asked: Vec<String> = (0..words).map(|i| word(seed * 100 + i)).collect();
            SearchQuery {
                text: asked.join(" "),
                limit: 10,
                mode,
                embedding: (mode != SearchMode::Keyword).then(|| vector(seed)),
                ..SearchQuery::default()
            }
        })
        .bench_local_values(|query| store.search(&query).unwrap());
}

#[divan::bench(args = sizes(), sample_count = 200, sample_size = 1)]
fn search_by_words(bencher: Bencher<'_, '_>, size: u64) {
    search(bencher, size, SearchMode::Keyword, 4);
}

#[divan::bench(args = sizes(), sample_count = 100, sample_size = 1)]
fn search_hybrid(bencher: Bencher<'_, '_>, size: u64) {
    search(bencher, size, SearchMode::Hybrid, 4);
}

#[divan::bench(args = sizes(), sample_count = 50, sample_size = 1)]
fn open(bencher: Bencher<'_, '_>, size: u64) {
    let home = filled(size).home().clone();
    bencher.bench_local(|| Store::open(&home, StoreOptions::new(system())).unwrap());
}

#[divan::bench(sample_count = 20, sample_size = 1)]
fn merge_1000(bencher: Bencher<'_, '_>) {
    let from = filled(10_000);
    let fixture = empty(Durability::Full);
    let next = Cell::new(0);
    bencher
        .with_inputs(|| {
            let round = next.replace(next.get() + 1);
            let mut changes: Vec<Change> = from
                .changes(&system(), round * 100, i64::MAX, 1000, false)
                .unwrap();
            let round: SystemId = format!("round-{round}").parse().unwrap();
            for change in &mut changes {
                change.system_id = round.clone();
            }
            changes
        })
        .bench_local_values(|changes| {
            fixture
                .store
                .merge(&changes, IngestionMethod::CloudPull)
                .unwrap()
        });
}
