//! Files beside the memories: what changes is sent, once; what comes back is whole; a file that is
//! in the way, or damaged in the vault, is never half replaced.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Home, S3, Seed, Server, Vault, wait};

/// Returns bytes that do not compress.
fn random(seed: &mut Seed, length: usize) -> Vec<u8> {
    (0..length).map(|_| seed.below(256) as u8).collect()
}

/// Returns a machine that syncs `files`.
fn machine(vault: &Vault, files: &[&Path]) -> Home {
    let joined = std::env::join_paths(files).unwrap();
    Home::new("laptop")
        .with_folder(vault.root())
        .with("files", joined.to_str().unwrap())
}

/// Returns how many objects of pieces a vault holds.
fn pieces(vault: &Vault) -> usize {
    // A piece that is being written has another name, and does not count.
    let is_hash = |name: &str| name.len() == 64;
    let is_piece = |path: &&std::path::PathBuf| {
        let is_named = path.file_name().and_then(|name| name.to_str());
        path.to_str().unwrap().contains("/chunks/") && is_named.is_some_and(is_hash)
    };
    vault.files().keys().filter(is_piece).count()
}

#[test]
fn a_file_goes_out_once_and_comes_back_whole() {
    let mut seed = Seed::new();
    let vault = Vault::new();
    let folder = tempfile::tempdir().unwrap();
    let (big, text) = (
        folder.path().join("big.bin"),
        folder.path().join("notes.txt"),
    );
    let mut bytes = random(&mut seed, 12 << 20);
    fs::write(&big, &bytes).unwrap();
    fs::write(&text, "the same line\n".repeat(100_000)).unwrap();
    let home = machine(&vault, &[&big, &text]);
    home.store("m", "a memory beside the files");
    let first = home.ok(&["sync"]);
    assert_eq!(first["success"], true, "{first}");
    assert_eq!(first["memories_uploaded"], 1, "{first}");
    assert_eq!(first["files_uploaded"], json!(["big.bin", "notes.txt"]));
    let sent = first["bytes_transferred"].as_u64().unwrap();
    assert!((12 << 20..13 << 20).contains(&sent), "{first}");

    let before = vault.files();
    let idle = home.ok(&["sync"]);
    assert_eq!(idle["success"], true, "{idle}");
    assert_eq!(idle["bytes_transferred"], 0, "{idle}");
    assert_eq!(
        vault.files(),
        before,
        "nothing changed, so nothing is written"
    );

    let change = random(&mut seed, 1024);
    bytes.splice((6 << 20)..(6 << 20) + 1024, change);
    fs::write(&big, &bytes).unwrap();
    let again = home.ok(&["sync"]);
    assert_eq!(again["files_uploaded"], json!(["big.bin"]), "{again}");
    let sent = again["bytes_transferred"].as_u64().unwrap();
    assert!(sent < 6 << 20, "{again}");

    // A memory alone does not hide the files.
    home.store("n", "another memory");
    home.ok(&["sync"]);
    let reader = Home::new("reader").with_folder(vault.root());
    let listed = reader.ok(&["files", "list", "--system", "laptop"]);
    let names = |files: &Value| -> Vec<String> {
        let files = files["files"].as_array().unwrap().iter();
        files
            .map(|file| file["name"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(names(&listed), ["big.bin", "notes.txt"]);
    let to = reader.beside("back");
    let fetch = |name: &str, code: i32| {
        let to = to.to_str().unwrap();
        reader.json(
            &["files", "fetch", name, "--system", "laptop", "--to", to],
            code,
        )
    };
    assert_eq!(fetch("big.bin", 0)["files"][0]["outcome"], "fetched");
    assert_eq!(fs::read(to.join("big.bin")).unwrap(), bytes);
    assert_eq!(fetch("big.bin", 0)["files"][0]["outcome"], "unchanged");
    fs::write(to.join("big.bin"), "something else").unwrap();
    assert_eq!(fetch("big.bin", 4)["error"]["kind"], "conflict");
    assert_eq!(fs::read(to.join("big.bin")).unwrap(), b"something else");
    assert_eq!(fetch("unknown", 1)["error"]["kind"], "not_found");

    // A turned bit is found, named, and nothing appears.
    let listed = vault.uploads("laptop").into_iter().rev();
    let mut listed =
        listed.flat_map(|upload| upload.manifest["files"].as_array().cloned().unwrap());
    let file = listed.find(|file| file["name"] == "big.bin").unwrap();
    let sha256 = file["chunks"][0]["sha256"].as_str().unwrap();
    let path = vault
        .system("laptop")
        .join("chunks")
        .join(&sha256[..2])
        .join(sha256);
    let mut object = fs::read(&path).unwrap();
    let middle = object.len() / 2;
    object[middle] ^= 1;
    fs::write(&path, object).unwrap();
    fs::remove_file(to.join("big.bin")).unwrap();
    assert_eq!(fetch_code(&reader, "big.bin"), Some(1));
    let left = fs::read_dir(&to).map_or(0, Iterator::count);
    assert_eq!(left, 0, "half a file is left");
}

fn fetch_code(reader: &Home, name: &str) -> Option<i32> {
    let to = reader.beside("damaged");
    let to = to.to_str().unwrap();
    let run = reader.run(&["files", "fetch", name, "--system", "laptop", "--to", to]);
    if run.code == Some(1) {
        assert!(run.stderr.contains("/chunks/"), "{}", run.stderr);
    }
    run.code
}

#[test]
fn a_database_and_its_log_belong_together() {
    let vault = Vault::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("reflection.duckdb");
    let log = folder.path().join("reflection.duckdb.wal");
    fs::write(&path, "pages 1").unwrap();
    fs::write(&log, "rows that are in the log alone").unwrap();
    let home = machine(&vault, &[&path]);
    home.ok(&["sync"]);
    let to = home.beside("back");
    let fetch = |more: &[&str], code: i32| {
        let mut arguments = vec![
            "files",
            "fetch",
            "reflection.duckdb",
            "--to",
            to.to_str().unwrap(),
        ];
        arguments.extend(more);
        home.json(&arguments, code)
    };
    let fetched = fetch(&[], 0);
    assert_eq!(
        fetched["files"][1]["name"], "reflection.duckdb.wal",
        "{fetched}"
    );
    assert_eq!(
        fs::read(to.join("reflection.duckdb.wal")).unwrap(),
        fs::read(&log).unwrap()
    );
    // The database takes its log in. The old log beside the new pages would be applied twice.
    fs::write(&path, "pages 2 with the rows").unwrap();
    fs::remove_file(&log).unwrap();
    home.ok(&["sync"]);
    fetch(&[], 4);
    assert_eq!(fs::read(to.join("reflection.duckdb")).unwrap(), b"pages 1");
    let forced = fetch(&["--force"], 0);
    assert_eq!(forced["files"][1]["outcome"], "removed", "{forced}");
    assert_eq!(
        fs::read(to.join("reflection.duckdb")).unwrap(),
        fs::read(&path).unwrap()
    );
    assert!(!to.join("reflection.duckdb.wal").exists());
}

#[test]
fn one_file_that_cannot_be_synced_stops_only_itself() {
    let vault = Vault::new();
    let folder = tempfile::tempdir().unwrap();
    let (good, gone) = (folder.path().join("good.db"), folder.path().join("gone.db"));
    fs::write(&good, "content").unwrap();
    let home = machine(&vault, &[&good, &gone]);
    home.store("m", "a memory");
    let synced = home.json(&["sync"], 3);
    assert_eq!(synced["success"], false, "{synced}");
    assert_eq!(synced["memories_uploaded"], 1, "{synced}");
    assert_eq!(synced["files_uploaded"], json!(["good.db"]), "{synced}");
    assert!(
        synced["error"].as_str().unwrap().contains("gone.db"),
        "{synced}"
    );
    assert_eq!(home.lag(), 0);
    // It appears.
    fs::write(&gone, "late").unwrap();
    let synced = home.ok(&["sync"]);
    assert_eq!(synced["files_uploaded"], json!(["gone.db"]), "{synced}");
}

#[test]
fn pieces_that_were_sent_before_a_kill_are_not_sent_again() {
    let mut seed = Seed::new();
    let vault = Vault::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("big.bin");
    let bytes = random(&mut seed, 48 << 20);
    fs::write(&path, &bytes).unwrap();
    let home = machine(&vault, &[&path]);
    let mut midway = 0;
    for _ in 0..20 {
        let mut command = home.command(&["sync"]);
        let mut child = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let before = pieces(&vault);
        for _ in 0..2000 {
            if pieces(&vault) > before + 3 {
                break;
            }
            thread::sleep(Duration::from_millis(2));
        }
        child.kill().unwrap();
        wait(&mut child, Duration::from_secs(10));
        if !vault.uploads("laptop").is_empty() {
            break;
        }
        midway += usize::from(pieces(&vault) > 0);
        if midway == 3 {
            break;
        }
        home.expire_leases();
    }
    assert!(midway > 0, "no sync was killed midway");
    let left = pieces(&vault);
    home.expire_leases();
    let synced = home.ok(&["sync"]);
    assert_eq!(synced["success"], true, "{synced}");
    assert!(
        synced["bytes_deduplicated"].as_u64().unwrap() > 0,
        "{left} pieces: {synced}"
    );
    let sent = synced["bytes_transferred"].as_u64().unwrap();
    assert!(sent < bytes.len() as u64, "{synced}");
    let to = home.beside("back");
    home.ok(&["files", "fetch", "big.bin", "--to", to.to_str().unwrap()]);
    assert_eq!(fs::read(to.join("big.bin")).unwrap(), bytes);
}

#[test]
fn settings_of_compression_may_change_between_syncs() {
    let mut seed = Seed::new();
    let s3 = S3::start();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.txt");
    let mut text = "a line that compresses well\n".repeat(200_000).into_bytes();
    let mut home = Home::new("laptop")
        .with_s3(&s3)
        .with("files", path.to_str().unwrap());
    let steps = [
        ("compression", "zstd"),
        ("compression", "gzip"),
        ("enable_compression", "false"),
        ("enable_deduplication", "false"),
        ("enable_compression", "true"),
    ];
    for (at, (key, value)) in steps.into_iter().enumerate() {
        home.set(key, value);
        text.extend(random(&mut seed, 100_000));
        fs::write(&path, &text).unwrap();
        home.ok(&["sync"]);
        let to = home.beside(&format!("back-{at}"));
        home.ok(&["files", "fetch", "notes.txt", "--to", to.to_str().unwrap()]);
        assert!(
            fs::read(to.join("notes.txt")).unwrap() == text,
            "{key} = {value}"
        );
    }
}

#[test]
fn a_vault_that_lost_everything_gets_everything_again() {
    let vault = Vault::new();
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (folder.path().join("one.db"), folder.path().join("two.db"));
    fs::write(&one, "one").unwrap();
    fs::write(&two, "two").unwrap();
    let home = machine(&vault, &[&one, &two]);
    home.store("m", "a memory");
    home.ok(&["sync"]);
    fs::remove_dir_all(vault.root()).unwrap();
    // Nothing at all changes.
    let synced = home.ok(&["sync"]);
    assert_eq!(synced["memories_uploaded"], 1, "{synced}");
    assert_eq!(synced["files_uploaded"], json!(["one.db", "two.db"]));
    home.ok(&["vault", "verify", "--deep"]);
    fs::remove_dir_all(vault.root()).unwrap();
    // Nothing but a file changes.
    fs::write(&one, "one, changed").unwrap();
    let synced = home.ok(&["sync"]);
    assert_eq!(synced["memories_uploaded"], 1, "{synced}");
    assert_eq!(synced["files_uploaded"], json!(["one.db", "two.db"]));
    let reader = Home::new("reader").with_folder(vault.root());
    assert_eq!(reader.ok(&["pull"])["memories_added"], 1);
    // A piece alone is lost.
    let piece = vault
        .files()
        .into_keys()
        .find(|path| path.to_str().unwrap().contains("/chunks/"));
    fs::remove_file(piece.unwrap()).unwrap();
    fs::write(&one, "one, changed again").unwrap();
    fs::write(&two, "two, changed").unwrap();
    home.ok(&["sync"]);
    for (name, path) in [("one.db", &one), ("two.db", &two)] {
        let to = home.beside("back");
        home.ok(&["files", "fetch", name, "--to", to.to_str().unwrap()]);
        assert_eq!(fs::read(to.join(name)).unwrap(), fs::read(path).unwrap());
    }
}

#[test]
fn files_wait_for_the_vault_and_the_sync_says_so() {
    let server = Server::start("server");
    let vault = Vault::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.db");
    fs::write(&path, "content").unwrap();
    // A file stands where the vault's folder would be.
    fs::write(vault.root(), "no folder").unwrap();
    let home = machine(&vault, &[&path]).with("akosha_url", server.url());
    home.store("m", "a memory");
    let synced = home.json(&["sync"], 3);
    assert_eq!(synced["memories_uploaded"], 1, "{synced}");
    assert_eq!(synced["success"], false, "{synced}");
    assert!(
        synced["error"].as_str().unwrap().contains("notes.db"),
        "{synced}"
    );
    let again = home.json(&["sync"], 3);
    assert_eq!(again["success"], false, "{again}");
    fs::remove_file(vault.root()).unwrap();
    let synced = home.ok(&["sync"]);
    assert_eq!(synced["files_uploaded"], json!(["notes.db"]), "{synced}");
    // Without a vault they have no place at all.
    let mut home = home;
    home.set("cloud_bucket", "");
    home.store("n", "another memory");
    let synced = home.json(&["sync"], 3);
    assert!(
        synced["error"].as_str().unwrap().contains("notes.db"),
        "{synced}"
    );
}
