//! The loop: remember on one machine, sync, find it on another.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::{Home, S3, Seed, Vault, assert_same};

#[test]
fn memories_travel_through_a_folder() {
    let vault = Vault::new();
    loop_over(vault.root(), |system| {
        Home::new(system).with_folder(vault.root())
    });
}

#[test]
fn memories_travel_through_s3() {
    let s3 = S3::start();
    loop_over(&s3.objects(), |system| Home::new(system).with_s3(&s3));
}

#[test]
fn memories_travel_below_a_prefix() {
    let s3 = S3::start();
    let prefix = s3.objects().join("team/one");
    loop_over(&prefix, |system| {
        Home::new(system)
            .with_s3(&s3)
            .with("cloud_prefix", "team/one")
    });
}

fn loop_over(vault: &Path, machine: impl Fn(&str) -> Home) {
    let vault = Vault::at(vault);
    let (a, b) = (machine("laptop-a"), machine("laptop-b"));
    let count = remember(&a);
    assert_eq!(a.lag(), count);

    let pushed = a.ok(&["sync"]);
    assert_eq!(pushed["success"], true, "{pushed}");
    assert_eq!(pushed["method"], "cloud", "{pushed}");
    assert_eq!(pushed["memories_uploaded"], count, "{pushed}");
    assert_eq!(pushed["errors"], json!([]), "{pushed}");
    assert_eq!(pushed["triggered_by"], "manual", "{pushed}");
    assert_eq!(vault.rows("laptop-a"), count);
    assert_eq!(vault.head("laptop-a")["upload_id"], pushed["upload_id"]);
    assert_is_upload_id(&pushed["upload_id"], "laptop-a");
    let status = a.ok(&["status"]);
    assert_eq!(status["lag"]["unsynced_memories"], 0, "{status}");
    assert_eq!(
        status["vault"]["last_upload_id"], pushed["upload_id"],
        "{status}"
    );
    assert!(status["vault"]["verified_at"].is_string(), "{status}");

    let pulled = b.ok(&["pull"]);
    assert_eq!(pulled["success"], true, "{pulled}");
    assert_eq!(pulled["uploads_merged"], 1, "{pulled}");
    assert_eq!(pulled["memories_added"], count, "{pulled}");
    assert_same("after the first pull", &a.export(), &b.export());
    assert_same("every revision", &a.rows(), &b.rows());
    let found = b.ok(&["search", "why did we choose the blue database"]);
    assert_eq!(found["results"][0]["memory_id"], "decision", "{found}");
    assert_eq!(found["results"][0]["system_id"], "laptop-a", "{found}");

    change(&a);
    let before = vault.files().len();
    let pushed = a.ok(&["sync"]);
    assert_eq!(pushed["memories_uploaded"], 3, "{pushed}");
    assert!(vault.files().len() > before);
    let pulled = b.ok(&["pull"]);
    assert_eq!(pulled["uploads_merged"], 1, "{pulled}");
    assert_same("after the changes", &a.export(), &b.export());
    assert_eq!(
        texts(&a, "decision"),
        ["The blue database was too slow", FIRST]
    );
    assert_eq!(texts(&b, "decision"), texts(&a, "decision"));
    let found = b.ok(&["search", "secret recipe"]);
    assert_eq!(found["results"], json!([]), "{found}");
    let rows = b.rows();
    let erased: Vec<_> = rows
        .iter()
        .filter(|row| row.memory_id == "erased")
        .collect();
    assert!(
        !erased.is_empty() && erased.iter().all(|row| !row.text.contains("recipe")),
        "{erased:#?}"
    );

    nothing_to_do(&vault, &a, &b);

    // The other way round, and a machine does not send what it got.
    b.store("from-b", "The second machine remembers this");
    assert_eq!(b.ok(&["sync"])["memories_uploaded"], 1);
    assert_eq!(a.ok(&["pull"])["memories_added"], 1);
    assert_same("both ways", &a.export(), &b.export());
    assert_eq!(a.ok(&["sync"])["memories_uploaded"], 0);
    vault.check("laptop-a");
    vault.check("laptop-b");
}

const FIRST: &str = "We chose the blue database because it starts fast";

