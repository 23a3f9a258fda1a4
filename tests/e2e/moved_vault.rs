//! A vault that lies at another address than before, or that was put back to an earlier state, is
//! gone on with; a copy of a home is still found out.

use std::fs;
use std::path::Path;

use crate::support::{Home, S3, Vault, assert_same};

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Checks that a vault has every row of a home, once, and that a reader gets them.
fn whole(home: &Home, vault: &Vault, reader: &Home) {
    vault.check("laptop");
    assert_eq!(vault.rows("laptop"), home.rows().len() as u64);
    reader.ok(&["pull"]);
    assert_same("what arrived", &home.rows(), &reader.rows());
}

#[test]
fn a_moved_folder_is_gone_on_with() {
    let old = Vault::new();
    let mut home = Home::new("laptop").with_folder(old.root());
    for i in 0..3 {
        home.store(&format!("m{i}"), "Before the move");
        home.ok(&["sync"]);
    }
    let new = Vault::at(&home.beside("moved"));
    fs::rename(old.root(), new.root()).unwrap();
    home = home.with_folder(new.root());
    let nothing = home.ok(&["sync"]);
    assert_eq!(nothing["memories_uploaded"], 0, "{nothing}");
    home.store("n", "After the move");
    let pushed = home.ok(&["sync"]);
    assert_eq!(pushed["memories_uploaded"], 1, "{pushed}");
    whole(&home, &new, &Home::new("reader").with_folder(new.root()));

    // After an adoption, too: then the epoch is not 0.
    let other = Home::new("laptop").with_folder(new.root());
    other.store("x", "From another machine");
    other.ok(&["machines", "adopt"]);
    other.ok(&["sync"]);
    home.ok(&["machines", "adopt"]);
    let third = Vault::at(&home.beside("moved again"));
    fs::rename(new.root(), third.root()).unwrap();
    home = home.with_folder(third.root());
    home.store("o", "After another move");
    assert_eq!(home.ok(&["sync"])["memories_uploaded"], 1);
    third.check("laptop");
}

#[test]
fn a_bucket_by_another_name_of_its_service_is_gone_on_with() {
    let s3 = S3::start();
    let mut home = Home::new("laptop").with_s3(&s3);
    home.store("m", "By one name");
    home.ok(&["sync"]);
    let endpoint = s3.endpoint().replace("127.0.0.1", "localhost");
    assert_ne!(endpoint, s3.endpoint());
    home.set("cloud_endpoint", endpoint);
    home.store("n", "By another name");
    assert_eq!(home.ok(&["sync"])["memories_uploaded"], 1);
    // And back.
    home.set("cloud_endpoint", s3.endpoint());
    home.store("o", "By the first name again");
    assert_eq!(home.ok(&["sync"])["memories_uploaded"], 1);
    let reader = Home::new("reader").with_s3(&s3);
    whole(&home, &Vault::at(&s3.objects()), &reader);
}

#[test]
fn a_vault_that_was_put_back_gets_what_it_lost() {
    let vault = Vault::new();
    let home = Home::new("laptop").with_folder(vault.root());
    home.store("m", "In the backup");
    home.ok(&["sync"]);
    let backup = home.beside("backup");
    copy(vault.root(), &backup);
    for i in 0..2 {
        home.store(&format!("n{i}"), "After the backup");
        home.ok(&["sync"]);
    }
    let reader = Home::new("reader").with_folder(vault.root());
    reader.ok(&["pull"]);
    fs::remove_dir_all(vault.root()).unwrap();
    copy(&backup, vault.root());
    home.store("o", "After the vault was put back");
    let pushed = home.ok(&["sync"]);
    assert_eq!(pushed["memories_uploaded"], 3, "{pushed}");
    for reader in [reader, Home::new("fresh").with_folder(vault.root())] {
        whole(&home, &vault, &reader);
    }
}

#[test]
fn a_moved_vault_that_lost_a_segment_gets_everything_again() {
    let old = Vault::new();
    let home = Home::new("laptop").with_folder(old.root());
    home.store("m", "Lost in the move");
    home.ok(&["sync"]);
    let new = Vault::at(&home.beside("moved"));
    fs::rename(old.root(), new.root()).unwrap();
    let lost = new.uploads("laptop")[0].segments()[0]["path"].clone();
    fs::remove_file(new.root().join(lost.as_str().unwrap())).unwrap();
    let home = home.with_folder(new.root());
    assert_eq!(home.ok(&["sync"])["memories_uploaded"], 1);
    let reader = Home::new("reader").with_folder(new.root());
    // The same rows are the same segment, so the upload before is whole again, too.
    reader.ok(&["pull"]);
    assert_same("everything", &home.rows(), &reader.rows());
}

#[test]
fn a_home_that_was_put_back_is_found_out_wherever_the_vault_lies() {
    let old = Vault::new();
    let home = Home::new("laptop").with_folder(old.root());
    home.store("m", "In the backup of the home");
    home.ok(&["sync"]);
    let copy = home.copy();
    home.store("n", "After the backup");
    home.ok(&["sync"]);
    let new = Vault::at(&home.beside("moved"));
    fs::rename(old.root(), new.root()).unwrap();
    let copy = copy.with_folder(new.root());
    copy.store("o", "By the copy");
    let before = new.files();
    let refused = copy.json(&["sync"], 4);
    let error = refused["error"].as_str().unwrap();
    assert!(error.contains("copy of this home"), "{refused}");
    // Not even where it has pulled what the other one wrote.
    copy.ok(&["pull"]);
    copy.json(&["sync"], 4);
    assert!(new.files() == before, "the vault was changed");
    let home = home.with_folder(new.root());
    home.store("p", "By the original");
    home.ok(&["sync"]);
    new.check("laptop");
}
