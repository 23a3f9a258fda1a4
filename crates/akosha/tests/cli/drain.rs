//! `akosha drain`, the detached child: it outlives everything that started it, and then ends.

#![cfg(unix)]

use std::fs;
use std::os::unix::process::CommandExt;

use rustix::process::{Pid, Signal, kill_process_group};

use crate::support::{Sandbox, eventually};

/// Returns the processes whose command line names `home`.
fn running(home: &str) -> Vec<u32> {
    let processes = fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let entry = entry.ok()?;
        let id: u32 = entry.file_name().to_str()?.parse().ok()?;
        let line = fs::read(entry.path().join("cmdline")).ok()?;
        String::from_utf8_lossy(&line).contains(home).then_some(id)
    });
    processes.collect()
}

#[cfg(target_os = "linux")]
#[test]
fn the_child_survives_the_group_and_leaves_nothing_running() {
    let sandbox = Sandbox::with_vault();
    for id in 0..20 {
        sandbox.store(&id.to_string(), "text");
    }
    let home = sandbox.path("home");
    let mut command = sandbox.command(&["sync", "--background"]);
    let mut child = command.process_group(0).spawn().unwrap();
    let group = Pid::from_child(&child);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    // The group is gone, or what is left of it dies now: the child is in another one.
    let _ = kill_process_group(group, Signal::KILL);
    eventually("the vault is complete", || {
        let status = sandbox.json(&["status"], 0);
        (status["lag"]["unsynced_memories"] == 0).then_some(())
    });
    eventually("nothing runs any more", || {
        running(home.to_str().unwrap()).is_empty().then_some(())
    });
    let log = fs::read_to_string(home.join("drain.log")).unwrap();
    assert!(log.contains("synced"), "{log}");
}

#[test]
fn a_job_that_was_left_is_done_by_the_next_command() {
    let sandbox = Sandbox::with_vault();
    sandbox.store("a", "text");
    let database = rusqlite::Connection::open(sandbox.path("home/akosha.db")).unwrap();
    let request = serde_json::json!({
        "method": "auto", "enable_fallback": true,
        "upload_reflections": true, "upload_knowledge_graph": true
    });
    let insert = "INSERT INTO jobs (job_id, state, trigger, request, created_at, not_before) \
                  VALUES ('01ARZ3NDEKTSV4RRFFQ69G5FAV', 'running', 'session_end', ?1, 0, 0)";
    database.execute(insert, [request.to_string()]).unwrap();
    drop(database);
    sandbox.run(&["list"]).ends(0);
    sandbox.wait_for_queue();
    let status = sandbox.json(&["status"], 0);
    assert_eq!(status["lag"]["unsynced_memories"], 0, "{status}");
}

#[test]
fn the_log_starts_anew_when_it_is_large() {
    let sandbox = Sandbox::with_vault();
    let log = sandbox.file("home/drain.log", "x".repeat((1 << 20) + 1));
    sandbox.run(&["drain"]).ends(0);
    assert!(fs::metadata(&log).unwrap().len() < 1 << 20);
}