/// Stores memories of all kinds; returns how many.
fn remember(home: &Home) -> u64 {
    let mut seed = Seed::new();
    let mut mcp = home.mcp();
    mcp.store("decision", FIRST);
    mcp.store(
        "forgotten",
        "This one is given up later: the secret recipe is salt",
    );
    mcp.store(
        "erased",
        "This one is erased later: the other secret recipe is pepper",
    );
    mcp.store_all(vec![
        json!({"memory_id": "größe/Ω 1", "text": "naïve café, 日本語, emoji 🦀, \u{200b}"}),
        json!({"memory_id": "dated", "text": "Made long ago", "metadata": {
            "created_at": "2001-02-03T04:05:06", "source": "session-buddy", "tags": ["x", "y z"],
            "project": "shop", "nested": {"a": [1, 2.5, null, true], "b": {"c": "d"}}}}),
        json!({"memory_id": "vector", "text": "Has numbers", "embedding": seed.embedding()}),
        json!({"memory_id": "lines", "text": "one\ntwo\r\n\t\"quoted\" \\ 'and' $(not) \u{1f}"}),
        json!({"memory_id": "long", "text": seed.noise(1 << 20)}),
        json!({"memory_id": "metadata", "text": "m", "metadata": {"big": seed.noise(100_000)}}),
    ]);
    let (status, _) = mcp.finish();
    assert!(status.success());
    let made = home.ok(&[
        "store",
        "An id was made for this",
        "--tag",
        "one",
        "--project",
        "p",
    ]);
    assert_eq!(made["status"], "stored");
    10
}

fn change(home: &Home) {
    assert_eq!(
        home.store("decision", "The blue database was too slow")["revision"],
        2
    );
    home.ok(&["forget", "forgotten"]);
    home.ok(&["forget", "erased", "--erase"]);
}

fn nothing_to_do(vault: &Vault, a: &Home, b: &Home) {
    let (files, rows) = (vault.files(), b.rows());
    let pushed = a.ok(&["sync"]);
    assert_eq!(pushed["success"], true, "{pushed}");
    assert_eq!(pushed["error"], Value::Null, "{pushed}");
    assert_eq!(pushed["upload_id"], Value::Null, "{pushed}");
    for count in [
        "memories_uploaded",
        "bytes_transferred",
        "bytes_deduplicated",
    ] {
        assert_eq!(pushed[count], 0, "{pushed}");
    }
    assert!(
        vault.files() == files,
        "a sync of nothing wrote into the vault"
    );
    for _ in 0..2 {
        let pulled = b.ok(&["pull"]);
        assert_eq!(pulled["success"], true, "{pulled}");
        for count in [
            "uploads_merged",
            "memories_added",
            "memories_updated",
            "memories_skipped",
        ] {
            assert_eq!(pulled[count], 0, "{pulled}");
        }
    }
    assert_same("a pull of nothing", &rows, &b.rows());
}

/// Returns the texts of a memory's revisions, newest first.
fn texts(home: &Home, memory_id: &str) -> Vec<String> {
    let history = home.ok(&["history", memory_id]);
    let mut revisions = history["revisions"].as_array().unwrap().clone();
    revisions.sort_by_key(|memory| -memory["revision"].as_i64().unwrap());
    revisions
        .iter()
        .map(|memory| memory["text"].as_str().unwrap().to_owned())
        .collect()
}

fn assert_is_upload_id(id: &Value, system: &str) {
    let id = id.as_str().unwrap();
    let (time, rest) = id.split_at(15);
    assert!(
        time.chars()
            .enumerate()
            .all(|(at, c)| (at == 8) == (c == '_')),
        "{id}"
    );
    let hex = rest.strip_prefix(&format!("_{system}_")).unwrap();
    assert!(
        hex.len() == 6 && hex.bytes().all(|b| b.is_ascii_hexdigit()),
        "{id}"
    );
}

