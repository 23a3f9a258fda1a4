//! `akosha ingest`: every upload of many machines is taken in exactly once, whoever dies and
//! however many work.

use std::collections::BTreeSet;
use std::fs;
use std::process::{Child, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{
    Home, S3, Seed, Vault, assert_same, eventually, is_running, kill_group, terminate, wait,
};

/// Machines that push.
const SYSTEMS: usize = 40;

/// Uploads of each.
const UPLOADS: usize = 3;

/// Memories of an upload.
const MEMORIES: usize = 2;

/// Threads that push at once.
const PUSHERS: usize = 4;

/// How often a worker is killed.
const KILLS: usize = 15;

/// Longest time that anything may take here.
const LIMIT: Duration = Duration::from_mins(2);

/// Lets one machine make an upload.
fn push(home: &Home, upload: usize) {
    for memory in 0..MEMORIES {
        let id = format!("m{memory}");
        home.store(&id, &format!("what upload {upload} says of {id}"));
        home.store(&format!("u{upload}-{id}"), "something of its own");
    }
    let pushed = home.ok(&["sync"]);
    assert_eq!(pushed["success"], true, "{pushed}");
}

/// Lets all machines push, some at once.
fn fill(machine: impl Fn(&str) -> Home + Sync) {
    thread::scope(|scope| {
        for pusher in 0..PUSHERS {
            let machine = &machine;
            scope.spawn(move || {
                for system in (pusher..SYSTEMS).step_by(PUSHERS) {
                    let home = machine(&format!("system-{system}"));
                    (0..UPLOADS).for_each(|upload| push(&home, upload));
                }
            });
        }
    });
}

/// Returns a copy of a vault into which all machines have pushed.
fn filled() -> Vault {
    static FILLED: OnceLock<Vault> = OnceLock::new();
    let vault = FILLED.get_or_init(|| {
        let vault = Vault::new();
        fill(|system| Home::new(system).with_folder(vault.root()));
        vault
    });
    vault.copy()
}

fn server(vault: &Vault) -> Home {
    Home::new("server")
        .with_folder(vault.root())
        .with("poll_interval_seconds", "1")
        .with("max_concurrent_ingests", "8")
}

fn start(home: &Home, arguments: &[&str]) -> Child {
    let mut command = home.command(arguments);
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let command = command.stdin(Stdio::null());
    command
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Waits for a child that was started with `--once --json` and returns its answer.
fn answer(mut child: Child) -> Value {
    let status = wait(&mut child, LIMIT);
    let answer = std::io::read_to_string(child.stdout.take().unwrap()).unwrap();
    assert_eq!(status.code(), Some(0), "{answer}");
    serde_json::from_str(&answer).unwrap()
}

/// Returns the leases that lie in a vault.
fn leases(vault: &Vault) -> usize {
    fs::read_dir(vault.root().join("leases")).map_or(0, Iterator::count)
}

/// Returns how many uploads the ledger of a home has, and that it has none twice.
fn ledger(home: &Home) -> usize {
    let db = home.open_database();
    let mut statement = db
        .prepare("SELECT system_id, upload_id FROM uploads")
        .unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
    let rows: Vec<(String, String)> = rows.unwrap().map(Result::unwrap).collect();
    assert_eq!(rows.iter().collect::<BTreeSet<_>>().len(), rows.len());
    rows.len()
}

/// Checks that a home has what a pull of everything has, and every row once.
fn assert_whole(home: &Home, vault: &Vault) {
    let follower = Home::new("follower").with_folder(vault.root());
    follower.ok(&["pull"]);
    assert_same("memories", &follower.export(), &home.export());
    assert_same("every revision, once", &follower.rows(), &home.rows());
    assert_eq!(ledger(home), SYSTEMS * UPLOADS);
    assert_eq!(home.integrity(), "ok");
}

#[test]
fn uploads_of_many_systems_are_taken_in_exactly_once() {
    let vault = filled();
    let home = server(&vault);
    let first = home.ok(&["ingest", "--once"]);
    assert_eq!(first["success"], true, "{first}");
    assert_eq!(first["uploads_seen"], SYSTEMS * UPLOADS, "{first}");
    assert_eq!(first["uploads_merged"], SYSTEMS * UPLOADS, "{first}");
    let added = SYSTEMS * (MEMORIES + UPLOADS * MEMORIES);
    assert_eq!(first["memories_added"], added, "{first}");
    assert_whole(&home, &vault);
    let before = home.rows();
    let second = home.ok(&["ingest", "--once"]);
    assert_eq!(second["uploads_seen"], 0, "{second}");
    assert_eq!(second["bytes_transferred"], 0, "{second}");
    assert_same("a second run", &before, &home.rows());
    assert_eq!(leases(&vault), 0);
}

#[test]
fn a_bucket_is_shared_by_servers_with_stores_of_their_own() {
    let s3 = S3::start();
    let pushers = ["a", "b", "c"].map(|system| Home::new(system).with_s3(&s3));
    for home in &pushers {
        (0..UPLOADS).for_each(|upload| push(home, upload));
    }
    let servers = ["one", "other"].map(|name| Home::new(name).with_s3(&s3));
    let children = servers
        .each_ref()
        .map(|home| start(home, &["ingest", "--once", "--json"]));
    for report in children.map(answer) {
        assert_eq!(
            report["uploads_merged"],
            pushers.len() * UPLOADS,
            "{report}"
        );
        assert_eq!(report["success"], true, "{report}");
    }
    assert_same("servers", &servers[0].rows(), &servers[1].rows());
    assert_eq!(leases(&Vault::at(&s3.objects())), 0);
}

#[test]
fn processes_of_one_home_share_out_the_uploads() {
    let vault = filled();
    let home = server(&vault);
    // Made before, so that none of them waits for the other at the start.
    home.ok(&["status"]);
    let children: Vec<Child> = (0..3)
        .map(|_| start(&home, &["ingest", "--once", "--json"]))
        .collect();
    let reports: Vec<Value> = children.into_iter().map(answer).collect();
    let merged: u64 = reports
        .iter()
        .map(|report| report["uploads_merged"].as_u64().unwrap())
        .sum();
    assert_eq!(merged, (SYSTEMS * UPLOADS) as u64, "{reports:#?}");
    let added: u64 = reports
        .iter()
        .map(|report| report["memories_added"].as_u64().unwrap())
        .sum();
    assert!(added > 0, "{reports:#?}");
    assert_whole(&home, &vault);
    assert_eq!(leases(&vault), 0);
}

#[test]
fn a_worker_that_is_killed_anywhere_is_taken_over_at_once() {
    let vault = filled();
    let mut seed = Seed::new();
    let home = server(&vault);
    home.ok(&["status"]);
    let mut midway = 0;
    for _ in 0..KILLS {
        let mut child = start(&home, &["ingest", "--once", "--json"]);
        // From before it has begun until after it has merged some.
        thread::sleep(Duration::from_micros(seed.below(120_000)));
        kill_group(&child);
        wait(&mut child, LIMIT);
        let merged = ledger(&home);
        midway += usize::from(merged < SYSTEMS * UPLOADS);
        if merged == SYSTEMS * UPLOADS {
            break;
        }
    }
    assert!(midway > 0, "no worker was killed at work");
    let started = Instant::now();
    let report = home.ok(&["ingest", "--once"]);
    assert_eq!(report["success"], true, "{report}");
    // What the dead ones had claimed is not waited for until it expires.
    assert!(started.elapsed() < Duration::from_mins(1), "{report}");
    assert_whole(&home, &vault);
}

#[test]
fn a_worker_finds_what_is_pushed_and_ends_when_it_is_told() {
    let vault = Vault::new();
    let laptop = Home::new("laptop").with_folder(vault.root());
    push(&laptop, 0);
    let home = server(&vault);
    home.ok(&["status"]);
    let mut worker = start(&home, &["ingest"]);
    let merged = |count: usize| {
        eventually("the merge of an upload", LIMIT, || {
            (ledger(&home) == count).then_some(())
        });
    };
    merged(1);
    push(&laptop, 1);
    merged(2);
    // The second one is found by its marker; without one it would be by the next sweep.
    terminate(&worker);
    assert_eq!(wait(&mut worker, LIMIT).code(), Some(0));
    assert!(!is_running(&home.root()));
    assert_eq!(leases(&vault), 0);
    assert_same("memories", &laptop.rows(), &home.rows());
}

#[test]
fn poisoned_uploads_stop_only_themselves() {
    let vault = filled();
    // One that lacks a segment, one whose segment is damaged, one whose manifest is no JSON.
    let lost = vault.uploads("system-1").remove(0);
    let segment = lost.segments()[0]["path"].as_str().unwrap();
    fs::remove_file(vault.root().join(segment)).unwrap();
    let damaged = vault.uploads("system-2").remove(1);
    let segment = damaged.segments()[0]["path"].as_str().unwrap();
    let path = vault.root().join(segment);
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    fs::write(&path, bytes).unwrap();
    let garbled = vault.uploads("system-3").remove(2);
    fs::write(&garbled.path, "{").unwrap();
    fs::write(vault.root().join("inbox").join("no upload of anybody"), "").unwrap();
    fs::write(
        vault
            .root()
            .join("inbox")
            .join("20260101_000000_gone_000000"),
        "",
    )
    .unwrap();

    let home = server(&vault);
    let first = home.json(&["ingest", "--once"], 3);
    assert_eq!(first["uploads_merged"], SYSTEMS * UPLOADS - 3, "{first}");
    assert_eq!(first["success"], false, "{first}");
    let bad: BTreeSet<&str> = first["quarantined"]
        .as_array()
        .unwrap()
        .iter()
        .map(|upload| upload["upload_id"].as_str().unwrap())
        .collect();
    assert_eq!(bad, BTreeSet::from([lost.id(), damaged.id(), garbled.id()]));
    // It says so again, and merges nothing twice.
    let second = home.json(&["ingest", "--once"], 3);
    assert_eq!(second["uploads_merged"], 0, "{second}");
    assert_eq!(
        second["quarantined"].as_array().unwrap().len(),
        3,
        "{second}"
    );
    assert_eq!(
        home.ok(&["status"])["quarantine"].as_array().unwrap().len(),
        3
    );
    // Once it is what it was, it is taken in.
    fs::write(&garbled.path, garbled.manifest.to_string()).unwrap();
    let third = home.json(&["ingest", "--once"], 3);
    assert_eq!(third["uploads_merged"], 1, "{third}");
    assert_eq!(third["quarantined"].as_array().unwrap().len(), 2, "{third}");
}

#[test]
fn without_a_vault_it_says_what_to_set() {
    for arguments in [&["ingest", "--once"] as &[_], &["ingest"]] {
        let failed = Home::new("server").json(arguments, 2);
        assert_eq!(failed["error"]["kind"], "config", "{failed}");
    }
    let nowhere = Home::new("server").with("cloud_bucket", "file:///nowhere/at/all");
    let failed = nowhere.json(&["ingest", "--once"], 1);
    assert_eq!(failed["error"]["kind"], json!("unavailable"), "{failed}");
}
