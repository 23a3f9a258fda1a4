//! Which method a sync uses, what it says when methods fail, and what a push over HTTP brings.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Answer, DEAD_PORT, Home, S3, Seed, Server, Vault, assert_same};

/// Whether a method can work now.
#[derive(Debug, Clone, Copy)]
struct Up {
    cloud: bool,
    http: bool,
}

/// The settings and the state of the world in one row of the truth table.
#[derive(Debug, Clone, Copy)]
struct Setting {
    force: &'static str,
    fallback: bool,
    bucket: bool,
    up: Up,
}

/// What docs/configuration.md says of a call: the methods in their order, or `None` where the call
/// is refused because the cloud is asked for and there is no bucket.
fn allowed(setting: Setting, method: &str, fallback: bool) -> Option<Vec<&'static str>> {
    let named = if method == "auto" {
        setting.force
    } else {
        method
    };
    match named {
        "cloud" => setting.bucket.then(|| vec!["cloud"]),
        "http" => Some(vec!["http"]),
        _ if !fallback => setting.bucket.then(|| vec!["cloud"]),
        _ => {
            let mut methods = Vec::new();
            if setting.bucket {
                methods.push("cloud");
            }
            if setting.fallback || !setting.bucket {
                methods.push("http");
            }
            Some(methods)
        }
    }
}

#[test]
fn the_method_is_the_one_that_the_settings_name() {
    let server = Server::start("server");
    for force in ["auto", "cloud", "http"] {
        for (fallback, bucket) in [(true, true), (true, false), (false, true), (false, false)] {
            for (cloud, http) in [(true, true), (true, false), (false, true), (false, false)] {
                let up = Up { cloud, http };
                row(
                    &server,
                    Setting {
                        force,
                        fallback,
                        bucket,
                        up,
                    },
                );
            }
        }
    }
}

/// Tries every call under one setting.
fn row(server: &Server, setting: Setting) {
    if !setting.bucket && setting.up.cloud {
        // Without a bucket there is no cloud that could be up.
        return;
    }
    let vault = Vault::new();
    let system = format!(
        "{}-{}-{}-{}-{}",
        setting.force, setting.fallback, setting.bucket, setting.up.cloud, setting.up.http
    );
    let mut home = Home::new(&system)
        .with("force_method", setting.force)
        .with("enable_fallback", setting.fallback.to_string());
    if setting.up.http {
        home.set("akosha_url", server.url());
    }
    if setting.bucket && setting.up.cloud {
        home = home.with_folder(vault.root());
    } else if setting.bucket {
        let file = home.beside("a file");
        fs::write(&file, "no folder").unwrap();
        home = home.with_folder(&file.join("vault"));
    }
    if setting.force == "cloud" && !setting.bucket {
        refused_by_config_check(&home);
        return;
    }
    let mut mcp = home.mcp();
    let mut number = 0;
    for method in ["auto", "cloud", "http"] {
        for fallback in [true, false] {
            number += 1;
            mcp.store(
                &format!("m{number}"),
                &format!("Call {number} under {setting:?}"),
            );
            let before = arrived(&vault, server, &system);
            let arguments = json!({"method": method, "enable_fallback": fallback});
            let answer = mcp.call("sync_to_akosha", arguments);
            let after = arrived(&vault, server, &system);
            let expected = allowed(setting, method, fallback);
            let context = format!("{setting:?}, {method}, fallback {fallback}: {answer:#?}");
            check(expected, setting.up, &answer, (before, after), &context);
        }
    }
    assert!(mcp.finish().0.success());
}

/// Returns how many memories of a system lie in the vault and on the server.
fn arrived(vault: &Vault, server: &Server, system: &str) -> (u64, usize) {
    let rows = server.home().rows();
    (
        vault.rows(system),
        rows.iter().filter(|row| row.system_id == system).count(),
    )
}

