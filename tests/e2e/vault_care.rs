//! Small uploads are merged, what is left over goes.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;

use crate::support::{Home, S3, Upload, Vault, assert_same};
use crate::vault_verify::{objects, problems};

pub(crate) fn with_notes(home: Home) -> Home {
    let path = home.beside("notes.db");
    fs::write(&path, "a line of a file\n".repeat(1000)).unwrap();
    home.with("files", path.to_str().unwrap())
}

/// Makes `count` small uploads, with a revision and a deletion in each.
pub(crate) fn make_uploads(home: &Home, from: usize, count: usize) {
    for number in from..from + count {
        home.store(&format!("m{number}"), &format!("Memory {number}"));
        home.store("revised", &format!("In its revision {number}"));
        home.store("short", "Of a short life");
        home.ok(&["forget", "short"]);
        home.ok(&["sync"]);
    }
}

pub(crate) fn uploads_of(vault: &Vault) -> Vec<PathBuf> {
    let uploads = vault.uploads("laptop").into_iter();
    uploads.map(|upload| upload.path).collect()
}

pub(crate) fn stands_for_others(upload: &Upload) -> bool {
    upload.manifest["replaces"].is_array()
}

fn make_old(path: &Path) {
    let written = fs::metadata(path).unwrap().modified().unwrap();
    let long_ago = written - Duration::from_hours(30);
    let file = fs::File::options().write(true).open(path).unwrap();
    file.set_modified(long_ago).unwrap();
}

#[test]
fn small_uploads_are_merged_and_go_after_the_grace() {
    let vault = Vault::new();
    let home = with_notes(Home::new("laptop").with_folder(vault.root()));
    let follower = Home::new("follower").with_folder(vault.root());
    make_uploads(&home, 0, 34);
    follower.ok(&["pull"]);
    let before = vault.uploads("laptop").len();
    assert_eq!(before, 35, "34 of memories, one of a file");

    let merged = home.ok(&["vault", "gc"]);
    assert_eq!(merged["uploads_merged"], 34, "{merged}");
    assert_eq!(merged["uploads_removed"], 0, "none is old enough: {merged}");
    assert_eq!(vault.uploads("laptop").len(), 36);
    home.ok(&["vault", "verify", "--deep"]);
    // Who has what was merged has nothing to fetch.
    let pulled = follower.ok(&["pull"]);
    assert_eq!(pulled["uploads_merged"], 1, "{pulled}");
    let stands = vault
        .uploads("laptop")
        .into_iter()
        .find(stands_for_others)
        .unwrap();
    let manifest = fs::metadata(&stands.path).unwrap().len();
    assert_eq!(pulled["bytes_transferred"], manifest, "{pulled}");

    let removed = home.ok(&["vault", "gc", "--grace-hours", "0"]);
    assert_eq!(removed["uploads_removed"], 34, "{removed}");
    assert_eq!(removed["removed"], 0, "readers may be at them: {removed}");
    assert_eq!(vault.uploads("laptop").len(), 2);
    assert_eq!(objects(&vault, "inbox/").len(), 2);
    home.ok(&["vault", "verify", "--deep"]);
    let removed = home.ok(&["vault", "gc", "--grace-hours", "0"]);
    assert_eq!(removed["removed"], 34, "{removed}");
    assert_eq!(objects(&vault, "/segments/").len(), 1);
    let again = home.ok(&["vault", "gc", "--grace-hours", "0"]);
    assert_eq!(
        (
            &again["uploads_merged"],
            &again["uploads_removed"],
            &again["removed"]
        ),
        (&json!(0), &json!(0), &json!(0))
    );

    let fresh = Home::new("fresh").with_folder(vault.root());
    fresh.ok(&["pull"]);
    assert_same("every revision, once", &home.rows(), &fresh.rows());
    let to = fresh.beside("back");
    let to = to.to_str().unwrap();
    fresh.ok(&[
        "files", "fetch", "notes.db", "--system", "laptop", "--to", to,
    ]);

    // It goes on from there, and what stands for others is merged again.
    make_uploads(&home, 34, 32);
    home.ok(&["vault", "gc", "--grace-hours", "0"]);
    home.ok(&["vault", "gc", "--grace-hours", "0"]);
    assert_eq!(vault.uploads("laptop").len(), 2);
    home.ok(&["vault", "verify", "--deep"]);
    let pulled = fresh.ok(&["pull"]);
    assert_eq!(pulled["quarantined"], json!([]), "{pulled}");
    follower.ok(&["pull"]);
    for reader in [&fresh, &follower] {
        assert_same("every revision, once", &home.rows(), &reader.rows());
    }
    let synced = home.ok(&["sync"]);
    assert_eq!(synced["upload_ids"], json!([]), "{synced}");
}

