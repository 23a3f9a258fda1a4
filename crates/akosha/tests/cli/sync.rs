//! `akosha sync`.

use crate::support::{Sandbox, eventually, keys};

#[test]
fn answers_as_the_tool_does() {
    let sandbox = Sandbox::with_vault();
    sandbox.store("a", "text");
    let answer = sandbox.json(&["sync"], 0);
    assert_eq!(
        keys(&answer),
        [
            "bytes_deduplicated",
            "bytes_transferred",
            "duration_seconds",
            "error",
            "errors",
            "fallback_from",
            "files_uploaded",
            "job_id",
            "memories_uploaded",
            "method",
            "success",
            "triggered_by",
            "upload_id",
            "upload_ids",
            "warnings"
        ]
    );
    assert_eq!(answer["method"], "cloud");
    assert_eq!(answer["memories_uploaded"], 1);
    assert_eq!(answer["triggered_by"], "manual");
    let again = sandbox.json(&["sync"], 0);
    assert_eq!(again["success"], true);
    assert_eq!(again["memories_uploaded"], 0);
    let shown = sandbox.run(&["sync"]).ends(0).stdout;
    assert_eq!(shown, "nothing to push: everything is synced\n");
}

#[test]
fn a_head_that_cannot_be_read_is_told_with_the_way_out() {
    for content in ["{\"version\":", "", "no JSON", &"x".repeat(20 << 10)] {
        let sandbox = Sandbox::with_vault();
        sandbox.store("a", "text");
        sandbox.json(&["sync"], 0);
        let head = sandbox.path("vault/systems/test-system/head.json");
        std::fs::write(&head, content).unwrap();
        sandbox.store("b", "more");
        let run = sandbox.run(&["sync"]).ends(1);
        assert!(
            run.stderr.contains("systems/test-system/head.json")
                && run.stderr.contains("`akosha vault repair`"),
            "{run:?}"
        );
        assert_eq!(std::fs::read_to_string(&head).unwrap(), content);
        let status = sandbox.json(&["status"], 0);
        assert_eq!(status["lag"]["unsynced_memories"], 1, "{status}");
        let answer = sandbox.json(&["doctor"], 1);
        let named = answer["checks"].as_array().unwrap().iter();
        let failed: Vec<_> = named
            .filter(|check| check["state"] == "failed")
            .map(|check| check["hint"].as_str().unwrap())
            .collect();
        assert!(failed[0].contains("`akosha vault repair`"), "{answer}");
    }
}

#[test]
fn in_the_background_it_answers_at_once() {
    let sandbox = Sandbox::with_vault();
    sandbox.store("a", "text");
    let answer = sandbox.json(&["sync", "--background"], 0);
    assert_eq!(answer["queued"], true);
    assert_eq!(answer["job_id"].as_str().map(str::len), Some(26));
    eventually("the vault is complete", || {
        let status = sandbox.json(&["status"], 0);
        (status["lag"]["unsynced_memories"] == 0).then_some(())
    });
    sandbox.wait_for_queue();
}

#[test]
fn what_cannot_be_reached_is_told_and_nothing_is_lost() {
    let sandbox = Sandbox::new();
    sandbox.store("a", "text");
    let answer = sandbox.json(&["sync"], 1);
    assert_eq!(answer["success"], false);
    assert!(
        answer["error"].as_str().unwrap().starts_with("[http] "),
        "{answer}"
    );
    let run = sandbox.run(&["sync"]).ends(1);
    assert_eq!(run.stdout, "");
    insta::assert_snapshot!(run.stderr, @r"
    error: [http] not reachable: nothing listens at `127.0.0.1:9`; 1 change is not synced yet, none is lost
    hint: name a bucket or a folder in `cloud_bucket`: `akosha config init` writes the file; or set `akosha_url` to the akosha of another machine
    ");
}

#[test]
fn a_method_that_is_not_set_up_is_a_configuration_error() {
    let sandbox = Sandbox::new();
    let run = sandbox.run(&["sync", "--method", "cloud"]).ends(2);
    assert!(run.stderr.contains("cloud_bucket"), "{run:?}");
    let run = sandbox.run(&["sync", "--no-fallback"]).ends(2);
    assert!(run.stderr.contains("\nhint: "), "{run:?}");
}

#[test]
fn two_homes_under_one_id_are_a_conflict() {
    let first = Sandbox::with_vault();
    let second = Sandbox::new().with("AKOSHA_CLOUD_BUCKET", &first.vault_url());
    first.store("a", "text");
    second.store("b", "text");
    first.run(&["sync"]).ends(0);
    let run = second.run(&["sync"]).ends(4);
    assert!(run.stderr.contains("\nhint: "), "{run:?}");
    let answer = second.json(&["sync", "--no-fallback"], 4);
    assert_eq!(answer["memories_uploaded"], 0);
}

#[cfg(unix)]
#[test]
fn an_interrupt_cancels_it_and_says_what_is_left() {
    use std::net::TcpListener;

    use rustix::process::{Pid, Signal, kill_process};

    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let url = format!("http://127.0.0.1:{port}/mcp");
    let sandbox = Sandbox::new().with("AKOSHA_URL", &url);
    sandbox.store("a", "text");
    let child = sandbox.command(&["sync"]).spawn().unwrap();
    // The first connection asks whether anybody is there, the second one wants an answer.
    let held = [silent.accept().unwrap(), silent.accept().unwrap()];
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("cancelled; 1 change is not synced yet"),
        "{said}"
    );
    assert!(said.contains("\nhint: "), "{said}");
    drop(held);
}
