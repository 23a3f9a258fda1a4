//! What a vault has lost, and a home still knows, comes back.

use std::fs;
use std::path::PathBuf;

use serde_json::json;

use crate::support::{Home, S3, Upload, Vault, assert_same};
use crate::vault_care::{make_uploads, stands_for_others, uploads_of, with_notes};
use crate::vault_verify::{objects, problems};

#[test]
fn what_was_lost_and_is_known_here_comes_back() {
    let s3 = S3::start();
    let vault = Vault::at(&s3.objects());
    let home = with_notes(Home::new("laptop").with_s3(&s3));
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
    let answer = home.ok(&["vault", "repair"]);
    let repaired = &answer["repaired"];
    // The one with the erased memory cannot be the same again.
    assert_eq!(repaired["segments_restored"], 2, "{repaired}");
    assert_eq!(repaired["uploads_replaced"], 1, "{repaired}");
    assert_eq!(repaired["memories_resent"], 1, "{repaired}");
    assert_eq!(repaired["files_resent"], json!(["notes.db"]));
    home.ok(&["vault", "verify", "--deep"]);
    let reader = Home::new("reader").with_s3(&s3);
    let pulled = reader.ok(&["pull"]);
    assert_eq!(pulled["quarantined"], json!([]), "{pulled}");
    assert_same("memories", &home.export(), &reader.export());
    let to = reader.beside("back");
    let to = to.to_str().unwrap();
    reader.ok(&[
        "files", "fetch", "notes.db", "--system", "laptop", "--to", to,
    ]);
    let again = home.ok(&["vault", "repair", "--deep"]);
    assert_eq!(again["repaired"]["bytes_transferred"], 0, "{again}");
}

#[test]
fn whatever_is_damaged_or_gone_a_repair_makes_it_whole() {
    for encryption in ["off", "on"] {
        for damage in ["turn", "cut", "remove"] {
            let vault = Vault::new();
            let home = with_notes(Home::new("laptop").with_folder(vault.root()));
            home.ok(&["key", "create"]);
            let home = home.with("encryption", encryption);
            make_uploads(&home, 0, 4);
            let all = vault.files().into_keys();
            let objects = all.filter(|path| {
                let is_lock = path.extension().is_some_and(|name| name == "lock");
                path.to_str().unwrap().contains("systems/") && !is_lock
            });
            for path in objects.map(|path| vault.root().join(path)) {
                if !path.exists() {
                    // An earlier repair has put another one in its place.
                    continue;
                }
                let whole = fs::read(&path).unwrap();
                let middle = whole.len() / 2;
                match damage {
                    "turn" => {
                        let mut turned = whole;
                        turned[middle] ^= 1;
                        fs::write(&path, turned).unwrap();
                    }
                    "cut" => fs::write(&path, &whole[..middle]).unwrap(),
                    _ => fs::remove_file(&path).unwrap(),
                }
                let what = format!("{damage} {path:?}, encryption {encryption}");
                let found = home.run(&["vault", "verify", "--deep", "--json"]);
                let is_named = found.code == Some(3);
                // The head has a few bits that mean nothing, such as those of its time.
                assert!(is_named || path.ends_with("head.json"), "{what}");
                let answer = home.run(&["vault", "repair", "--deep", "--json"]);
                assert_eq!(answer.code, Some(0), "{what}: {answer:?}");
                let fresh = Home::new("fresh")
                    .with_folder(vault.root())
                    .with("encryption", encryption);
                fresh.ok(&["status"]);
                fs::copy(
                    home.root().join("keys.json"),
                    fresh.root().join("keys.json"),
                )
                .unwrap();
                let pulled = fresh.ok(&["pull"]);
                assert_eq!(pulled["quarantined"], json!([]), "{what}: {pulled}");
                assert_same(&what, &home.rows(), &fresh.rows());
                let to = fresh.beside("back");
                let to = to.to_str().unwrap();
                fresh.ok(&[
                    "files", "fetch", "notes.db", "--system", "laptop", "--to", to,
                ]);
            }
        }
    }
}

