//! `akosha mcp`: what the binary adds to the server, which has tests of its own.

use crate::support::Sandbox;

const INITIALIZE: &str = concat!(
    r#"{"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": "#,
    r#""2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}}"#,
    "\n",
    r#"{"jsonrpc": "2.0", "method": "notifications/initialized"}"#,
    "\n"
);

#[test]
fn nothing_but_the_protocol_goes_to_standard_output() {
    let sandbox = Sandbox::new().with("AKOSHA_CHUNK_SIZE_MB", "0");
    let run = sandbox.run_with(&["mcp", "-vv"], INITIALIZE).ends(0);
    let answer = run.json();
    assert_eq!(answer["result"]["serverInfo"]["name"], "akosha");
    assert!(run.stderr.contains("chunk_size_mb"), "{run:?}");
}

#[test]
fn the_end_of_input_ends_it() {
    let run = Sandbox::new().run(&["mcp"]).ends(0);
    assert_eq!(run.stdout, "");
}

#[cfg(target_os = "linux")]
#[test]
fn a_request_to_end_is_obeyed_and_no_zombie_stays() {
    use std::io::{BufRead, BufReader, Write};
    use std::process::Stdio;

    use rustix::process::{Pid, Signal, kill_process};

    use crate::support::eventually;

    let sandbox = Sandbox::with_vault();
    let mut command = sandbox.command(&["mcp"]);
    let mut server = command.stdin(Stdio::piped()).spawn().unwrap();
    let mut input = server.stdin.take().unwrap();
    let mut output = BufReader::new(server.stdout.take().unwrap());
    let mut answer = || {
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        line
    };
    input.write_all(INITIALIZE.as_bytes()).unwrap();
    answer();
    let call = r#"{"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "session_end", "arguments": {"summary": "done"}}}"#;
    writeln!(input, "{call}").unwrap();
    assert!(answer().contains("\"queued\":true"));
    sandbox.wait_for_queue();
    let children = format!("/proc/{0}/task/{0}/children", server.id());
    eventually("the child is reaped", || {
        let left = std::fs::read_to_string(&children).unwrap();
        left.trim().is_empty().then_some(())
    });
    kill_process(Pid::from_child(&server), Signal::TERM).unwrap();
    assert_eq!(server.wait().unwrap().code(), Some(0));
}