#[test]
fn what_is_merged_has_no_trace_of_what_was_erased() {
    let vault = Vault::new();
    let home = Home::new("laptop").with_folder(vault.root());
    home.store("secret", "to be erased");
    home.ok(&["sync"]);
    make_uploads(&home, 0, 32);
    home.ok(&["forget", "secret", "--erase"]);
    home.ok(&["sync"]);
    home.store("secret", "another text");
    home.ok(&["sync"]);
    home.ok(&["vault", "gc", "--grace-hours", "0"]);
    home.ok(&["vault", "gc", "--grace-hours", "0"]);
    home.ok(&["vault", "gc", "--grace-hours", "0"]);
    let uploads = vault.uploads("laptop");
    assert_eq!(uploads.len(), 1);
    let fresh = Home::new("fresh").with_folder(vault.root());
    fresh.ok(&["pull"]);
    assert_same("memories", &home.export(), &fresh.export());
    assert_eq!(
        vault.rows("laptop"),
        32 * 4 + 2,
        "the erasure and what came after it, without what it erased"
    );
    let texts: Vec<String> = fresh.rows().iter().map(|row| format!("{row:?}")).collect();
    assert!(!texts.concat().contains("to be erased"));
}

#[test]
fn an_encrypted_vault_is_merged_under_the_present_key() {
    let s3 = S3::start();
    let vault = Vault::at(&s3.objects());
    let home = Home::new("laptop").with_s3(&s3);
    make_uploads(&home, 0, 16);
    home.ok(&["key", "create"]);
    let home = home.with("encryption", "on");
    make_uploads(&home, 16, 16);
    let merged = home.ok(&["vault", "gc"]);
    assert_eq!(merged["uploads_merged"], 32, "{merged}");
    home.ok(&["vault", "gc", "--grace-hours", "0"]);
    home.ok(&["vault", "gc", "--grace-hours", "0"]);
    let uploads = vault.uploads("laptop");
    assert_eq!(uploads.len(), 1);
    assert!(uploads[0].manifest["encryption"].is_object());
    home.ok(&["vault", "verify", "--deep"]);
}

#[test]
fn a_background_sync_cares_for_the_vault() {
    let vault = Vault::new();
    let home = Home::new("laptop").with_folder(vault.root());
    make_uploads(&home, 0, 32);
    home.store("last", "The last one");
    home.ok(&["sync", "--background"]);
    home.wait_until_quiet(Duration::from_secs(30));
    let stands = |upload: &Upload| upload.manifest["replaces"].as_array().map_or(0, Vec::len);
    let merged: usize = vault.uploads("laptop").iter().map(stands).sum();
    assert_eq!(merged, 33);
    home.ok(&["vault", "verify", "--deep"]);
}

