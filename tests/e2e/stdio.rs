//! `akosha mcp`: nothing but the protocol on standard output, whatever happens.

use std::fs;

use serde_json::{Value, json};

use crate::support::{Home, Mcp};

#[test]
fn logs_do_not_reach_standard_output() {
    let home = Home::new("laptop");
    let mut mcp = Mcp::start(home.command(&["mcp", "-vv"]));
    mcp.store("m", "With all logs on");
    mcp.call("sync_to_akosha", json!({}));
    mcp.call("session_end", json!({"summary": "Loud"})).ok();
    let (status, rest) = mcp.finish();
    assert!(status.success(), "{status}");
    // The reader has checked that each line is a message; the last ones are here.
    assert!(
        rest.iter().all(|message| message.get("id").is_none()),
        "{rest:?}"
    );
    assert!(!mcp.stderr().is_empty(), "-vv logs nothing");
    home.wait_until_quiet(std::time::Duration::from_secs(20));
}

#[test]
fn a_wrong_configuration_does_not_keep_it_from_starting() {
    let home = Home::new("laptop");
    let file = home.beside("akosha.toml");
    fs::write(&file, "max_retries = 99\nno_such_setting = 1\n").unwrap();
    let home = home.with("cloud_bucket", "NOT A BUCKET");
    let config = ["mcp", "--config", file.to_str().unwrap()];
    let mut mcp = Mcp::start(home.command(&config));
    let status = mcp.call("akosha_sync_status", json!({})).ok();
    let errors = status["configuration_errors"].to_string();
    for key in ["max_retries", "no_such_setting", "cloud_bucket"] {
        assert!(errors.contains(key), "{key} is not named: {status}");
    }
    let synced = mcp.call("sync_to_akosha", json!({}));
    assert!(synced.is_error, "{synced:?}");
    assert_eq!(synced.value["success"], false, "{synced:?}");
    assert!(mcp.finish().0.success());
}

#[test]
fn a_configuration_that_is_no_toml_does_not_keep_it_from_starting() {
    let home = Home::new("laptop");
    let file = home.beside("akosha.toml");
    fs::write(&file, "this is [ not toml").unwrap();
    let mut mcp = Mcp::start(home.command(&["mcp", "--config", file.to_str().unwrap()]));
    let status = mcp.call("akosha_sync_status", json!({})).ok();
    assert!(
        !status["configuration_errors"]
            .as_array()
            .unwrap()
            .is_empty(),
        "{status}"
    );
    assert!(mcp.finish().0.success());
}

#[test]
fn a_line_that_is_no_json_does_not_end_it() {
    let home = Home::new("laptop");
    let mut mcp = home.mcp();
    for line in [
        b"this is not json".as_slice(),
        b"{",
        b"",
        b"\xff\xfe\xfd",
        b"[]",
        b"42",
        b"null",
        br#"{"jsonrpc": "2.0"}"#,
        br#"{"jsonrpc": "1.0", "id": 5, "method": "ping"}"#,
        br#"{"jsonrpc": "2.0", "method": "notifications/unknown", "params": {"a": 1}}"#,
    ] {
        mcp.send_line(line);
        let answer = mcp.call("akosha_sync_status", json!({}));
        assert!(
            !answer.is_error,
            "after {}: {answer:?}",
            String::from_utf8_lossy(line)
        );
    }
    mcp.send_line("[".repeat(500_000).as_bytes());
    mcp.store("m", "Still there");
    assert!(mcp.finish().0.success());
    assert_eq!(home.rows().len(), 1);
}

#[test]
fn a_line_that_is_no_json_is_answered() {
    let home = Home::new("laptop");
    let mut mcp = home.mcp();
    let lines = [
        b"this is not json".as_slice(),
        b"{\"jsonrpc\": ",
        b"{x}",
        b"\xff",
    ];
    for line in lines {
        mcp.send_line(line);
        let answer = mcp.next_message("the answer to a line that is no JSON");
        assert_eq!(answer["error"]["code"], -32700, "{answer}");
        assert!(answer["id"].is_null(), "{answer}");
    }
    // The end of the input cuts no answer off.
    mcp.send_line(b"nor is this");
    let (status, rest) = mcp.finish();
    assert!(status.success());
    assert_eq!(rest.len(), 1, "{rest:?}");
    assert_eq!(rest[0]["error"]["code"], -32700, "{rest:?}");
}

