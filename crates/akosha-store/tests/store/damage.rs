//! Homes and files that are not what they should be.

use std::fs;
use std::path::Path;

use akosha_core::ErrorKind;
use akosha_store::{Home, Store, StoreError, StoreOptions};
use rusqlite::Connection;

use crate::support::{store, system};

fn open(folder: &Path) -> Result<Store, StoreError> {
    Store::open(&Home::new(folder), StoreOptions::new(system("here")))
}

#[test]
fn a_newer_schema_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()).unwrap());
    let database = folder.path().join("akosha.db");
    let raw = Connection::open(&database).unwrap();
    raw.pragma_update(None, "user_version", 999).unwrap();
    drop(raw);
    let before = fs::read(&database).unwrap();
    let error = open(folder.path()).unwrap_err();
    assert!(
        matches!(error, StoreError::NewerSchema { found: 999, .. }),
        "{error}"
    );
    assert!(error.hint().unwrap().contains("update akosha"));
    assert_eq!(fs::read(&database).unwrap(), before);
}

#[test]
fn a_file_that_is_no_database_is_refused_and_left_alone() {
    let garbage: Vec<u8> = (0..20_000_u32).map(|i| (i * 7 % 251) as u8).collect();
    for content in [garbage, b"hello".to_vec(), vec![0; 4096]] {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("akosha.db");
        fs::write(&database, &content).unwrap();
        let error = open(folder.path()).unwrap_err();
        assert!(matches!(error, StoreError::Damaged { .. }), "{error:?}");
        assert_eq!(error.kind(), ErrorKind::Data);
        assert!(error.to_string().contains("akosha.db"), "{error}");
        assert_eq!(fs::read(&database).unwrap(), content);
    }
}

/// Fills a home and returns its database, whole and without a log.
fn filled(folder: &Path) -> Vec<u8> {
    let store = store();
    for i in 0..500 {
        store.remember(&format!("m{i}"), &format!("text {i} {}", "x".repeat(200)));
    }
    let database = store.home().database();
    let raw = Connection::open(&database).unwrap();
    raw.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        .unwrap();
    drop(raw);
    let whole = fs::read(database).unwrap();
    fs::write(folder.join("akosha.db"), &whole).unwrap();
    whole
}

#[test]
fn a_truncated_database_is_told_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let whole = filled(folder.path());
    let database = folder.path().join("akosha.db");
    assert!(open(folder.path()).is_ok());
    for keep in [50, 4096, whole.len() / 2, whole.len() - 4096] {
        for log in ["akosha.db-wal", "akosha.db-shm"] {
            let _ = fs::remove_file(folder.path().join(log));
        }
        fs::write(&database, &whole[..keep]).unwrap();
        let outcome = open(folder.path()).and_then(|store| {
            for i in 0..500 {
                store.get(&format!("m{i}").parse().unwrap(), None)?;
            }
            Ok(())
        });
        match outcome {
            Err(error) => {
                assert!(
                    matches!(error, StoreError::Damaged { .. }),
                    "{keep}: {error:?}"
                );
                assert!(error.hint().unwrap().contains("akosha pull"));
            }
            Ok(()) => panic!("{keep} of {} bytes passed for a store", whole.len()),
        }
        assert_eq!(fs::read(&database).unwrap(), whole[..keep], "{keep}");
    }
}

#[test]
fn a_damaged_page_is_told_by_the_call_that_meets_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut whole = filled(folder.path());
    let half = whole.len() / 2;
    whole[half..half + 40_000].fill(0xa5);
    fs::write(folder.path().join("akosha.db"), &whole).unwrap();
    let outcome = open(folder.path()).and_then(|store| {
        store.for_each::<StoreError>(&akosha_store::Filter::default(), |_| Ok(()))
    });
    let error = outcome.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Data, "{error:?}");
}

#[test]
fn a_home_below_a_file_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "x").unwrap();
    for home in [file.clone(), file.join("home")] {
        let error = open(&home).unwrap_err();
        assert!(matches!(error, StoreError::Home { .. }), "{error:?}");
        assert_eq!(error.kind(), ErrorKind::Storage);
        assert!(error.to_string().contains("file"), "{error}");
        assert!(error.hint().unwrap().contains("--home"));
    }
}

#[test]
fn a_database_that_is_a_folder_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("akosha.db")).unwrap();
    let error = open(folder.path()).unwrap_err();
    assert!(matches!(error, StoreError::NotWritable { .. }), "{error:?}");
}

#[cfg(unix)]
#[test]
fn a_new_home_belongs_to_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("a/b");
    open(&home).unwrap();
    let mode = fs::metadata(&home).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

/// Needs a small file system, which only an administrator can mount; `AKOSHA_SMALL_DISK` names
/// one of at most 8 MiB.
#[test]
fn a_full_disk_is_told_and_loses_nothing() {
    let Some(disk) = std::env::var_os("AKOSHA_SMALL_DISK") else {
        eprintln!("SKIPPED: set AKOSHA_SMALL_DISK to a folder on a file system of 8 MiB");
        return;
    };
    let folder = tempfile::tempdir_in(disk).unwrap();
    let store = open(folder.path()).unwrap();
    let mut stored = 0;
    let error = loop {
        let text = format!("{stored} {}", "x".repeat(100_000));
        let new = crate::support::memory(&format!("m{stored}"), &text);
        match store.put(&system("here"), &new, akosha_core::IngestionMethod::Local) {
            Ok(_) => stored += 1,
            Err(error) => break error,
        }
        assert!(stored < 10_000, "the disk is not small");
    };
    assert!(matches!(error, StoreError::DiskFull), "{error:?}");
    drop(store);
    let store = open(folder.path()).unwrap();
    assert_eq!(store.stats().unwrap().memories, stored);
}