#[test]
fn a_repair_leaves_alone_what_others_wrote() {
    let vault = Vault::new();
    let home = Home::new("laptop").with_folder(vault.root());
    let other = Home::new("desktop").with_folder(vault.root());
    make_uploads(&home, 0, 2);
    make_uploads(&other, 0, 2);
    other.ok(&["vault", "verify"]);
    for upload in vault.uploads("desktop") {
        let key = upload.segments()[0]["path"].as_str().unwrap().to_owned();
        fs::remove_file(vault.root().join(key)).unwrap();
    }
    let before = vault.files();
    home.ok(&["vault", "repair"]);
    assert_eq!(vault.files(), before);
    other.ok(&["vault", "repair"]);
    home.ok(&["vault", "verify"]);
    // A home that lost its key must not take what it cannot read for broken.
    home.ok(&["key", "create"]);
    let home = home.with("encryption", "on");
    make_uploads(&home, 2, 2);
    let keys = home.root().join("keys.json");
    let aside = home.beside("keys.json");
    fs::rename(&keys, &aside).unwrap();
    home.ok(&["key", "create"]);
    let before: Vec<PathBuf> = uploads_of(&vault);
    // Nobody else may have what those hold: it goes out again, under the key that is here.
    let repaired = home.json(&["vault", "repair"], 3);
    assert_eq!(repaired["repaired"]["memories_resent"], 8, "{repaired}");
    let after = uploads_of(&vault);
    assert!(before.iter().all(|path| after.contains(path)));
    let again = home.json(&["vault", "repair"], 3);
    assert_eq!(again["repaired"]["memories_resent"], 0, "{again}");
}

#[test]
fn a_file_that_only_the_vault_has_stays_listed() {
    let vault = Vault::new();
    let mut home = with_notes(Home::new("laptop").with_folder(vault.root()));
    make_uploads(&home, 0, 2);
    let lists = |upload: &Upload| !upload.manifest["files"].as_array().unwrap().is_empty();
    let listing = vault.uploads("laptop").into_iter().find(lists).unwrap();
    fs::remove_file(home.beside("notes.db")).unwrap();
    home.set("files", "");
    fs::write(&listing.path, "damaged").unwrap();
    home.ok(&["vault", "repair"]);
    home.ok(&["vault", "gc", "--grace-hours", "0"]);
    home.ok(&["vault", "gc", "--grace-hours", "0"]);
    let to = home.beside("back");
    let to = to.to_str().unwrap();
    home.ok(&["files", "fetch", "notes.db", "--to", to]);
}

#[test]
fn a_head_of_a_newer_format_stays() {
    let vault = Vault::new();
    let home = Home::new("laptop").with_folder(vault.root());
    make_uploads(&home, 0, 1);
    let path = vault.system("laptop").join("head.json");
    let newer = fs::read_to_string(&path)
        .unwrap()
        .replace("\"1.0\"", "\"2.0\"");
    fs::write(&path, &newer).unwrap();
    for arguments in [["vault", "repair"], ["vault", "gc"]] {
        let refused = home.json(&arguments, 1);
        let message = refused["error"]["message"].as_str().unwrap();
        assert!(message.contains("2.0"), "{refused}");
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), newer);
}

#[test]
fn a_merged_upload_that_is_lost_again_takes_nothing_with_it() {
    let vault = Vault::new();
    let home = Home::new("laptop").with_folder(vault.root());
    make_uploads(&home, 0, 3);
    let collect = ["vault", "gc", "--grace-hours", "0", "--merge-from", "2"];
    home.ok(&["vault", "gc", "--merge-from", "2"]);
    let merged = vault.uploads("laptop").into_iter().find(stands_for_others);
    let merged = merged.unwrap();
    let key = merged.segments()[0]["path"].as_str().unwrap().to_owned();
    fs::remove_file(vault.root().join(key)).unwrap();
    // So that it cannot be made again as it was.
    home.ok(&["forget", "m0", "--erase"]);
    home.ok(&["sync"]);
    home.ok(&["vault", "repair"]);
    for _ in 0..4 {
        home.ok(&collect);
    }
    home.ok(&["vault", "verify", "--deep"]);
    let fresh = Home::new("fresh").with_folder(vault.root());
    fresh.ok(&["pull"]);
    assert_same("memories", &home.export(), &fresh.export());
}