fn check(
    expected: Option<Vec<&'static str>>,
    up: Up,
    answer: &Answer,
    (before, after): ((u64, usize), (u64, usize)),
    context: &str,
) {
    let report = &answer.value;
    let told: Vec<&str> = report["errors"]
        .as_array()
        .unwrap_or_else(|| panic!("{context}"))
        .iter()
        .map(|error| {
            assert!(!error["error"].as_str().unwrap().is_empty(), "{context}");
            error["method"].as_str().unwrap()
        })
        .collect();
    let Some(methods) = expected else {
        assert!(answer.is_error, "{context}");
        assert_eq!(report["success"], false, "{context}");
        assert!(answer.error().contains("bucket"), "{context}");
        assert_eq!(before, after, "{context}");
        return;
    };
    let is_up = |method: &&str| {
        if *method == "cloud" {
            up.cloud
        } else {
            up.http
        }
    };
    let failed: Vec<&str> = methods
        .iter()
        .take_while(|method| !is_up(method))
        .copied()
        .collect();
    assert_eq!(told, failed, "{context}");
    let Some(used) = methods.get(failed.len()) else {
        assert!(answer.is_error, "{context}");
        assert_eq!(report["success"], false, "{context}");
        assert_eq!(report["memories_uploaded"], 0, "{context}");
        assert_eq!(report["upload_id"], Value::Null, "{context}");
        let error = answer.error();
        assert!(
            methods
                .iter()
                .all(|method| error.contains(&format!("[{method}]"))),
            "{context}"
        );
        assert_eq!(before, after, "{context}");
        return;
    };
    assert!(!answer.is_error, "{context}");
    assert_eq!(report["success"], true, "{context}");
    assert_eq!(report["method"], *used, "{context}");
    let from = failed.first().map_or(Value::Null, |method| json!(method));
    assert_eq!(report["fallback_from"], from, "{context}");
    // Each method has a cursor of its own, so it may have more than this call's memory to bring.
    let sent = report["memories_uploaded"].as_u64().unwrap();
    assert!(sent >= 1, "{context}");
    let (vault, server) = (after.0 - before.0, after.1 - before.1);
    let expected = if *used == "cloud" {
        (sent, 0)
    } else {
        (0, usize::try_from(sent).unwrap())
    };
    assert_eq!((vault, server), expected, "{context}");
    assert_eq!(
        report["upload_id"].is_string(),
        *used == "cloud",
        "{context}"
    );
}

