//! What the vault holds is proved, and what it lacks is named.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::support::{Home, Vault};

/// Returns a machine with memories and a file in the vault.
fn machine(vault: &Vault) -> Home {
    let home = Home::new("laptop").with_folder(vault.root());
    let path = home.beside("notes.db");
    fs::write(&path, "a line of a file\n".repeat(1000)).unwrap();
    let home = home.with("files", path.to_str().unwrap());
    home.store("a", "the first memory");
    home.ok(&["sync"]);
    home.store("b", "the second memory");
    home.ok(&["sync"]);
    home
}

/// Returns the objects of a kind, such as `/segments/`.
pub(crate) fn objects(vault: &Vault, kind: &str) -> Vec<PathBuf> {
    let files = vault.files().into_keys();
    files
        .filter(|path| path.to_str().unwrap().contains(kind))
        .collect()
}

pub(crate) fn problems(report: &Value) -> Vec<&str> {
    let problems = report["problems"].as_array().unwrap().iter();
    problems
        .map(|problem| problem["key"].as_str().unwrap())
        .collect()
}

#[test]
fn what_is_wrong_is_found_and_named() {
    let vault = Vault::new();
    let home = machine(&vault);
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
fn what_this_home_pushed_and_the_vault_lacks_is_named() {
    let vault = Vault::new();
    let home = machine(&vault);
    let uploads = vault.uploads("laptop");
    let folder = uploads[1].path.parent().unwrap();
    fs::remove_dir_all(folder).unwrap();
    let verified = home.json(&["vault", "verify"], 3);
    assert!(!problems(&verified).is_empty(), "{verified}");
    fs::remove_dir_all(vault.root()).unwrap();
    let verified = home.json(&["vault", "verify"], 3);
    assert!(
        problems(&verified)[0].ends_with("manifest.json"),
        "{verified}"
    );
    // Who never pushed there misses nothing.
    let reader = Home::new("reader").with_folder(vault.root());
    assert_eq!(reader.ok(&["vault", "verify"])["uploads"], 0);
}

#[test]
fn what_a_pull_would_set_aside_is_a_problem() {
    let vault = Vault::new();
    let home = machine(&vault);
    let reader = Home::new("reader")
        .with_folder(vault.root())
        .with("require_signatures", "true");
    assert_eq!(problems(&reader.json(&["vault", "verify"], 3)).len(), 3);
    home.ok(&["vault", "verify"]);
}
