//! Logs: their format, and the file of `akosha mcp`.

use std::fs;

use serde_json::Value;

use crate::live::Live;
use crate::support::Sandbox;

const INITIALIZE: &str = concat!(
    r#"{"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": "#,
    r#""2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}}"#,
    "\n"
);

#[test]
fn a_server_of_an_assistant_logs_to_a_file_of_its_home() {
    let sandbox = Sandbox::new()
        .with("AKOSHA_CHUNK_SIZE_MB", "0")
        .with("AKOSHA_TOKEN", "s3cret-token");
    let run = sandbox.run_with(&["mcp"], INITIALIZE).ends(0);
    run.json();
    let path = sandbox.path("home/logs/mcp.log");
    let log = fs::read_to_string(&path).unwrap();
    assert!(log.contains("chunk_size_mb"), "{log}");
    assert!(!log.contains("s3cret"), "{log}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(&sandbox.path("home/logs")), 0o700);
    }
}

#[test]
fn nothing_of_a_session_gets_into_the_file() {
    let sandbox = Sandbox::new();
    let call = r#"{"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "store_memory", "arguments": {"text": "a private thought"}}}"#;
    let input = format!("{INITIALIZE}{call}\n");
    sandbox.run_with(&["mcp", "-vv"], &input).ends(0);
    let log = fs::read_to_string(sandbox.path("home/logs/mcp.log")).unwrap_or_default();
    assert!(!log.contains("private thought"), "{log}");
}

#[test]
fn logs_are_json_where_that_is_asked_for() {
    let sandbox = Sandbox::new()
        .with("AKOSHA_LOG_FORMAT", "json")
        .with("AKOSHA_CHUNK_SIZE_MB", "0");
    let run = sandbox.run_with(&["mcp"], INITIALIZE).ends(0);
    let mut count = 0;
    for line in run.stderr.lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        assert!(
            event["timestamp"].is_string() && event["level"].is_string(),
            "{line}"
        );
        assert!(event["message"].is_string(), "{line}");
        count += 1;
    }
    assert!(count > 0, "{run:?}");
}

#[test]
fn an_unknown_format_is_told() {
    let sandbox = Sandbox::new().with("AKOSHA_LOG_FORMAT", "xml");
    let run = sandbox.run(&["list"]).ends(0);
    assert!(
        run.stderr.contains("`xml`, expected `json` or `text`"),
        "{run:?}"
    );
}

#[test]
fn a_server_logs_each_event_as_one_line() {
    let sandbox = Sandbox::new()
        .with("AKOSHA_LOG_FORMAT", "json")
        .with("AKOSHA_LOG", "info");
    let live = Live::start(&sandbox);
    assert_eq!(live.get("/health").status, 200);
    for line in live.said().lines() {
        assert!(serde_json::from_str::<Value>(line).is_ok(), "{line}");
    }
}
