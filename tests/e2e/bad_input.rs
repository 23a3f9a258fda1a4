//! Every id, name, size, number and time at the edge is checked: a clear error that names it,
//! nothing half-written, nothing lost.

use std::fs;

use serde_json::{Value, json};

use crate::support::{Home, Run, Seed};

/// Runs a command that has to be refused: with `code`, with message and hint, and with each of
/// `words` in the message.
fn refused(home: &Home, arguments: &[&str], code: i32, words: &[&str]) -> Value {
    let json = [arguments, &["--json"]].concat();
    let error = home.run(&json).ended(code).error();
    let message = error["message"].as_str().unwrap();
    for word in words {
        assert!(message.contains(word), "no `{word}` in: {error}");
    }
    // Without --json a person reads the same on standard error, and standard output stays empty.
    let run = home.run(arguments).ended(code);
    assert_eq!(run.stdout, "", "{run:#?}");
    // What clap finds wrong names the help instead of a hint.
    let helps = run.stderr.contains("hint: ") || run.stderr.contains("--help");
    assert!(run.stderr.starts_with("error: ") && helps, "{run:#?}");
    assert!(!run.stderr.contains("panicked"), "{run:#?}");
    error
}

#[test]
fn texts_are_checked_by_the_command() {
    let home = Home::new("laptop");
    for empty in ["", " ", "\n\t "] {
        refused(&home, &["store", empty], 2, &["text"]);
    }
    let long = vec![b'x'; 2 << 20];
    let error = home
        .run_with(&["store", "-", "--json"], &long)
        .ended(2)
        .error();
    assert!(
        error["message"].as_str().unwrap().contains("1048576"),
        "{error}"
    );
    let just_right = vec![b'x'; 1 << 20];
    home.run_with(&["store", "-", "--json"], &just_right)
        .ended(0);
    let over = vec![b'x'; (1 << 20) + 1];
    home.run_with(&["store", "-", "--json"], &over).ended(2);
    home.run_with(&["store", "-", "--json"], b"\xff\xfe")
        .ended(2);
    home.run_with(&["store", "-", "--json"], b"").ended(2);
    assert_eq!(home.rows().len(), 1);
}

