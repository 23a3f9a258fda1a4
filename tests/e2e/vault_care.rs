//! What the vault holds is proved, what is left over goes, what was lost comes back.

use std::fs;
use std::path::PathBuf;
use std::time::SystemTime;

use akosha_core::Sources;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::support::{Home, S3, Vault, assert_same};

fn now() -> DateTime<Utc> {
    Sources::system().clock.now()
}

/// Returns a machine with memories and a file in the vault, and the file.
fn machine(vault: &Vault) -> (Home, PathBuf) {
    let home = Home::new("laptop").with_folder(vault.root());
    let path = home.beside("notes.db");
    fs::write(&path, "a line of a file\n".repeat(1000)).unwrap();
    let home = home.with("files", path.to_str().unwrap());
    home.store("a", "the first memory");
    home.ok(&["sync"]);
    home.store("b", "the second memory");
    home.ok(&["sync"]);
    (home, path)
}

/// Returns the objects of a kind, such as `/segments/`.
fn objects(vault: &Vault, kind: &str) -> Vec<PathBuf> {
    let files = vault.files().into_keys();
    files
        .filter(|path| path.to_str().unwrap().contains(kind))
        .collect()
}

fn problems(report: &Value) -> Vec<&str> {
    let problems = report["problems"].as_array().unwrap().iter();
    problems
        .map(|problem| problem["key"].as_str().unwrap())
        .collect()
}

#[test]
fn what_is_wrong_is_found_and_named() {
    let vault = Vault::new();
    let (home, _) = machine(&vault);
    for more in [&[][..], &["--deep"]] {
        let verified = home.ok(&[&["vault", "verify"], more].concat());
        assert_eq!(verified["success"], true, "{verified}");
        assert_eq!(verified["uploads"], 3, "{verified}");
        assert_eq!(verified["objects"], 3, "{verified}");
        assert_eq!(
            verified["bytes_read"] == verified["bytes"],
            !more.is_empty()
        );
    }
    // A turned bit keeps the size: only a deep look finds it.
    for path in [objects(&vault, "/segments/"), objects(&vault, "/chunks/")].concat() {
        let whole = fs::read(&path).unwrap();
        let mut turned = whole.clone();
        let middle = turned.len() / 2;
        turned[middle] ^= 1;
        fs::write(&path, turned).unwrap();
        home.ok(&["vault", "verify"]);
        let verified = home.json(&["vault", "verify", "--deep"], 3);
        let name = path.file_name().unwrap().to_str().unwrap();
        assert_eq!(problems(&verified).len(), 1, "{verified}");
        assert!(problems(&verified)[0].ends_with(name), "{verified}");
        fs::write(&path, whole).unwrap();
    }
    let head = vault.system("laptop").join("head.json");
    let upload = &vault.uploads("laptop")[0].path;
    for path in [&objects(&vault, "/segments/")[0], &head, upload] {
        let whole = fs::read(path).unwrap();
        fs::write(path, "x").unwrap();
        let verified = home.json(&["vault", "verify"], 3);
        assert!(!problems(&verified).is_empty(), "{path:?}");
        fs::write(path, whole).unwrap();
    }
    home.ok(&["vault", "verify", "--deep"]);
}

