//! `akosha doctor`.

use std::io::{Read, Write};
use std::net::TcpListener;

use serde_json::Value;

use crate::support::Sandbox;

/// Returns the states of the checks of a name.
fn states<'a>(answer: &'a Value, name: &str) -> Vec<&'a str> {
    let checks = answer["checks"].as_array().unwrap().iter();
    let named = checks.filter(|check| check["name"] == name);
    named
        .map(|check| check["state"].as_str().unwrap())
        .collect()
}

#[test]
fn a_machine_in_order_is_healthy() {
    let sandbox = Sandbox::with_vault();
    sandbox.store("a", "text");
    let answer = sandbox.json(&["doctor"], 0);
    assert_eq!(answer["healthy"], true, "{answer}");
    assert_eq!(states(&answer, "lag"), ["warning"], "{answer}");
    sandbox.json(&["sync"], 0);
    let answer = sandbox.json(&["doctor"], 0);
    for name in [
        "configuration",
        "home",
        "schema",
        "keys",
        "access",
        "clock",
        "conditional writes",
        "queue",
        "lag",
    ] {
        assert_eq!(states(&answer, name), ["ok"], "{name}: {answer}");
    }
    assert_eq!(states(&answer, "disk").len(), 2, "{answer}");
    for name in ["model", "hooks"] {
        assert_eq!(states(&answer, name), ["note"], "{name}: {answer}");
    }
    let text = sandbox.run(&["doctor"]).ends(0).stdout;
    assert!(text.contains("nothing stands in the way"), "{text}");
}

#[test]
fn each_thing_in_the_way_is_named_with_what_to_do() {
    let sandbox = Sandbox::with_vault().with("AKOSHA_MAX_RETRIES", "99");
    let answer = sandbox.json(&["doctor"], 1);
    assert_eq!(states(&answer, "configuration"), ["failed"], "{answer}");
    let failed = answer["checks"].as_array().unwrap().iter();
    for check in failed.filter(|check| check["state"] != "ok") {
        assert!(check["hint"].is_string(), "{check}");
    }
}

#[test]
fn a_storage_that_refuses_is_told_from_one_whose_clock_differs() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            // What was connected to see whether anybody listens says nothing.
            if stream.read(&mut [0; 4096]).is_ok_and(|read| read > 0) {
                let _ = stream.write_all(
                    b"HTTP/1.1 403 Forbidden\r\ndate: Thu, 01 Jan 2015 00:00:00 GMT\r\n\
                      content-length: 0\r\nconnection: close\r\n\r\n",
                );
            }
        }
    });
    let sandbox = Sandbox::new()
        .with("AKOSHA_CLOUD_BUCKET", "memories")
        .with("AKOSHA_CLOUD_ENDPOINT", &endpoint)
        .with("AKOSHA_CLOUD_ACCESS_KEY", "wrong")
        .with("AKOSHA_CLOUD_SECRET_KEY", "wrong");
    let answer = sandbox.json(&["doctor"], 1);
    assert_eq!(states(&answer, "reach")[0], "ok", "{answer}");
    assert_eq!(states(&answer, "credentials"), ["ok"], "{answer}");
    assert_eq!(states(&answer, "access"), ["failed"], "{answer}");
    assert_eq!(states(&answer, "clock"), ["warning"], "{answer}");
    assert!(states(&answer, "conditional writes").is_empty(), "{answer}");
    let text = sandbox.run(&["doctor"]).ends(1).stdout;
    assert!(
        text.contains("ahead of the storage's") && text.contains("cloud_secret_key"),
        "{text}"
    );
}

#[test]
fn a_vault_to_which_nothing_was_pushed_is_not_written_to() {
    let sandbox = Sandbox::with_vault();
    std::fs::create_dir(sandbox.path("vault")).unwrap();
    let answer = sandbox.json(&["doctor"], 0);
    assert_eq!(states(&answer, "clock"), ["ok"], "{answer}");
    let left = std::fs::read_dir(sandbox.path("vault")).unwrap().count();
    assert_eq!(left, 0);
}

