//! `akosha hook`: whatever happens, it ends with exit code 0.

use std::process::Stdio;

use crate::support::{Sandbox, text};

const EVENTS: [&str; 6] = [
    "session-start",
    "session-end",
    "stop",
    "pre-compact",
    "post-compact",
    "user-prompt-submit",
];

#[test]
fn session_start_prints_what_earlier_sessions_left() {
    let sandbox = Sandbox::new();
    sandbox.store("a", "the cache is keyed by tenant");
    let input = r#"{"session_id": "s", "cwd": "/home/dev/project", "source": "startup"}"#;
    let run = sandbox.run_with(&["hook", "session-start"], input).ends(0);
    assert!(
        run.stdout.contains("the cache is keyed by tenant"),
        "{run:?}"
    );
    assert!(run.stdout.chars().count() <= 10_000);
    let answer = sandbox.run_with(&["hook", "session-start", "--json"], input);
    let answer = answer.ends(0).json();
    let output = &answer["hookSpecificOutput"];
    assert_eq!(output["hookEventName"], "SessionStart");
    let context = output["additionalContext"].as_str().unwrap();
    assert!(
        context.contains("the cache is keyed by tenant"),
        "{context}"
    );
}

#[test]
fn session_end_leaves_the_sync_to_a_child() {
    let sandbox = Sandbox::with_vault();
    sandbox.store("a", "text");
    let input = r#"{"session_id": "s", "hook_event_name": "SessionEnd", "reason": "exit"}"#;
    let run = sandbox.run_with(&["hook", "session-end"], input).ends(0);
    assert_eq!((run.stdout.as_str(), run.stderr.as_str()), ("", ""));
    sandbox.wait_for_queue();
    let status = sandbox.json(&["status"], 0);
    assert_eq!(status["lag"]["unsynced_memories"], 0, "{status}");
}

#[test]
fn session_end_queues_nothing_where_it_is_told_so() {
    let sandbox = Sandbox::with_vault().with("AKOSHA_UPLOAD_ON_SESSION_END", "false");
    let answer = sandbox.json(&["hook", "session-end"], 0);
    assert_eq!(answer["sync"]["queued"], false);
    let reason = answer["sync"]["reason"].as_str().unwrap();
    assert!(reason.contains("upload_on_session_end"), "{reason}");
    assert_eq!(sandbox.json(&["status"], 0)["queue"]["pending"], 0);
}

#[test]
fn other_events_say_nothing() {
    let sandbox = Sandbox::new();
    for event in EVENTS.iter().skip(2) {
        let run = sandbox.run_with(&["hook", event], "{}").ends(0);
        assert_eq!((run.stdout.as_str(), run.stderr.as_str()), ("", ""));
    }
    assert!(!sandbox.path("home").exists());
    let help = sandbox.run(&["hook", "--help"]).ends(0).stdout;
    for event in EVENTS {
        assert!(help.contains(event), "{event}: {help}");
    }
    assert!(help.contains("do nothing yet"), "{help}");
}

#[test]
fn an_event_that_is_not_known_is_named() {
    let run = Sandbox::new().run(&["hook", "bogus\nevent"]).ends(0);
    assert_eq!(
        run.stderr,
        "akosha: `bogus\\nevent` is no hook event; see `akosha hook --help`\n"
    );
}

#[test]
fn garbage_is_survived() {
    let sandbox = Sandbox::with_vault();
    let long = format!("{{\"x\": \"{}\"}}", "y".repeat(6 << 20));
    for input in [
        "",
        "{",
        "null",
        "[]",
        "\0\0",
        r#"{"cwd": 1, "session_id": {}}"#,
        &long,
    ] {
        for event in ["session-start", "session-end"] {
            sandbox.run_with(&["hook", event], input).ends(0);
        }
    }
    sandbox.wait_for_queue();
}

#[test]
fn bad_calls_are_one_line_on_standard_error() {
    let sandbox = Sandbox::new();
    for arguments in [
        &["hook"][..],
        &["hook", "no-such-event"],
        &["hook", "session-end", "--no-such-option"],
        &["--home", "x", "hook", "a", "b"],
    ] {
        let run = sandbox.run(arguments).ends(0);
        assert_eq!(run.stdout, "");
        assert!(run.stderr.starts_with("akosha: "), "{run:?}");
        assert_eq!(run.stderr.lines().count(), 1, "{run:?}");
    }
}

#[test]
fn a_home_that_cannot_be_written_is_one_line() {
    let sandbox = Sandbox::new();
    let file = sandbox.file("file", "");
    for event in EVENTS {
        let run = sandbox.run(&["hook", event, "--home", &format!("{file}/home")]);
        let run = run.ends(0);
        assert_eq!(run.stdout, "");
        assert!(run.stderr.lines().count() <= 1, "{run:?}");
    }
}

#[test]
fn a_bad_configuration_stops_no_hook() {
    let sandbox = Sandbox::with_vault();
    let broken = sandbox.file("broken.toml", "= what");
    sandbox.store("a", "text");
    for config in [broken.as_str(), "nowhere.toml"] {
        let run = sandbox.run(&["hook", "session-start", "--config", config]);
        let run = run.ends(0);
        assert!(run.stdout.contains("text"), "{run:?}");
        assert!(run.stderr.contains("akosha config check"), "{run:?}");
        sandbox
            .run(&["hook", "session-end", "--config", config])
            .ends(0);
    }
    sandbox.wait_for_queue();
}

#[test]
fn an_input_that_stays_open_holds_nothing_up() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.command(&["hook", "stop"]);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    let held = child.stdin.take();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    drop(held);
}

#[test]
fn a_store_that_is_held_does_not_hold_the_hook() {
    let sandbox = Sandbox::new();
    sandbox.store("a", "text");
    let database = rusqlite::Connection::open(text(&sandbox.path("home/akosha.db"))).unwrap();
    database.execute_batch("BEGIN IMMEDIATE").unwrap();
    let run = sandbox.run(&["hook", "session-end"]).ends(0);
    assert!(run.stderr.starts_with("akosha: "), "{run:?}");
    database.execute_batch("ROLLBACK").unwrap();
}