#[test]
fn a_home_without_files_repairs_any_damaged_manifest() {
    for which in 0..3 {
        let vault = Vault::new();
        let home = Home::new("laptop").with_folder(vault.root());
        make_uploads(&home, 0, 3);
        fs::write(&vault.uploads("laptop")[which].path, "damaged").unwrap();
        home.ok(&["vault", "repair"]);
        home.ok(&["vault", "gc", "--grace-hours", "0", "--merge-from", "2"]);
        let fresh = Home::new("fresh").with_folder(vault.root());
        fresh.ok(&["pull"]);
        assert_same("every revision, once", &home.rows(), &fresh.rows());
    }
}

#[test]
fn a_damaged_head_of_a_vault_that_was_moved_is_written_again() {
    let vault = Vault::new();
    let mut home = Home::new("laptop").with_folder(vault.root());
    make_uploads(&home, 0, 3);
    let moved = home.beside("moved");
    fs::rename(vault.root(), &moved).unwrap();
    fs::write(moved.join("systems/laptop/head.json"), "x").unwrap();
    home.set("cloud_bucket", format!("file://{}", moved.display()));
    home.store("m3", "After the move");
    home.json(&["sync"], 1);
    home.ok(&["vault", "repair"]);
    let fresh = Home::new("fresh").with_folder(&moved);
    fresh.ok(&["pull"]);
    assert_same("every revision, once", &home.rows(), &fresh.rows());
}

#[test]
fn a_damaged_manifest_that_may_list_files_stays() {
    let vault = Vault::new();
    let mut home = with_notes(Home::new("laptop").with_folder(vault.root()));
    make_uploads(&home, 0, 1);
    let lists = |upload: &Upload| !upload.manifest["files"].as_array().unwrap().is_empty();
    let listing = vault.uploads("laptop").into_iter().find(lists).unwrap();
    fs::remove_file(home.beside("notes.db")).unwrap();
    home.set("files", "");
    // A moved vault: this home does not know any more what it pushed there.
    let moved = home.beside("moved");
    fs::rename(vault.root(), &moved).unwrap();
    home.set("cloud_bucket", format!("file://{}", moved.display()));
    make_uploads(&home, 1, 1);
    let path = moved.join(listing.path.strip_prefix(vault.root()).unwrap());
    let whole = fs::read(&path).unwrap();
    fs::write(&path, "damaged").unwrap();
    home.json(&["vault", "repair"], 3);
    home.json(&["vault", "gc", "--grace-hours", "0"], 3);
    fs::write(&path, whole).unwrap();
    let to = home.beside("back");
    let to = to.to_str().unwrap();
    home.ok(&["files", "fetch", "notes.db", "--to", to]);
}

#[test]
fn a_moved_vault_whose_key_is_lost_gets_everything_again() {
    let vault = Vault::new();
    let mut home = Home::new("laptop").with_folder(vault.root());
    home.ok(&["key", "create"]);
    home.set("encryption", "on");
    make_uploads(&home, 0, 2);
    let moved = home.beside("moved");
    fs::rename(vault.root(), &moved).unwrap();
    home.set("cloud_bucket", format!("file://{}", moved.display()));
    fs::remove_file(home.root().join("keys.json")).unwrap();
    home.ok(&["key", "create"]);
    home.store("m2", "Under the new key");
    home.json(&["sync"], 2);
    // What the lost key sealed stays, and is named; everything is there under the new one.
    home.json(&["vault", "repair"], 3);
    assert_eq!(home.lag(), 0);
    let mut fresh = Home::new("fresh").with_folder(&moved);
    fresh.set("encryption", "on");
    fresh.ok(&["status"]);
    fs::copy(
        home.root().join("keys.json"),
        fresh.root().join("keys.json"),
    )
    .unwrap();
    fresh.json(&["pull"], 3);
    assert_same("every revision, once", &home.rows(), &fresh.rows());
}