#[test]
fn ids_times_and_metadata_are_checked_by_the_command() {
    let home = Home::new("laptop");
    home.store("m", "The only one");
    let long = "x".repeat(257);
    for id in ["", " m", "m ", "a\nb", "\u{7f}", long.as_str()] {
        refused(&home, &["store", "text", "--id", id], 2, &[]);
    }
    refused(
        &home,
        &["store", "text", "--metadata", "[]"],
        2,
        &["metadata"],
    );
    refused(
        &home,
        &["store", "text", "--metadata", "{"],
        2,
        &["metadata"],
    );
    refused(
        &home,
        &["store", "text", "--metadata", r#"{"created_at": "soon"}"#],
        2,
        &["created_at"],
    );
    refused(
        &home,
        &["store", "text", "--metadata", r#"{"tags": "x"}"#],
        2,
        &["tags"],
    );
    refused(&home, &["get", "no-such-memory"], 1, &["no-such-memory"]);
    refused(
        &home,
        &["history", "no-such-memory"],
        1,
        &["no-such-memory"],
    );
    refused(&home, &["forget", "no-such-memory"], 1, &["no-such-memory"]);
    refused(&home, &["get", "m", "--system", "a/../b"], 2, &["system"]);
    for arguments in [
        &["search", "x", "--limit", "0"][..],
        &["search", "x", "--limit", "101"],
        &["search", "x", "--since", "soon"],
        &["list", "--since", "2026-13-01"],
        &["list", "--no-such-option"],
        &["no-such-command"],
        &["sync", "--method", "pigeon"],
        &["pull", "--system", "../x"],
    ] {
        let run = home.run(&[arguments, &["--json"]].concat()).ended(2);
        run.error();
    }
    assert_eq!(home.rows().len(), 1);
}

#[test]
fn embeddings_are_checked_by_the_command() {
    let home = Home::new("laptop");
    let file = home.beside("embedding.json");
    let path = file.to_str().unwrap();
    let good = vec![0.5; 384];
    for (bad, word) in [
        (json!([]), "embedding"),
        (json!(good[..383]), "383"),
        (json!([good.clone(), vec![1.0]].concat()), "385"),
        (json!({"a": 1}), "embedding"),
        (json!("x"), "embedding"),
    ] {
        fs::write(&file, bad.to_string()).unwrap();
        refused(&home, &["store", "text", "--embedding", path], 2, &[word]);
    }
    fs::write(
        &file,
        json!([vec![json!(1e300)], vec![json!(0.5); 383]].concat()).to_string(),
    )
    .unwrap();
    refused(
        &home,
        &["store", "text", "--embedding", path],
        2,
        &["embedding"],
    );
    fs::write(&file, json!(good).to_string()).unwrap();
    assert_eq!(
        home.ok(&["store", "text", "--embedding", path])["embedding_dim"],
        384
    );
    refused(
        &home,
        &["store", "text", "--embedding", "/no/such/file"],
        1,
        &["/no/such/file"],
    );
}

/// Calls that have to be refused, each with a word that the error has to have.
type BadCalls = Vec<(&'static str, Value, &'static str)>;

#[test]
fn arguments_of_writing_tools_are_checked() {
    let mut seed = Seed::new();
    let short: Vec<f32> = seed.embedding()[1..].to_vec();
    let mut infinite: Vec<Value> = seed.embedding().iter().map(|n| json!(n)).collect();
    infinite[7] = json!(1e300);
    let store = |arguments: Value, word| ("store_memory", arguments, word);
    each_is_refused(vec![
        store(json!({}), "text"),
        store(json!({"text": ""}), "text"),
        store(json!({"text": " \n"}), "text"),
        store(json!({"text": 5}), "text"),
        store(json!({"text": "x".repeat(2 << 20)}), "text"),
        store(json!({"text": "x", "memory_id": ""}), "memory_id"),
        store(json!({"text": "x", "memory_id": "a\u{0}b"}), "memory_id"),
        store(
            json!({"text": "x", "memory_id": "x".repeat(300)}),
            "memory_id",
        ),
        store(json!({"text": "x", "embedding": short}), "embedding"),
        store(json!({"text": "x", "embedding": []}), "embedding"),
        store(json!({"text": "x", "embedding": infinite}), "embedding"),
        store(json!({"text": "x", "embedding": "AAAA"}), "embedding"),
        store(json!({"text": "x", "metadata": []}), "metadata"),
        store(
            json!({"text": "x", "metadata": {"created_at": 5}}),
            "created_at",
        ),
        store(json!({"text": "x", "metadata": {"tags": [1]}}), "tags"),
        store(json!({"text": "x", "txet": "y"}), "txet"),
        ("batch_store_memories", json!({}), "memories"),
        ("batch_store_memories", json!({"memories": "x"}), "memories"),
        (
            "forget_memory",
            json!({"memory_id": "no-such-memory"}),
            "no-such-memory",
        ),
        ("session_end", json!({"summary": 7}), "summary"),
        ("session_end", json!({"summry": "x"}), "summry"),
    ]);
}

#[test]
fn arguments_of_reading_tools_are_checked() {
    let search = |arguments: Value, word| ("search_memories", arguments, word);
    each_is_refused(vec![
        search(json!({}), "query"),
        search(json!({"query": "x", "limit": 0}), "limit"),
        search(json!({"query": "x", "limit": 101}), "limit"),
        search(json!({"query": "x", "mode": "magic"}), "mode"),
        search(json!({"query": "x", "since": "soon"}), "since"),
        search(json!({"query": "x", "embedding": [1.0]}), "embedding"),
        search(json!({"query": "x", "system_id": "a b"}), "system_id"),
        ("get_memory", json!({}), "memory_id"),
        (
            "get_memory",
            json!({"memory_id": "no-such-memory"}),
            "no-such-memory",
        ),
        ("list_memories", json!({"limit": -1}), "limit"),
        ("list_memories", json!({"cursor": "not a cursor"}), "cursor"),
        ("sync_to_akosha", json!({"method": "pigeon"}), "method"),
        ("sync_to_akosha", json!({"wait": "yes"}), "wait"),
        ("akosha_sync_status", json!({"verbose": true}), "verbose"),
        ("session_start", json!({"cwd": {}}), "cwd"),
    ]);
}

fn each_is_refused(calls: BadCalls) {
    let home = Home::new("laptop");
    let mut mcp = home.mcp();
    for (tool, arguments, word) in calls {
        let shown: String = arguments.to_string().chars().take(200).collect();
        let answer = mcp.call(tool, arguments);
        assert!(answer.is_error, "{tool} took {shown}: {answer:#?}");
        let error = answer.error();
        assert!(
            error.contains(word),
            "{tool} {shown}: no `{word}` in: {error}"
        );
        assert!(error.len() < 1000, "{error}");
        assert!(
            answer.text.contains(&error),
            "the text does not say it: {answer:#?}"
        );
    }
    mcp.store("m", "Still works");
    assert_eq!(home.rows().len(), 1);
    assert!(mcp.finish().0.success());
}

#[test]
fn a_bad_entry_of_a_batch_fails_alone() {
    let home = Home::new("laptop");
    let mut mcp = home.mcp();
    let batch = json!({"memories": [
        {"memory_id": "good-1", "text": "First"},
        {"memory_id": "empty", "text": ""},
        {"memory_id": "good-2", "text": "Second"},
        {"memory_id": "vector", "text": "x", "embedding": [1.0]},
        "not an object",
        {"memory_id": "typo", "text": "x", "txet": "y"},
        {"memory_id": "long", "text": "x".repeat((1 << 20) + 1)},
        {"memory_id": "good-1", "text": "First"},
    ]});
    let answer = mcp.call("batch_store_memories", batch).ok();
    assert_eq!(answer["status"], "partial", "{answer}");
    assert_eq!(
        (&answer["total"], &answer["failed"]),
        (&json!(8), &json!(5)),
        "{answer}"
    );
    assert_eq!(answer["deduplicated"], 1, "{answer}");
    let failed: Vec<u64> = answer["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| error["index"].as_u64().unwrap())
        .collect();
    assert_eq!(failed, [1, 3, 4, 5, 6], "{answer}");
    assert_eq!(home.rows().len(), 2);

    let many: Vec<Value> = (0..1001)
        .map(|i| json!({"text": format!("Memory {i}")}))
        .collect();
    let answer = mcp.call("batch_store_memories", json!({"memories": many}));
    assert_eq!(
        answer.error(),
        "Batch size exceeds maximum of 1000 memories"
    );
    assert_eq!(answer.value["status"], "failed", "{answer:?}");
    assert_eq!(
        home.rows().len(),
        2,
        "a batch that is too long was stored in part"
    );

    let empty = mcp
        .call("batch_store_memories", json!({"memories": []}))
        .ok();
    assert_eq!(empty["status"], "completed", "{empty}");
    assert_eq!(empty["total"], 0, "{empty}");
    let all_bad = mcp.call("batch_store_memories", json!({"memories": [{"text": ""}]}));
    assert!(all_bad.is_error, "{all_bad:?}");
    assert_eq!(all_bad.value["failed"], 1, "{all_bad:?}");
}

#[test]
fn any_text_is_a_query() {
    let home = Home::new("laptop");
    home.store("m", "The quick brown fox; DROP TABLE changes");
    let mut mcp = home.mcp();
    let long = "word ".repeat(5000);
    for query in [
        "\"",
        "'",
        "*",
        "AND",
        "NOT",
        "NEAR(a b)",
        "a AND",
        "(",
        ")",
        "text:fox",
        "-fox",
        "^fox",
        "'; DROP TABLE changes; --",
        "{}",
        "%",
        "\\",
        "\u{0}",
        "日本語",
        "🦀",
        "fox*",
        "a:b:c",
        "\"unclosed",
        long.as_str(),
    ] {
        let answer = mcp.call("search_memories", json!({"query": query})).ok();
        assert!(answer["results"].is_array(), "{query:?}: {answer}");
        let query = query.replace('\0', " ");
        home.run(&["search", "--json", "--", &query]).ended(0);
    }
    let found = mcp
        .call("search_memories", json!({"query": "fox; DROP TABLE"}))
        .ok();
    assert_eq!(found["results"][0]["memory_id"], "m", "{found}");
}

#[test]
fn every_wrong_setting_is_named_at_once() {
    let home = Home::new("laptop");
    let file = home.beside("akosha.toml");
    fs::write(
        &file,
        "max_retries = 99\nretry_backof_seconds = 1.0\nforce_method = \"pigeon\"\n\
         cloud_bucket = \"Not_A_Bucket\"\ncloud_endpoint = \"ftp://x\"\nchunk_size_mb = \"five\"\n",
    )
    .unwrap();
    let path = file.to_str().unwrap();
    let home = home
        .with("upload_timeout_seconds", "1")
        .with("system_id", "a.b/c\n");
    let check = home
        .run(&["config", "check", "--json", "--config", path])
        .ended(2)
        .json();
    assert_eq!(check["valid"], false, "{check}");
    let errors = check["errors"].as_array().unwrap();
    for (key, source) in [
        ("retry_backof_seconds", "akosha.toml"),
        ("force_method", "akosha.toml"),
        ("cloud_bucket", "akosha.toml"),
        ("cloud_endpoint", "akosha.toml"),
        ("chunk_size_mb", "akosha.toml"),
        ("upload_timeout_seconds", "AKOSHA_UPLOAD_TIMEOUT_SECONDS"),
        ("system_id", "AKOSHA_SYSTEM_ID"),
    ] {
        let error = errors.iter().find(|error| error["key"] == key);
        let error = error.unwrap_or_else(|| panic!("`{key}` is not named: {check:#}"));
        for part in ["value", "source", "message", "hint"] {
            assert!(!error[part].as_str().unwrap().is_empty(), "{error}");
        }
        assert!(
            error["source"].as_str().unwrap().contains(source),
            "{error}"
        );
    }
    let misspelt = errors
        .iter()
        .find(|error| error["key"] == "retry_backof_seconds")
        .unwrap();
    assert!(
        misspelt["hint"]
            .to_string()
            .contains("retry_backoff_seconds"),
        "{misspelt}"
    );
    // Commands that would act on it refuse, and name all of it, too.
    let run = home.run(&["sync", "--json", "--config", path]).ended(2);
    assert_eq!(
        run.json()["error"]["errors"].as_array().unwrap().len(),
        errors.len(),
        "{run:#?}"
    );
    home.run(&["store", "x", "--json", "--config", "/no/such/file.toml"])
        .ended(2)
        .error();
    fs::write(&file, "not = [toml").unwrap();
    home.run(&["sync", "--json", "--config", path])
        .ended(2)
        .error();
}

#[test]
fn a_damaged_database_is_named_and_left_as_it_is() {
    let home = Home::new("laptop");
    home.store("m", "Here before");
    let right = fs::read(home.database()).unwrap();
    for bytes in [b"this is no database, it is a text file. ".repeat(200), {
        let mut broken = right.clone();
        broken[..16].fill(b'?');
        broken
    }] {
        remove_log(&home);
        fs::write(home.database(), &bytes).unwrap();
        let error = refused(&home, &["store", "x"], 1, &["akosha.db"]);
        assert!(
            error["hint"].as_str().unwrap().contains("akosha pull"),
            "{error}"
        );
        refused(&home, &["status"], 1, &[]);
        assert!(
            fs::read(home.database()).unwrap() == bytes,
            "the damaged file was changed"
        );
        let mut mcp = home.mcp();
        let answer = mcp.call("store_memory", json!({"text": "x"}));
        assert!(answer.error().contains("akosha.db"), "{answer:?}");
        // Given the right file back, the running server works again.
        remove_log(&home);
        fs::write(home.database(), &right).unwrap();
        mcp.call("get_memory", json!({"memory_id": "m"})).ok();
        assert!(mcp.finish().0.success());
    }
    assert_eq!(home.rows().len(), 1);
}

fn remove_log(home: &Home) {
    for ending in ["db-wal", "db-shm"] {
        // SQLite removes them itself where the last process ended well.
        let _ = fs::remove_file(home.database().with_extension(ending));
    }
}

#[test]
fn damage_inside_the_database_is_an_error_and_no_wrong_answer() {
    let mut seed = Seed::new();
    let home = Home::new("laptop");
    let mut mcp = home.mcp();
    let memories = (0..300).map(|i| json!({"memory_id": format!("m{i}"), "text": seed.noise(500)}));
    mcp.store_all(memories.collect());
    assert!(mcp.finish().0.success());
    home.open_database()
        .execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")
        .unwrap();
    let mut bytes = fs::read(home.database()).unwrap();
    let pages = bytes.len() / 4096;
    for page in pages / 4..pages {
        bytes[page * 4096..page * 4096 + 64].fill(0xee);
    }
    remove_log(&home);
    fs::write(home.database(), &bytes).unwrap();
    let run = home.run(&["export", "--json"]);
    assert_eq!(run.code, Some(1), "{run:#?}");
    assert!(!run.stderr.contains("panicked"), "{run:#?}");
}

#[test]
fn a_newer_schema_is_refused_and_left_as_it_is() {
    let home = Home::new("laptop");
    home.store("m", "From the future");
    let db = home.open_database();
    let version: i64 = db
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .unwrap();
    db.pragma_update(None, "user_version", version + 1).unwrap();
    drop(db);
    for arguments in [&["store", "x"][..], &["list"], &["sync"], &["status"]] {
        let error = refused(&home, arguments, 1, &["schema"]);
        assert!(
            error["hint"].as_str().unwrap().contains("update"),
            "{error}"
        );
    }
    home.open_database()
        .pragma_update(None, "user_version", version)
        .unwrap();
    assert_eq!(home.ok(&["get", "m"])["text"], "From the future");
    assert_eq!(home.rows().len(), 1);
}

#[test]
fn a_home_that_cannot_be_is_named() {
    let home = Home::new("laptop");
    fs::write(home.root(), "a file").unwrap();
    let root = home.root();
    refused(&home, &["store", "x"], 1, &[root.to_str().unwrap()]);
    refused(&home, &["list"], 1, &[root.to_str().unwrap()]);
    let mut mcp = home.mcp();
    let answer = mcp.call("store_memory", json!({"text": "x"}));
    assert!(
        answer.error().contains(root.to_str().unwrap()),
        "{answer:?}"
    );
    assert!(mcp.finish().0.success());
}

/// Runs a command under a limit on the size of files: writes beyond it fail as on a full disk.
#[cfg(unix)]
fn with_file_limit(home: &Home, kilobytes: u64, arguments: &[&str], input: &[u8]) -> Run {
    // SIGXFSZ would end the process: ignored, the write fails with EFBIG.
    let script = format!("trap '' XFSZ; ulimit -f {kilobytes}; exec \"$0\" \"$@\"");
    let mut command = std::process::Command::new("bash");
    command.args(["-c", &script, env!("CARGO_BIN_EXE_akosha")]);
    Run::of(home.prepare(command, arguments), input)
}

#[cfg(unix)]
#[test]
fn a_full_disk_is_an_error_and_nothing_is_half_written() {
    let home = Home::new("laptop");
    home.store("m", "Here before the disk was full");
    let before = home.rows();
    let big = vec![b'x'; 1 << 20];
    let mut refusals = 0;
    for kilobytes in [0, 1, 8, 40, 100, 300, 600, 1100] {
        let run = with_file_limit(&home, kilobytes, &["store", "-", "--json"], &big);
        match run.code {
            Some(0) => break,
            Some(1) => refusals += 1,
            _ => panic!("at {kilobytes} kB: {run:#?}"),
        }
        run.error();
        assert_eq!(home.integrity(), "ok");
        assert!(
            home.rows() == before,
            "a part of it was stored at {kilobytes} kB"
        );
    }
    assert!(refusals >= 4, "the limit did not work: {refusals}");
    home.store("n", "There is room again");
    assert_eq!(home.rows().len(), before.len() + 1);
}

#[cfg(unix)]
#[test]
fn a_vault_on_a_full_disk_gets_nothing_half() {
    use crate::support::Vault;
    let mut seed = Seed::new();
    let vault = Vault::new();
    let home = Home::new("laptop")
        .with_folder(vault.root())
        .with("force_method", "cloud");
    let mut mcp = home.mcp();
    let memories =
        (0..200).map(|i| json!({"memory_id": format!("m{i}"), "text": seed.noise(5000)}));
    mcp.store_all(memories.collect());
    assert!(mcp.finish().0.success());
    for kilobytes in [1, 64, 400] {
        let run = with_file_limit(&home, kilobytes, &["sync", "--json"], b"");
        assert!(matches!(run.code, Some(1)), "{run:#?}");
        assert!(
            vault.uploads("laptop").is_empty(),
            "an upload is visible after: {run:#?}"
        );
    }
    home.expire_leases();
    assert_eq!(home.lag(), 200);
    home.ok(&["sync"]);
    vault.check("laptop");
    let fresh = Home::new("fresh").with_folder(vault.root());
    fresh.ok(&["pull"]);
    crate::support::assert_same("after the disk had room", &home.rows(), &fresh.rows());
}