/// `force_method = "cloud"` needs a bucket.
fn refused_by_config_check(home: &Home) {
    let checked = home.json(&["config", "check"], 2);
    assert_eq!(checked["valid"], false, "{checked}");
    let keys: Vec<&Value> = checked["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| &error["key"])
        .collect();
    assert!(keys.contains(&&json!("force_method")), "{checked}");
    home.run(&["sync", "--json"]).ended(2);
}

#[test]
fn the_command_says_the_same_by_its_exit_code() {
    let mut s3 = S3::start();
    let server = Server::start("server");
    let mut home = Home::new("laptop")
        .with_s3(&s3)
        .with("akosha_url", server.url());
    home.store("m1", "First");
    assert_eq!(home.ok(&["sync"])["method"], "cloud");

    s3.stop();
    home.store("m2", "Second");
    let alone = home.json(&["sync", "--no-fallback"], 1);
    assert_eq!(alone["errors"][0]["method"], "cloud", "{alone}");
    assert_eq!(alone["errors"].as_array().unwrap().len(), 1, "{alone}");
    let named = home.json(&["sync", "--method", "cloud"], 1);
    assert_eq!(named["errors"].as_array().unwrap().len(), 1, "{named}");
    let fallen = home.ok(&["sync"]);
    assert_eq!(fallen["method"], "http", "{fallen}");
    assert_eq!(fallen["fallback_from"], "cloud", "{fallen}");
    assert_eq!(fallen["memories_uploaded"], 2, "{fallen}");
    assert_same("by fallback", &home.export(), &server.home().export());

    let text = home.run(&["sync", "--method", "cloud"]).ended(1);
    assert!(text.stdout.is_empty(), "{text:#?}");
    assert!(
        text.stderr.contains("[cloud]") && text.stderr.contains("hint:"),
        "{text:#?}"
    );

    s3.restart();
    let back = home.ok(&["sync", "--method", "cloud"]);
    assert_eq!(back["memories_uploaded"], 1, "the bucket lacks one: {back}");
    home.set("cloud_bucket", "");
    home.run(&["sync", "--method", "cloud", "--json"]).ended(2);
    home.run(&["sync", "--method", "carrier-pigeon", "--json"])
        .ended(2);
}

#[test]
fn with_both_down_nothing_is_acknowledged() {
    let mut s3 = S3::start();
    let mut home = Home::new("laptop").with_s3(&s3);
    s3.stop();
    for i in 0..5 {
        home.store(&format!("m{i}"), "Nobody has this yet");
    }
    for _ in 0..2 {
        let failed = home.json(&["sync"], 1);
        assert_eq!(failed["success"], false, "{failed}");
        assert_eq!(failed["memories_uploaded"], 0, "{failed}");
        let methods: Vec<&Value> = failed["errors"]
            .as_array()
            .unwrap()
            .iter()
            .map(|error| &error["method"])
            .collect();
        assert_eq!(methods, ["cloud", "http"], "{failed}");
        let error = failed["error"].as_str().unwrap();
        assert!(
            error.contains("[cloud]") && error.contains("[http]"),
            "{error}"
        );
        assert_eq!(home.lag(), 5);
    }
    home.ok(&["forget", "m0"]);

    s3.restart();
    let pushed = home.ok(&["sync"]);
    assert_eq!(pushed["method"], "cloud", "{pushed}");
    let vault = Vault::at(&s3.objects());
    assert_eq!(vault.rows("laptop"), home.rows().len() as u64);
    vault.check("laptop");
    let fresh = Home::new("fresh").with_s3(&s3);
    fresh.ok(&["pull"]);
    assert_same("every row once", &home.rows(), &fresh.rows());

    // Over HTTP, too: a server that comes late gets each memory once.
    let server = Server::start("server");
    home.set("akosha_url", server.url());
    home.ok(&["sync", "--method", "http"]);
    assert_same("over HTTP", &home.export(), &server.home().export());
    let rows = server.home().rows();
    assert_eq!(
        rows.iter().filter(|row| row.op == "put").count(),
        4,
        "{rows:#?}"
    );
}

#[test]
fn a_push_over_http_keeps_everything() {
    let mut seed = Seed::new();
    let server = Server::start("server");
    let home = Home::new("laptop").with("akosha_url", server.url());
    let mut mcp = home.mcp();
    mcp.store("plain", "Plain");
    mcp.store_all(vec![
        json!({"memory_id": "dated", "text": "Dated", "metadata": {
            "created_at": "2001-02-03T04:05:06", "source": "session-buddy", "tags": ["a", "b c"],
            "project": "shop", "type": "decision", "session_id": "s", "correlation_id": "c",
            "original_id": "o", "nested": {"list": [1, 2.5, null, true, {"x": "y"}]}}}),
        json!({"memory_id": "vector", "text": "Vector", "embedding": seed.embedding()}),
        json!({"memory_id": "größe/1", "text": "Unicode 日本語 🦀 \u{1f} \"quoted\"\r\n"}),
        json!({"memory_id": "long", "text": seed.noise(1 << 20)}),
        json!({"memory_id": "forgotten", "text": "Given up later"}),
        json!({"memory_id": "erased", "text": "Erased later"}),
    ]);
    mcp.store("plain", "Plain, the second time");
    mcp.store("plain", "Plain, the third time");
    // Without a bucket HTTP is the method.
    let pushed = mcp.call("sync_to_akosha", json!({})).ok();
    assert_eq!(pushed["method"], "http", "{pushed}");
    assert_eq!(pushed["fallback_from"], Value::Null, "{pushed}");
    assert_same("the first push", &home.export(), &server.home().export());
    let there = server.home().ok(&["get", "dated", "--system", "laptop"]);
    assert_eq!(there["ingestion_method"], "http_push", "{there}");
    assert_eq!(there["created_at"], "2001-02-03T04:05:06Z", "{there}");
    assert_eq!(there["metadata"]["source"], "session-buddy", "{there}");
    let found = server.home().ok(&["search", "plain third"]);
    assert_eq!(
        found["results"][0]["revision"].as_i64().unwrap_or(3),
        3,
        "{found}"
    );
    assert_eq!(found["results"][0]["memory_id"], "plain", "{found}");

    mcp.call("forget_memory", json!({"memory_id": "forgotten"}))
        .ok();
    mcp.call(
        "forget_memory",
        json!({"memory_id": "erased", "erase": true}),
    )
    .ok();
    mcp.store("vector", "Vector, without numbers now");
    let pushed = mcp.call("sync_to_akosha", json!({})).ok();
    assert_eq!(pushed["memories_uploaded"], 3, "{pushed}");
    assert_same("the second push", &home.export(), &server.home().export());
    let left = server.home().rows();
    assert!(
        left.iter().all(|row| row.text != "Erased later"),
        "erased text is still there"
    );

    let again = mcp.call("sync_to_akosha", json!({})).ok();
    assert_eq!(again["memories_uploaded"], 0, "{again}");
    assert_eq!(again["success"], true, "{again}");
    assert_eq!(home.lag(), 0);
    // The server owns none of it: it has nothing to push itself.
    assert_eq!(server.home().lag(), 0);
}

#[test]
fn a_thousand_memories_with_vectors_pass_over_http() {
    let mut seed = Seed::new();
    let server = Server::start("server");
    let home = Home::new("laptop").with("akosha_url", server.url());
    let mut mcp = home.mcp();
    let memories = (0..1000).map(|i| {
        let text = format!("Memory {i}");
        json!({"memory_id": format!("m{i}"), "text": text, "embedding": seed.embedding()})
    });
    mcp.store_all(memories.collect());
    assert_eq!(
        mcp.call("sync_to_akosha", json!({})).ok()["memories_uploaded"],
        1000
    );
    assert_same("with vectors", &home.export(), &server.home().export());
}

#[test]
fn a_server_that_is_no_akosha_is_named() {
    let s3 = S3::start();
    for url in [
        format!("{}/mcp", s3.endpoint()),
        format!("http://127.0.0.1:{DEAD_PORT}/mcp"),
    ] {
        let home = Home::new("laptop").with("akosha_url", &url);
        home.store("m", "Stays here");
        let failed = home.json(&["sync"], 1);
        assert!(
            failed["error"].as_str().unwrap().contains("127.0.0.1"),
            "{failed}"
        );
        assert_eq!(failed["errors"][0]["method"], "http", "{failed}");
        assert_eq!(home.lag(), 1);
    }
}

#[test]
fn a_wrong_path_or_token_fails_at_once_and_says_what_to_set() {
    for (status, setting) in [
        ("404 Not Found", "`/mcp`"),
        ("405 Method Not Allowed", "`/mcp`"),
        ("401 Unauthorized", "`akosha_token`"),
        ("403 Forbidden", "`akosha_token`"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/nowhere", listener.local_addr().unwrap());
        thread::spawn(move || {
            let answer = format!(
                "HTTP/1.1 {status}\r\ncontent-length: 6\r\nconnection: close\r\n\r\nsorry\n"
            );
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let pause = Some(Duration::from_millis(100));
                stream.set_read_timeout(pause).unwrap();
                let mut buffer = [0; 16 << 10];
                let mut read = 0;
                while let Ok(more @ 1..) = stream.read(&mut buffer) {
                    read += more;
                }
                // What was connected to see whether anybody listens says nothing.
                if read > 0 {
                    let _ = stream.write_all(answer.as_bytes());
                }
            }
        });
        let home = Home::new("laptop")
            .with("akosha_url", url)
            .with("max_retries", "3")
            .with("retry_backoff_seconds", "5");
        home.store("m", "Stays here");
        let run = home.run(&["sync"]).ended(1);
        assert!(run.took.as_secs() < 5, "it was tried again: {run:#?}");
        let code = status.split(' ').next().unwrap();
        let says = format!("it answered {code};");
        assert!(
            run.stderr.contains(&says) && run.stderr.contains(setting),
            "{run:#?}"
        );
        assert!(!run.stderr.contains("sorry"), "{run:#?}");
        assert_eq!(home.lag(), 1);
    }
}

#[test]
fn wrong_credentials_fail_at_once_and_say_so() {
    let s3 = S3::start();
    let home = Home::new("laptop")
        .with_s3(&s3)
        .with("cloud_secret_key", "wrong-secret-7f3a")
        .with("max_retries", "5")
        .with("retry_backoff_seconds", "30")
        .with("force_method", "cloud");
    home.store("m", "Stays here");
    let run = home.run(&["sync", "--json", "-vv"]).ended(1);
    assert!(run.took.as_secs() < 20, "it was tried again: {run:#?}");
    assert_eq!(run.json()["errors"][0]["method"], "cloud", "{run:#?}");
    for output in [&run.stdout, &run.stderr] {
        assert!(
            !output.contains("wrong-secret-7f3a"),
            "the secret is shown: {run:#?}"
        );
    }
    assert_eq!(home.lag(), 1);
}
