//! The end of a session: what is queued happens although the server, the client or the hook dies.

use std::fs;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{
    DEAD_PORT, Home, S3, Seed, Vault, assert_same, eventually, is_running, kill_group, wait,
};

/// How soon a vault has to be complete.
const SECONDS: Duration = Duration::from_secs(20);

/// Longest time that a hook may take: the assistants give 1.5 s, a loaded test machine is slow.
const HOOK: Duration = Duration::from_millis(1500);

/// Ends a session on a server and kills the server's process group after `delay`.
fn end_and_kill(home: &Home, summary: &str, delay: Duration) {
    let mut mcp = home.mcp();
    let memories = (0..20).map(|i| json!({"text": format!("learnt {i} before: {summary}")}));
    mcp.store_all(memories.collect());
    let arguments = json!({"session_id": "s1", "summary": summary, "reason": "exit"});
    let ended = mcp.call("session_end", arguments).ok();
    assert_eq!(ended["status"], "ended", "{ended}");
    assert_eq!(ended["sync"]["queued"], true, "{ended}");
    assert!(ended["sync"]["job_id"].is_string(), "{ended}");
    assert!(ended["memory_id"].is_string(), "{ended}");
    mcp.close_input();
    thread::sleep(delay);
    kill_group(mcp.child());
}

/// Waits until the queue is worked through, and checks that a fresh machine gets everything.
fn arrives(home: &Home, fresh: &Home) {
    home.wait_until_quiet(SECONDS);
    let status = home.ok(&["status"]);
    assert_eq!(status["lag"]["unsynced_memories"], 0, "{status}");
    for count in ["pending", "running", "parked"] {
        assert_eq!(status["queue"][count], 0, "{status}");
    }
    assert!(status["queue"]["last_success_at"].is_string(), "{status}");
    fresh.ok(&["pull"]);
    assert_same("what arrived", &home.export(), &fresh.export());
    assert_same("every revision", &home.rows(), &fresh.rows());
}

#[test]
fn a_killed_server_syncs_to_a_folder() {
    let vault = Vault::new();
    let machine = |system| Home::new(system).with_folder(vault.root());
    let home = machine("laptop");
    end_and_kill(
        &home,
        "We chose tabs over spaces",
        Duration::from_millis(100),
    );
    arrives(&home, &machine("other"));
    let types = home.ok(&["list", "--type", "session_summary"]);
    assert_eq!(types["memories"].as_array().unwrap().len(), 1, "{types}");
    assert_eq!(types["memories"][0]["text"], "We chose tabs over spaces");
    assert_eq!(
        vault.uploads("laptop")[0].manifest["metadata"]["trigger"],
        "session_end"
    );
}

#[test]
fn a_killed_server_syncs_to_s3() {
    let s3 = S3::start();
    let home = Home::new("laptop").with_s3(&s3);
    end_and_kill(
        &home,
        "We chose spaces over tabs",
        Duration::from_millis(100),
    );
    arrives(&home, &Home::new("other").with_s3(&s3));
}

#[test]
fn a_server_killed_at_any_moment_after_the_answer_loses_no_sync() {
    let mut seed = Seed::new();
    let vault = Vault::new();
    let machine = |system: &str| Home::new(system).with_folder(vault.root());
    let home = machine("laptop");
    for round in 0..8 {
        let delay = Duration::from_millis(seed.below(20));
        end_and_kill(&home, &format!("Round {round} taught us something"), delay);
        // Either a child was left that does it, or the next start of any process does: here of
        // a command or of a server that is asked anything.
        if round % 2 == 0 {
            home.ok(&["list"]);
        } else {
            let mut next = home.mcp();
            next.call("list_memories", json!({})).ok();
            assert!(next.finish().0.success());
        }
        arrives(&home, &machine(&format!("other-{round}")));
    }
}

/// Runs the hook as an assistant does.
fn hook(home: &Home, input: &[u8]) {
    let run = home.run_with(&["hook", "session-end"], input).ended(0);
    assert!(run.took < HOOK, "{run:#?}");
    eprintln!("hook: {:?}: {}{}", run.took, run.stdout, run.stderr);
}

