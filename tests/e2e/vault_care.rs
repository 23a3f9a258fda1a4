//! Small uploads are merged, what is left over goes, what was lost comes back.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;

use crate::support::{Home, S3, Upload, Vault, assert_same};
use crate::vault_verify::{objects, problems};

fn with_notes(home: Home) -> Home {
    let path = home.beside("notes.db");
    fs::write(&path, "a line of a file\n".repeat(1000)).unwrap();
    home.with("files", path.to_str().unwrap())
}

/// Makes `count` small uploads, with a revision and a deletion in each.
fn make_uploads(home: &Home, from: usize, count: usize) {
    for number in from..from + count {
        home.store(&format!("m{number}"), &format!("Memory {number}"));
        home.store("revised", &format!("In its revision {number}"));
        home.store("short", "Of a short life");
        home.ok(&["forget", "short"]);
        home.ok(&["sync"]);
    }
}

fn uploads_of(vault: &Vault) -> Vec<PathBuf> {
    let uploads = vault.uploads("laptop").into_iter();
    uploads.map(|upload| upload.path).collect()
}

fn stands_for_others(upload: &Upload) -> bool {
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