#[test]
fn an_unknown_method_and_an_unknown_tool_are_errors() {
    let home = Home::new("laptop");
    let mut mcp = home.mcp();
    let answer = mcp.request("no/such/method", json!({}));
    assert_eq!(answer["error"]["code"], -32601, "{answer}");
    let answer = mcp.request(
        "tools/call",
        json!({"name": "no_such_tool", "arguments": {}}),
    );
    assert!(
        answer["error"]["code"].is_i64() || answer["result"]["isError"] == true,
        "{answer}"
    );
    assert!(answer.to_string().contains("no_such_tool"), "{answer}");
    assert_eq!(mcp.request("ping", json!({}))["result"], json!({}));
    assert!(mcp.finish().0.success());
}

#[test]
fn every_tool_is_listed_with_its_schemas() {
    let home = Home::new("laptop");
    let mut mcp = home.mcp();
    let listed = mcp.request("tools/list", json!({}));
    let tools = listed["result"]["tools"].as_array().unwrap();
    let names: Vec<&str> = tools
        .iter()
        .map(|tool| tool["name"].as_str().unwrap())
        .collect();
    for name in [
        "store_memory",
        "batch_store_memories",
        "search_memories",
        "get_memory",
        "list_memories",
        "forget_memory",
        "sync_to_akosha",
        "akosha_sync_status",
        "session_start",
        "session_end",
    ] {
        assert!(names.contains(&name), "{name} is missing: {names:?}");
    }
    for tool in tools {
        let description = tool["description"].as_str().unwrap();
        assert!((40..2048).contains(&description.len()), "{tool}");
        assert_eq!(tool["inputSchema"]["type"], "object", "{tool}");
        assert_eq!(tool["outputSchema"]["type"], "object", "{tool}");
        for hint in ["readOnlyHint", "destructiveHint", "idempotentHint"] {
            assert!(tool["annotations"][hint].is_boolean(), "{hint}: {tool}");
        }
    }
    assert!(mcp.finish().0.success());
}

#[test]
fn it_ends_with_its_input_before_anything_was_said() {
    let home = Home::new("laptop");
    let mut mcp = Mcp::spawn(home.command(&["mcp"]));
    let (status, rest) = mcp.finish();
    assert!(status.success(), "{status}: {}", mcp.stderr());
    assert_eq!(rest, Vec::<Value>::new());
}

#[test]
fn many_calls_at_once_are_each_answered() {
    let home = Home::new("laptop");
    let mut mcp = home.mcp();
    let mut waiting: Vec<u64> = (0..100)
        .map(|i| {
            let arguments = json!({"memory_id": format!("m{i}"), "text": format!("Memory {i}")});
            mcp.send_call("store_memory", arguments)
        })
        .collect();
    while !waiting.is_empty() {
        let message = mcp.next_message("one of many calls");
        let id = message["id"].as_u64().unwrap();
        assert_ne!(message["result"]["isError"], true, "{message}");
        assert!(message["result"].is_object(), "{message}");
        let at = waiting.iter().position(|waiting| *waiting == id).unwrap();
        waiting.swap_remove(at);
    }
    assert!(mcp.finish().0.success());
    assert_eq!(home.rows().len(), 100);
}

#[test]
fn what_was_sent_before_the_input_ended_is_stored() {
    let home = Home::new("laptop");
    let mut mcp = home.mcp();
    for i in 0..20 {
        let arguments = json!({"memory_id": format!("m{i}"), "text": "Sent, then the pipe closed"});
        mcp.send_call("store_memory", arguments);
    }
    let (status, answers) = mcp.finish();
    assert!(status.success(), "{status}");
    let stored = home.rows().len();
    assert!(
        stored >= answers.len(),
        "{} answers, {stored} stored",
        answers.len()
    );
}

#[cfg(unix)]
#[test]
fn sigterm_ends_it_cleanly() {
    use crate::support::{terminate, wait};
    let home = Home::new("laptop");
    let mut mcp = home.mcp();
    mcp.store("m", "Stored before the signal");
    terminate(mcp.child());
    let (status, _) = mcp.ended();
    assert_eq!(status.code(), Some(0), "{status}: {}", mcp.stderr());
    assert_eq!(home.integrity(), "ok");
    assert_eq!(home.rows().len(), 1);

    // Also before it was initialised.
    let mut child = home
        .command(&["mcp"])
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    std::thread::sleep(std::time::Duration::from_millis(500));
    terminate(&child);
    let status = wait(&mut child, std::time::Duration::from_secs(5));
    assert_eq!(status.code(), Some(0), "{status}");
}