fn payload() -> Vec<u8> {
    let payload = json!({
        "session_id": "abc", "transcript_path": "/nowhere/t.jsonl", "cwd": "/nowhere/project",
        "hook_event_name": "SessionEnd", "reason": "prompt_input_exit"
    });
    payload.to_string().into_bytes()
}

#[test]
fn the_hook_leaves_a_child_that_syncs() {
    let vault = Vault::new();
    let machine = |system| Home::new(system).with_folder(vault.root());
    let home = machine("laptop");
    home.store("m", "The hook brings this into the vault");
    hook(&home, &payload());
    arrives(&home, &machine("other"));
}

#[test]
fn the_hook_takes_any_input() {
    let vault = Vault::new();
    let home = Home::new("laptop").with_folder(vault.root());
    let deep = "[".repeat(200_000).into_bytes();
    let big = vec![b' '; 5 << 20];
    let inputs: [&[u8]; 12] = [
        b"",
        b"\n",
        b"not json",
        b"{",
        b"null",
        b"[]",
        b"42",
        b"\xff\xfe\x00",
        br#"{"session_id": 5, "cwd": [], "reason": {"a": null}}"#,
        br#"{"session_id": "../../etc\u0000", "cwd": "\n"}"#,
        &deep,
        &big,
    ];
    for (i, input) in inputs.into_iter().enumerate() {
        home.store(&format!("m{i}"), &format!("Stored before input {i}"));
        hook(&home, input);
    }
    arrives(&home, &Home::new("other").with_folder(vault.root()));
}

#[test]
fn the_hook_does_not_wait_for_input_that_never_ends() {
    let vault = Vault::new();
    let home = Home::new("laptop").with_folder(vault.root());
    home.store("m", "Nobody closes the pipe");
    let mut command = home.command(&["hook", "session-end"]);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let held = child.stdin.take().unwrap();
    let status = wait(&mut child, HOOK);
    drop(held);
    assert!(status.success(), "{status}");
    arrives(&home, &Home::new("other").with_folder(vault.root()));
}

#[test]
fn the_hook_ends_well_where_the_home_cannot_be_written() {
    let home = Home::new("laptop");
    // A file where the home should be: refused to every user, root included.
    fs::write(home.root(), "in the way").unwrap();
    hook(&home, &payload());
    hook(&home, b"garbage");
    home.wait_until_quiet(SECONDS);
    assert_eq!(fs::read_to_string(home.root()).unwrap(), "in the way");
}

#[test]
fn the_hook_ends_well_where_the_configuration_is_wrong() {
    let home = Home::new("laptop")
        .with("cloud_bucket", "NOT A BUCKET")
        .with("max_retries", "-7");
    hook(&home, &payload());
    home.wait_until_quiet(SECONDS);
}

#[test]
fn an_unreachable_bucket_neither_delays_nor_loses() {
    let mut s3 = S3::start();
    let home = Home::new("laptop").with_s3(&s3);
    s3.stop();
    home.store("m", "Waits for the bucket");
    hook(&home, &payload());
    home.wait_until_quiet(SECONDS);
    let status = home.ok(&["status"]);
    assert_eq!(status["queue"]["pending"], 1, "{status}");
    assert_eq!(status["lag"]["unsynced_memories"], 1, "{status}");
    let error = status["queue"]["last_error"].as_str().unwrap();
    assert!(error.contains("cloud") && error.contains("http"), "{error}");

    s3.restart();
    // Time passes: the job is due again, and any start of a process takes it up.
    home.open_database()
        .execute("UPDATE jobs SET not_before = 0", [])
        .unwrap();
    let mut mcp = home.mcp();
    eventually("the sync of a waiting job", SECONDS, || {
        (mcp.call("akosha_sync_status", json!({})).ok()["queue"]["pending"] == 0).then_some(())
    });
    drop(mcp.finish());
    arrives(&home, &Home::new("other").with_s3(&s3));
}