#[test]
fn only_changed_rows_travel() {
    let mut seed = Seed::new();
    let vault = Vault::new();
    let home = Home::new("laptop").with_folder(vault.root());
    let mut mcp = home.mcp();
    let memory =
        |seed: &mut Seed, i: usize| json!({"memory_id": format!("m{i}"), "text": seed.noise(2000)});
    mcp.store_all((0..1000).map(|i| memory(&mut seed, i)).collect());
    let first = mcp.call("sync_to_akosha", json!({})).ok();
    assert_eq!(first["memories_uploaded"], 1000, "{first}");
    let first_size = vault.size();
    assert!(first_size > 1_000_000, "{first_size}");

    mcp.store_all(
        (0..1000)
            .step_by(100)
            .map(|i| memory(&mut seed, i))
            .collect(),
    );
    let second = mcp.call("sync_to_akosha", json!({})).ok();
    assert_eq!(second["memories_uploaded"], 10, "{second}");
    let grown = vault.size() - first_size;
    assert!(
        grown * 100 < first_size * 4,
        "1 % changed: {grown} bytes after {first_size}"
    );
    for (report, size) in [(&first, first_size), (&second, grown)] {
        let told = report["bytes_transferred"].as_u64().unwrap();
        assert!(
            told.abs_diff(size) < 4096,
            "{told} bytes told, {size} written"
        );
    }
}

#[test]
fn one_system_can_be_pulled_alone() {
    let vault = Vault::new();
    for system in ["one", "two"] {
        let home = Home::new(system).with_folder(vault.root());
        home.store("m", system);
        home.ok(&["sync"]);
    }
    let reader = Home::new("reader").with_folder(vault.root());
    assert_eq!(reader.ok(&["pull", "--system", "two"])["memories_added"], 1);
    assert_eq!(reader.rows()[0].system_id, "two");
    assert_eq!(reader.ok(&["pull"])["memories_added"], 1);
    // The same id in two systems: each is asked for by its system.
    let run = reader.run(&["get", "m", "--json"]).ended(2);
    let message = run.error()["message"].to_string();
    assert!(
        message.contains("one") && message.contains("two"),
        "{message}"
    );
    assert_eq!(reader.ok(&["get", "m", "--system", "one"])["text"], "one");
}

#[test]
fn what_came_and_went_before_its_first_sync_is_not_counted_as_new() {
    let vault = Vault::new();
    let home = Home::new("laptop").with_folder(vault.root());
    home.store("kept", "Stays");
    home.store("gone", "Soon forgotten");
    home.ok(&["forget", "gone"]);
    home.ok(&["sync"]);
    let reader = Home::new("reader").with_folder(vault.root());
    let pulled = reader.ok(&["pull"]);
    assert_eq!(pulled["memories_added"], 1, "{pulled}");
    assert_eq!(pulled["memories_updated"], 0, "{pulled}");
    assert_eq!(reader.ok(&["status"])["store"]["memories"], 1);
    // Nor where it went with a later upload of the same pull.
    home.store("later", "Forgotten after it was synced");
    home.ok(&["sync"]);
    home.ok(&["forget", "later"]);
    home.ok(&["sync"]);
    let pulled = reader.ok(&["pull"]);
    assert_eq!(pulled["uploads_merged"], 2, "{pulled}");
    assert_eq!(pulled["memories_added"], 0, "{pulled}");
    assert_eq!(pulled["memories_updated"], 0, "{pulled}");
    home.ok(&["forget", "kept"]);
    home.ok(&["sync"]);
    assert_eq!(reader.ok(&["pull"])["memories_updated"], 1);
}

#[test]
fn every_upload_of_a_sync_is_named() {
    let vault = Vault::new();
    let mut home = Home::new("former").with_folder(vault.root());
    home.store("m", "Under the id that the machine had");
    home.set("system_id", "present");
    home.store("n", "Under the id that it has");
    let pushed = home.ok(&["sync"]);
    let ids: Vec<&str> = pushed["upload_ids"]
        .as_array()
        .unwrap()
        .iter()
        .map(|id| id.as_str().unwrap())
        .collect();
    assert_eq!(ids.len(), 2, "{pushed}");
    assert_eq!(pushed["upload_id"], ids[1], "{pushed}");
    let made: Vec<_> = ["former", "present"]
        .iter()
        .flat_map(|system| vault.uploads(system))
        .collect();
    assert!(
        made.iter().all(|upload| ids.contains(&upload.id())),
        "{made:#?}"
    );
    home.store("o", "One upload");
    let text = home.run(&["sync"]).ended(0).stdout;
    assert_eq!(text.matches("upload 20").count(), 1, "{text}");
}
