//! Many processes on one home, and processes that are killed.
//!
//! The workers are this very test binary, run again with a task in its environment.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use akosha_core::config::Durability;
use akosha_core::{IngestionMethod, NewMemory, Random, SeededRandom};
use akosha_store::{Home, Store, StoreOptions};
use rusqlite::Connection;

use crate::support::{memory, system};

const TASK: &str = "AKOSHA_TEST_TASK";
const HOME: &str = "AKOSHA_TEST_HOME";

fn open(home: &Path) -> Store {
    let options = StoreOptions {
        durability: Durability::Process,
        ..StoreOptions::new(system("here"))
    };
    Store::open(&Home::new(home), options).unwrap()
}

/// Not a test by itself: what a worker does. It prints `ok ID` once the store has said "stored".
#[test]
fn worker() {
    let Ok(task) = env::var(TASK) else { return };
    let (name, count) = task.split_once(' ').unwrap();
    let count: usize = count.parse().unwrap();
    let home = env::var_os(HOME).unwrap();
    let gate = Path::new(&home).with_extension("gate");
    println!("ready");
    while !gate.exists() {
        thread::sleep(Duration::from_millis(1));
    }
    let store = open(Path::new(&home));
    println!("writer {}", store.writer_id());
    let mut out = std::io::stdout();
    for i in 0..count {
        let id = format!("{name}-{i}");
        // Batches, revisions and single memories in turn.
        if i % 10 == 9 {
            let batch: Vec<_> = (0..5)
                .map(|k| (system("here"), memory(&format!("{id}.{k}"), "of a batch")))
                .collect();
            store.put_batch(&batch, IngestionMethod::Local).unwrap();
            for (_, memory) in &batch {
                writeln!(out, "ok {}", memory.memory_id.as_ref().unwrap()).unwrap();
            }
        }
        let new: NewMemory = memory(&id, &format!("text {i} of {name}"));
        store
            .put(&system("here"), &new, IngestionMethod::Local)
            .unwrap();
        writeln!(out, "ok {id}").unwrap();
        out.flush().unwrap();
    }
    println!("done");
}

fn start(home: &Path, task: &str) -> Child {
    Command::new(env::current_exe().unwrap())
        .args([
            "--exact",
            "processes::worker",
            "--nocapture",
            "--test-threads=1",
        ])
        .env(TASK, task)
        .env(HOME, home)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Reads what a worker prints to its end.
fn lines(worker: &mut Child) -> Vec<String> {
    let out = worker.stdout.take().unwrap();
    BufReader::new(out).lines().map_while(Result::ok).collect()
}

fn acknowledged(lines: &[String]) -> Vec<&str> {
    lines
        .iter()
        .filter_map(|line| line.strip_prefix("ok "))
        .collect()
}

/// Starts the workers together once all of them are up, and returns what each printed.
fn race(home: &Path, tasks: &[String]) -> Vec<Vec<String>> {
    let workers: Vec<Child> = tasks.iter().map(|task| start(home, task)).collect();
    let readers: Vec<_> = workers
        .into_iter()
        .map(|mut worker| {
            thread::spawn(move || {
                let lines = lines(&mut worker);
                assert!(worker.wait().unwrap().success(), "{lines:?}");
                lines
            })
        })
        .collect();
    thread::sleep(Duration::from_millis(300));
    fs::write(home.with_extension("gate"), "").unwrap();
    readers.into_iter().map(|r| r.join().unwrap()).collect()
}

fn check(home: &Path, acknowledged: &[&str]) {
    let store = open(home);
    for id in acknowledged {
        let found = store.get(&id.parse().unwrap(), None).unwrap();
        assert!(found.is_some(), "{id} was acknowledged and is lost");
    }
    let raw = Connection::open(store.home().database()).unwrap();
    let verdict: String = raw
        .pragma_query_value(None, "integrity_check", |row| row.get(0))
        .unwrap();
    assert_eq!(verdict, "ok");
    raw.execute("INSERT INTO words (words) VALUES ('integrity-check')", [])
        .unwrap();
}

#[test]
fn eight_processes_write_at_once_to_a_new_home_and_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    let tasks: Vec<String> = (0..8).map(|i| format!("p{i} 60")).collect();
    let printed = race(&home, &tasks);
    let mut all = Vec::new();
    let mut writers = Vec::new();
    for lines in &printed {
        assert!(lines.iter().any(|line| line.ends_with("done")), "{lines:?}");
        let acknowledged = acknowledged(lines);
        assert_eq!(acknowledged.len(), 60 + 6 * 5);
        all.extend(acknowledged);
        writers.extend(lines.iter().filter_map(|line| line.strip_prefix("writer ")));
    }
    check(&home, &all);
    assert_eq!(open(&home).stats().unwrap().memories, all.len() as u64);
    // Whoever made the home first, all agree who writes it.
    assert_eq!(writers.len(), 8);
    assert!(
        writers.iter().all(|writer| *writer == writers[0]),
        "{writers:?}"
    );
}

#[test]
fn a_new_home_can_be_made_by_eight_processes_at_the_same_moment() {
    for _ in 0..5 {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("deep/home");
        fs::create_dir(folder.path().join("deep")).unwrap();
        let tasks: Vec<String> = (0..8).map(|i| format!("p{i} 1")).collect();
        let printed = race(&home, &tasks);
        let all: Vec<&str> = printed
            .iter()
            .flat_map(|lines| acknowledged(lines))
            .collect();
        assert_eq!(all.len(), 8);
        check(&home, &all);
    }
}

#[test]
fn a_killed_writer_loses_nothing_that_it_acknowledged() {
    let random = SeededRandom::new(20_260_501);
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    fs::write(home.with_extension("gate"), "").unwrap();
    let mut all: Vec<String> = Vec::new();
    for round in 0..20 {
        let mut worker = start(&home, &format!("r{round} 1000000"));
        let mut out = BufReader::new(worker.stdout.take().unwrap());
        // Let it write something, then kill it at no particular point.
        let mut line = String::new();
        while !line.contains("ok ") {
            line.clear();
            assert_ne!(out.read_line(&mut line).unwrap(), 0, "the worker failed");
        }
        let kill_at = Instant::now() + Duration::from_micros(u64::from(random.next_u32() % 60_000));
        let reader = thread::spawn(move || {
            let rest: Vec<String> = out.lines().map_while(Result::ok).collect();
            rest
        });
        thread::sleep(kill_at.saturating_duration_since(Instant::now()));
        worker.kill().unwrap();
        worker.wait().unwrap();
        let mut lines = vec![line.trim_end().to_owned()];
        lines.extend(reader.join().unwrap());
        all.extend(acknowledged(&lines).into_iter().map(str::to_owned));
        let recent: Vec<&str> = all.iter().map(String::as_str).collect();
        check(&home, &recent[recent.len().saturating_sub(2000)..]);
    }
    assert!(all.len() > 20, "{}", all.len());
    check(&home, &all.iter().map(String::as_str).collect::<Vec<_>>());
}