#[test]
fn what_nothing_names_goes_and_nothing_else() {
    let vault = Vault::new();
    let (home, _) = machine(&vault);
    let folder = vault.system("laptop");
    let young = folder.join(format!("segments/{}.parquet", "a".repeat(64)));
    let old = folder.join(format!("segments/{}.parquet", "b".repeat(64)));
    let piece = folder.join(format!("chunks/cc/{}", "c".repeat(64)));
    fs::create_dir_all(piece.parent().unwrap()).unwrap();
    for path in [&young, &old, &piece] {
        fs::write(path, "left by a push that died").unwrap();
    }
    let long_ago = SystemTime::from(now() - TimeDelta::hours(30));
    for path in [&old, &piece] {
        let file = fs::File::options().write(true).open(path).unwrap();
        file.set_modified(long_ago).unwrap();
    }
    // What manifests name is old, too.
    for path in [objects(&vault, "/segments/"), objects(&vault, "/chunks/")].concat() {
        if path != young {
            let file = fs::File::options().write(true).open(&path).unwrap();
            file.set_modified(long_ago).unwrap();
        }
    }
    let before = vault.files();
    let counted = home.ok(&["vault", "gc", "--dry-run"]);
    assert_eq!(
        (&counted["removed"], &counted["kept"]),
        (&json!(2), &json!(1))
    );
    assert_eq!(vault.files(), before);
    let removed = home.ok(&["vault", "gc"]);
    assert_eq!(removed["removed"], 2, "{removed}");
    assert!(young.exists() && !old.exists() && !piece.exists());
    assert_eq!(vault.files().len(), before.len() - 2);
    home.ok(&["vault", "verify", "--deep"]);
    // Where a manifest cannot be read, nobody knows what it names.
    let manifest = vault.uploads("laptop")[0].path.clone();
    let whole = fs::read(&manifest).unwrap();
    fs::write(&manifest, "{}").unwrap();
    fs::write(&old, "left").unwrap();
    let file = fs::File::options().write(true).open(&old).unwrap();
    file.set_modified(long_ago).unwrap();
    let left = home.json(&["vault", "gc"], 3);
    assert_eq!(left["removed"], 0, "{left}");
    assert!(old.exists());
    fs::write(&manifest, whole).unwrap();
}

#[test]
fn a_push_waits_for_a_collection_and_another_one_is_refused() {
    let vault = Vault::new();
    let (home, _) = machine(&vault);
    let claim = vault.root().join("leases/gc");
    let ends = |seconds: i64| {
        let at = now() + TimeDelta::seconds(seconds);
        fs::create_dir_all(claim.parent().unwrap()).unwrap();
        let document = json!({ "holder": "another", "expires_at": at });
        fs::write(&claim, document.to_string()).unwrap();
    };
    ends(600);
    let refused = home.json(&["vault", "gc"], 1);
    assert_eq!(refused["error"]["kind"], "unavailable", "{refused}");
    home.store("c", "while a collection is at work");
    ends(2);
    let synced = home.ok(&["sync"]);
    assert!(
        synced["duration_seconds"].as_f64().unwrap() > 1.0,
        "{synced}"
    );
    // A collector that died holds nobody up.
    ends(-1);
    home.ok(&["vault", "gc"]);
    assert!(!claim.exists());
}

#[test]
fn what_was_lost_and_is_known_here_comes_back() {
    let s3 = S3::start();
    let vault = Vault::at(&s3.objects());
    let home = Home::new("laptop").with_s3(&s3);
    let path = home.beside("notes.db");
    fs::write(&path, "a line of a file\n".repeat(1000)).unwrap();
    let home = home.with("files", path.to_str().unwrap());
    home.store("a", "the first memory");
    home.ok(&["sync"]);
    home.store("secret", "to be erased");
    home.store("b", "beside what is erased");
    home.ok(&["sync"]);
    home.ok(&["forget", "secret", "--erase"]);
    home.ok(&["sync"]);
    for path in [objects(&vault, "/segments/"), objects(&vault, "/chunks/")].concat() {
        fs::remove_file(path).unwrap();
    }
    let broken = home.json(&["vault", "verify"], 3);
    assert_eq!(problems(&broken).len(), 4, "{broken}");
    let repaired = home.ok(&["vault", "repair"]);
    // The one with the erased memory cannot be the same again.
    assert_eq!(repaired["repaired"]["segments_restored"], 2, "{repaired}");
    assert_eq!(repaired["repaired"]["segments_resent"], 1, "{repaired}");
    assert_eq!(repaired["repaired"]["files_resent"], json!(["notes.db"]));
    let reader = Home::new("reader").with_s3(&s3);
    reader.json(&["pull"], 3);
    assert_same("memories", &home.export(), &reader.export());
    let to = reader.beside("back");
    let to = to.to_str().unwrap();
    reader.ok(&[
        "files", "fetch", "notes.db", "--system", "laptop", "--to", to,
    ]);
}