#[test]
fn a_sync_by_hand_settles_what_waited() {
    let mut s3 = S3::start();
    let home = Home::new("laptop").with_s3(&s3);
    s3.stop();
    home.store("m", "Waits for the bucket");
    hook(&home, &payload());
    home.wait_until_quiet(SECONDS);
    assert_eq!(home.ok(&["status"])["queue"]["pending"], 1);
    s3.restart();
    assert_eq!(home.ok(&["sync"])["memories_uploaded"], 1);
    let status = home.ok(&["status"]);
    assert_eq!(status["queue"]["pending"], 0, "{status}");
    assert_eq!(status["queue"]["last_error"], Value::Null, "{status}");
    arrives(&home, &Home::new("other").with_s3(&s3));
}

#[test]
fn a_host_that_drops_packets_does_not_delay_the_hook() {
    // An address of the documentation range: packets to it are lost or refused on the way.
    let home = Home::new("laptop")
        .with("cloud_bucket", "memories")
        .with("cloud_endpoint", format!("https://192.0.2.1:{DEAD_PORT}"))
        .with("cloud_access_key", "key")
        .with("cloud_secret_key", "secret")
        .with("force_method", "cloud");
    home.store("m", "Waits for the network");
    hook(&home, &payload());
    assert_eq!(home.lag(), 1);
    home.wait_until_quiet(Duration::from_mins(1));
    assert_eq!(home.ok(&["status"])["queue"]["pending"], 1);
}

#[test]
fn many_session_ends_at_once_become_few_syncs() {
    let vault = Vault::new();
    let machine = |system| Home::new(system).with_folder(vault.root());
    let home = machine("laptop");
    let count = 12;
    thread::scope(|scope| {
        for i in 0..count {
            let home = &home;
            scope.spawn(move || {
                home.store(&format!("m{i}"), &format!("Session {i} ended"));
                // Twelve programs on two cores: the budget of one is not measured here.
                home.run_with(&["hook", "session-end"], &payload()).ended(0);
            });
        }
    });
    arrives(&home, &machine("other"));
    let stored: u64 = home.rows().len().try_into().unwrap();
    assert_eq!(vault.rows("laptop"), stored, "a memory was sent twice");
    assert!(
        vault.uploads("laptop").len() <= count,
        "{}",
        vault.uploads("laptop").len()
    );
    vault.check("laptop");
}

#[test]
fn session_ends_that_wait_are_one_job() {
    let mut s3 = S3::start();
    s3.stop();
    let home = Home::new("laptop").with_s3(&s3);
    let mut mcp = home.mcp();
    let jobs: Vec<Value> = (0..5)
        .map(|i| {
            mcp.store(&format!("m{i}"), "Waits");
            mcp.call("session_end", json!({})).ok()["sync"]["job_id"].clone()
        })
        .collect();
    drop(mcp.finish());
    home.wait_until_quiet(SECONDS);
    let status = home.ok(&["status"]);
    assert_eq!(status["queue"]["pending"], 1, "{jobs:?}: {status}");
}

#[test]
fn a_session_end_without_a_vault_queues_nothing_that_hangs() {
    let home = Home::new("laptop").with("upload_on_session_end", "false");
    let mut mcp = home.mcp();
    let ended = mcp
        .call("session_end", json!({"summary": "Kept here alone"}))
        .ok();
    assert_eq!(ended["sync"]["queued"], false, "{ended}");
    assert!(ended["sync"]["reason"].is_string(), "{ended}");
    let started = Instant::now();
    assert!(mcp.finish().0.success());
    assert!(started.elapsed() < Duration::from_secs(5));
    home.wait_until_quiet(SECONDS);
    assert_eq!(home.rows().len(), 1);
}

#[test]
fn what_runs_of_a_home_is_seen() {
    // Others here rely on it where they say that nothing is left running.
    let home = Home::new("laptop");
    assert!(!is_running(&home.root()));
    let mut mcp = home.mcp();
    assert!(is_running(&home.root()));
    assert!(mcp.finish().0.success());
    home.wait_until_quiet(SECONDS);
}