#[test]
fn what_nothing_names_goes_and_nothing_else() {
    let vault = Vault::new();
    let home = with_notes(Home::new("laptop").with_folder(vault.root()));
    make_uploads(&home, 0, 2);
    let folder = vault.system("laptop");
    let young = folder.join(format!("segments/{}.parquet", "a".repeat(64)));
    let old = folder.join(format!("segments/{}.parquet", "b".repeat(64)));
    let piece = folder.join(format!("chunks/cc/{}", "c".repeat(64)));
    fs::create_dir_all(piece.parent().unwrap()).unwrap();
    for path in [&young, &old, &piece] {
        fs::write(path, "left by a push that died").unwrap();
    }
    // What manifests name is old, too.
    for path in [objects(&vault, "/segments/"), objects(&vault, "/chunks/")].concat() {
        if path != young {
            make_old(&path);
        }
    }
    let before = vault.files();
    let counted = home.ok(&["vault", "gc", "--dry-run"]);
    assert_eq!(
        (&counted["removed"], &counted["kept"]),
        (&json!(2), &json!(1)),
        "{counted}"
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
    make_old(&old);
    let left = home.json(&["vault", "gc"], 3);
    assert_eq!(left["removed"], 0, "{left}");
    assert!(old.exists());
    fs::write(&manifest, whole).unwrap();
    // Nor where another machine writes.
    let other = home.copy();
    home.store("more", "From one of the two");
    home.ok(&["sync"]);
    other.json(&["vault", "gc"], 4);
    assert!(old.exists());
    home.ok(&["vault", "gc"]);
    assert!(!old.exists());
}

#[test]
fn nothing_is_merged_or_removed_where_something_is_missing() {
    let vault = Vault::new();
    let home = with_notes(Home::new("laptop").with_folder(vault.root()));
    make_uploads(&home, 0, 6);
    let collect = ["vault", "gc", "--grace-hours", "0", "--merge-from", "2"];
    let uploads = vault.system("laptop").join("uploads");
    let aside = vault.root().join("aside");
    // One is gone, and all are, as where a folder is not wholly there yet.
    for which in [vault.uploads("laptop")[2].path.clone(), uploads.clone()] {
        fs::rename(&which, &aside).unwrap();
        let segments = objects(&vault, "/segments/");
        let left = home.json(&collect, 3);
        assert_eq!(left["uploads_merged"], 0, "{left}");
        assert_eq!(objects(&vault, "/segments/"), segments);
        assert!(!problems(&left).is_empty(), "{left}");
        fs::rename(&aside, &which).unwrap();
    }
    let lost = vault.uploads("laptop")[2].path.clone();
    fs::remove_file(lost).unwrap();
    home.ok(&["vault", "repair"]);
    home.ok(&collect);
    home.ok(&collect);
    let fresh = Home::new("fresh").with_folder(vault.root());
    fresh.ok(&["pull"]);
    assert_same("every revision, once", &home.rows(), &fresh.rows());
}

#[test]
fn what_is_sealed_is_not_merged_in_the_clear() {
    let vault = Vault::new();
    let mut home = Home::new("laptop").with_folder(vault.root());
    home.ok(&["key", "create"]);
    home.set("encryption", "on");
    make_uploads(&home, 0, 4);
    home.set("encryption", "off");
    let collect = ["vault", "gc", "--grace-hours", "0", "--merge-from", "2"];
    let merged = home.ok(&collect);
    assert_eq!(merged["uploads_merged"], 0, "{merged}");
    let segment = objects(&vault, "/segments/").remove(0);
    let whole = fs::read(&segment).unwrap();
    fs::write(&segment, "damaged").unwrap();
    fs::remove_file(&vault.uploads("laptop")[0].path).unwrap();
    let refused = home.json(&["vault", "repair"], 2);
    let message = refused["error"]["message"].as_str().unwrap();
    assert!(message.contains("in the clear"), "{refused}");
    home.set("encryption", "on");
    home.ok(&["vault", "repair"]);
    assert!(!whole.is_empty());
    for upload in vault.uploads("laptop") {
        assert!(upload.manifest["encryption"].is_object());
    }
}

#[test]
fn a_system_that_was_taken_over_keeps_its_files() {
    let vault = Vault::new();
    let first = with_notes(Home::new("laptop").with_folder(vault.root()));
    make_uploads(&first, 0, 2);
    let second = Home::new("laptop").with_folder(vault.root());
    second.ok(&["pull"]);
    second.ok(&["machines", "adopt"]);
    make_uploads(&second, 2, 4);
    let collect = ["vault", "gc", "--grace-hours", "0", "--merge-from", "2"];
    for _ in 0..3 {
        second.ok(&collect);
    }
    second.ok(&["vault", "verify", "--deep"]);
    let listed = second.ok(&["files", "list"]);
    assert_eq!(listed["files"][0]["name"], "notes.db", "{listed}");
    let fresh = Home::new("fresh").with_folder(vault.root());
    fresh.ok(&["pull"]);
    assert_same("every revision, once", &second.rows(), &fresh.rows());
}

#[test]
fn an_id_that_another_machine_has_now_is_left_to_it() {
    let vault = Vault::new();
    let mut home = Home::new("former").with_folder(vault.root());
    make_uploads(&home, 0, 2);
    home.set("system_id", "present");
    make_uploads(&home, 2, 3);
    let other = Home::new("former").with_folder(vault.root());
    other.ok(&["pull"]);
    other.ok(&["machines", "adopt"]);
    make_uploads(&other, 5, 1);
    let collect = ["vault", "gc", "--grace-hours", "0", "--merge-from", "2"];
    let before = vault.uploads("former").len();
    let collected = home.ok(&collect);
    assert_eq!(collected["uploads_merged"], 3, "{collected}");
    home.ok(&["vault", "repair"]);
    assert_eq!(vault.uploads("former").len(), before);
}