#[test]
fn a_damaged_database_is_told() {
    let sandbox = Sandbox::new();
    for i in 0..200 {
        sandbox.file(
            &format!("notes/{i}.md"),
            format!("# {i}\n{}", "x".repeat(400)),
        );
    }
    let notes = sandbox.path("notes");
    sandbox
        .run(&["import", "markdown", notes.to_str().unwrap()])
        .ends(0);
    let path = sandbox.path("home/akosha.db");
    let database = rusqlite::Connection::open(&path).unwrap();
    let log = "PRAGMA wal_checkpoint(TRUNCATE)";
    database.query_row(log, [], |_| Ok(())).unwrap();
    let sql = "SELECT rootpage FROM sqlite_schema WHERE name = 'changes_listed'";
    let page: u32 = database.query_row(sql, [], |row| row.get(0)).unwrap();
    drop(database);
    let mut bytes = std::fs::read(&path).unwrap();
    let start = (page as usize - 1) * 4096;
    bytes[start + 8..start + 200].fill(0xff);
    std::fs::write(&path, bytes).unwrap();
    let answer = sandbox.json(&["doctor"], 1);
    let failed = answer["checks"].as_array().unwrap().iter();
    let failed: Vec<&Value> = failed.filter(|check| check["state"] == "failed").collect();
    assert_eq!(failed.len(), 1, "{answer}");
    let message = failed[0]["message"].as_str().unwrap();
    assert!(message.contains("damaged"), "{answer}");
}

#[test]
fn assistants_that_know_akosha_are_told_from_those_that_do_not() {
    let hooks = |sandbox: &Sandbox| -> Vec<String> {
        let answer = sandbox.json(&["doctor"], 0);
        let checks = answer["checks"].as_array().unwrap().iter();
        let hooks = checks.filter(|check| check["name"] == "hooks");
        hooks
            .map(|check| format!("{}: {}", check["state"], check["message"]).replace('"', ""))
            .collect()
    };
    let sandbox = Sandbox::new();
    assert_eq!(
        hooks(&sandbox),
        ["note: no settings of Claude Code, Cursor or Codex are here"]
    );
    sandbox.file(".claude.json", r#"{"projects": {"/src/akosha": {}}}"#);
    sandbox.file(".claude/settings.json", "{}");
    sandbox.file(
        ".cursor/mcp.json",
        r#"{"mcpServers": {"akosha": {"command": "/bin/akosha", "args": ["mcp"]}}}"#,
    );
    sandbox.file(".codex/config.toml", "[mcp_servers.other]\n");
    assert_eq!(
        hooks(&sandbox),
        [
            "note: Claude Code does not know akosha",
            "note: Cursor knows akosha, but has no hook for a session's end",
            "note: Codex does not know akosha",
        ]
    );
    let settings = sandbox.file(
        ".claude/settings.json",
        r#"{"hooks": {"SessionEnd": [{"hooks": [{"command": "akosha", "args": ["hook", "session-end"]}]}]}}"#,
    );
    let before = std::fs::read(&settings).unwrap();
    assert_eq!(
        hooks(&sandbox)[0],
        "ok: Claude Code syncs when a session ends"
    );
    assert_eq!(std::fs::read(&settings).unwrap(), before);
}

#[test]
fn it_says_where_the_credentials_come_from() {
    let bucket = || {
        Sandbox::new()
            .with("AKOSHA_CLOUD_BUCKET", "my-bucket")
            .with("AKOSHA_CLOUD_ENDPOINT", "http://127.0.0.1:9")
    };
    let said = |sandbox: &Sandbox| {
        let run = sandbox.run(&["--json", "doctor"]);
        let answer: Value = serde_json::from_str(&run.stdout).unwrap();
        let checks = answer["checks"].as_array().unwrap().clone();
        let check = checks
            .into_iter()
            .find(|check| check["name"] == "credentials");
        (answer, check.map(|check| check["message"].to_string()))
    };
    let with_keys = bucket()
        .with("AWS_ACCESS_KEY_ID", "a")
        .with("AWS_SECRET_ACCESS_KEY", "b");
    let message = said(&with_keys).1.unwrap();
    assert!(message.contains("`AWS_ACCESS_KEY_ID`"), "{message}");

    let text = "[work]\naws_access_key_id = a\naws_secret_access_key = S3CRET\n";
    let with_profile = bucket();
    let file = with_profile.file("credentials", text);
    let with_profile = with_profile
        .with("AWS_SHARED_CREDENTIALS_FILE", &file)
        .with("AWS_PROFILE", "work");
    let (answer, message) = said(&with_profile);
    assert!(message.unwrap().contains("AWS profile `work`"), "{answer}");
    assert!(!answer.to_string().contains("S3CRET"));

    // Nothing is found: the configuration says so, once.
    let (answer, message) = said(&bucket());
    assert_eq!(message, None, "{answer}");
    assert!(
        answer
            .to_string()
            .contains("no credentials for `cloud_bucket`")
    );
}
