//! The behaviour that every kind of vault has: one suite, run against each.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail as tests do")]

#[path = "support/s3.rs"]
mod s3;
#[path = "support/vaults.rs"]
mod vaults;

use std::collections::BTreeSet;

use akosha_core::{ErrorKind, SystemId, UploadId, WriterId, time};
use akosha_sync::ContentHash;
use akosha_sync::vault::{
    Created, CurrentHead, Expected, Head, NoJournal, Swap, Vault, VaultError, VaultKey,
};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use vaults::Fixture;

/// Makes one test per behaviour and kind of vault.
macro_rules! suite {
    ($($behaviour:ident),* $(,)?) => {
        mod folder {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $behaviour() {
                super::$behaviour(super::Fixture::folder()).await;
            })*
        }
        mod bucket {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $behaviour() {
                super::$behaviour(super::Fixture::bucket().await).await;
            })*
        }
    };
}

suite! {
    nothing_is_there_before_the_first_write,
    what_is_put_is_read_back,
    reading_is_bounded,
    downloads_are_checked,
    large_files_go_in_parts,
    creation_changes_nothing_that_exists,
    one_of_many_creators_wins,
    a_head_moves_only_from_what_was_seen,
    one_of_many_swaps_wins,
    listings_go_beyond_one_page,
    listings_tell_systems_and_uploads_apart,
    deletion_can_be_repeated,
    the_vault_is_available,
}

fn system() -> SystemId {
    "laptop".parse().unwrap()
}

fn upload(number: u32) -> UploadId {
    format!("20260102_030405_laptop_{number:06x}")
        .parse()
        .unwrap()
}

fn segment(bytes: &[u8]) -> VaultKey {
    VaultKey::segment(&system(), ContentHash::of(bytes))
}

async fn nothing_is_there_before_the_first_write(fixture: Fixture) {
    let vault = &fixture.vault;
    let key = segment(b"x");
    let missing = vault.get(&key, 10).await.unwrap_err();
    assert_eq!(
        missing,
        VaultError::NotFound {
            key: key.to_string()
        }
    );
    assert_eq!(missing.kind(), ErrorKind::NotFound);
    assert_eq!(vault.size_of(&key).await, Ok(None));
    assert_eq!(vault.read_head(&system()).await, Ok(None));
    assert_eq!(vault.list_systems().await, Ok(BTreeSet::new()));
    assert_eq!(vault.list_uploads(&system()).count().await, 0);
    assert_eq!(vault.delete(&key).await, Ok(()));
    fixture.assert_untouched();
}

async fn what_is_put_is_read_back(fixture: Fixture) {
    let vault = &fixture.vault;
    let long = vec![7; 100_000];
    for bytes in [&b""[..], b"x", &long] {
        let key = segment(bytes);
        vault.put(&key, Bytes::from_static(b"other")).await.unwrap();
        vault.put(&key, bytes.to_vec().into()).await.unwrap();
        assert_eq!(vault.get(&key, 100_000).await.unwrap(), bytes);
        assert_eq!(vault.size_of(&key).await, Ok(Some(bytes.len() as u64)));
    }
    fixture.assert_private();
}

async fn reading_is_bounded(fixture: Fixture) {
    let key = segment(b"four");
    fixture
        .vault
        .put(&key, Bytes::from_static(b"four"))
        .await
        .unwrap();
    assert!(fixture.vault.get(&key, 4).await.is_ok());
    let error = fixture.vault.get(&key, 3).await.unwrap_err();
    assert!(
        matches!(
            error,
            VaultError::TooLarge {
                size: 4,
                limit: 3,
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(error.kind(), ErrorKind::Data);
}

async fn downloads_are_checked(fixture: Fixture) {
    let vault = &fixture.vault;
    let bytes = vec![9; 3 << 20];
    let right = Expected {
        sha256: ContentHash::of(&bytes),
        size_bytes: bytes.len() as u64,
    };
    let key = segment(&bytes);
    vault.put(&key, bytes.clone().into()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let downloaded = vault.download(&key, right, folder.path()).await.unwrap();
    assert!(std::fs::read(&downloaded.path).unwrap() == bytes);
    drop(downloaded);
    for wrong in [
        Expected {
            sha256: ContentHash::of(b"other"),
            ..right
        },
        Expected {
            size_bytes: right.size_bytes + 1,
            ..right
        },
        Expected {
            size_bytes: right.size_bytes - 1,
            ..right
        },
    ] {
        let error = vault
            .download(&key, wrong, folder.path())
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Data, "{error}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    let nowhere = folder.path().join("missing");
    let error = vault.download(&key, right, &nowhere).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Storage, "{error}");
}

async fn large_files_go_in_parts(fixture: Fixture) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("segment");
    for len in [0, 5 << 20, (5 << 20) + 1, 17 << 20] {
        let bytes: Vec<u8> = (0..len).map(|at: usize| (at / 1000) as u8).collect();
        std::fs::write(&file, &bytes).unwrap();
        let key = segment(&bytes);
        fixture
            .vault
            .put_file(&key, &file, &NoJournal)
            .await
            .unwrap();
        let expected = Expected {
            sha256: ContentHash::of(&bytes),
            size_bytes: len as u64,
        };
        fixture
            .vault
            .download(&key, expected, folder.path())
            .await
            .unwrap();
    }
    let missing = folder.path().join("missing");
    let error = fixture
        .vault
        .put_file(&segment(b"x"), &missing, &NoJournal)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Storage);
}

async fn creation_changes_nothing_that_exists(fixture: Fixture) {
    let vault = &fixture.vault;
    let key = VaultKey::manifest(&system(), &upload(1));
    let create = async |bytes: &'static [u8]| vault.create(&key, Bytes::from_static(bytes)).await;
    assert_eq!(create(b"first").await, Ok(Created::Created));
    // As after an answer that was lost.
    assert_eq!(create(b"first").await, Ok(Created::Created));
    for other in [&b"other"[..], b"", b"a longer one"] {
        assert_eq!(create(other).await, Ok(Created::AlreadyThere));
    }
    assert_eq!(vault.get(&key, 100).await.unwrap(), &b"first"[..]);
    assert_eq!(vault.warnings(), Vec::<String>::new());
}

async fn one_of_many_creators_wins(fixture: Fixture) {
    let key = VaultKey::lease(&upload(1));
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..12 {
        let (vault, key) = (fixture.another(), key.clone());
        tasks.spawn(async move {
            let bytes = Bytes::from(format!("replica {number}"));
            vault.create(&key, bytes).await.unwrap()
        });
    }
    let outcomes = tasks.join_all().await;
    let winners = outcomes
        .iter()
        .filter(|outcome| **outcome == Created::Created);
    assert_eq!(winners.count(), 1);
}

fn head(number: u32, epoch: i64) -> Head {
    Head {
        upload_id: upload(number),
        system_id: system(),
        writer_id: "01ARZ3NDEKTSV4RRFFQ69G5FAV".parse::<WriterId>().unwrap(),
        epoch,
        updated_at: time::parse("2026-01-02T03:04:05Z").unwrap(),
    }
}

async fn current(vault: &Vault) -> CurrentHead {
    vault.read_head(&system()).await.unwrap().unwrap()
}

async fn a_head_moves_only_from_what_was_seen(fixture: Fixture) {
    let vault = &fixture.vault;
    assert_eq!(vault.swap_head(None, &head(1, 0)).await, Ok(Swap::Swapped));
    let first = current(vault).await;
    assert_eq!(first.head, head(1, 0));
    // As after an answer that was lost.
    assert_eq!(vault.swap_head(None, &head(1, 0)).await, Ok(Swap::Swapped));
    let lost = Swap::Lost {
        current: Some(first.clone()),
    };
    assert_eq!(vault.swap_head(None, &head(2, 0)).await, Ok(lost));
    let swapped = vault.swap_head(Some(&first.version), &head(2, 1)).await;
    assert_eq!(swapped, Ok(Swap::Swapped));
    let second = current(vault).await;
    assert_eq!(second.head, head(2, 1));
    let lost = Swap::Lost {
        current: Some(second),
    };
    assert_eq!(
        vault.swap_head(Some(&first.version), &head(3, 1)).await,
        Ok(lost)
    );
    vault.delete(&VaultKey::head(&system())).await.unwrap();
    let lost = Swap::Lost { current: None };
    assert_eq!(
        vault.swap_head(Some(&first.version), &head(3, 1)).await,
        Ok(lost)
    );
    // A head that cannot be read is named and not replaced.
    vault
        .put(&VaultKey::head(&system()), Bytes::from_static(b"{}"))
        .await
        .unwrap();
    let error = vault.read_head(&system()).await.unwrap_err();
    assert!(matches!(error, VaultError::Damaged { .. }), "{error}");
    assert!(vault.swap_head(None, &head(4, 1)).await.is_err());
}

async fn one_of_many_swaps_wins(fixture: Fixture) {
    fixture.vault.swap_head(None, &head(0, 0)).await.unwrap();
    for round in 1..4 {
        let seen = current(&fixture.vault).await.version;
        let mut tasks = tokio::task::JoinSet::new();
        for number in 0..8 {
            let (vault, seen) = (fixture.another(), seen.clone());
            tasks.spawn(async move {
                let next = head(round * 100 + number, i64::from(round));
                (vault.swap_head(Some(&seen), &next).await.unwrap(), next)
            });
        }
        let outcomes = tasks.join_all().await;
        let winners: Vec<_> = outcomes
            .iter()
            .filter(|(swap, _)| *swap == Swap::Swapped)
            .collect();
        assert_eq!(winners.len(), 1);
        assert_eq!(current(&fixture.vault).await.head, winners[0].1);
    }
}

async fn listings_go_beyond_one_page(fixture: Fixture) {
    let vault = &fixture.vault;
    let puts = (0..1100).map(|number| async move {
        vault
            .put(
                &VaultKey::manifest(&system(), &upload(number)),
                Bytes::new(),
            )
            .await
    });
    let mut puts = futures::stream::iter(puts).buffer_unordered(16);
    while puts.try_next().await.unwrap().is_some() {}
    let found: Vec<_> = vault.list_uploads(&system()).try_collect().await.unwrap();
    let mut found: Vec<UploadId> = found.into_iter().map(|found| found.upload_id).collect();
    found.sort();
    assert!(found.into_iter().eq((0..1100).map(upload)));
}

async fn listings_tell_systems_and_uploads_apart(fixture: Fixture) {
    let vault = &fixture.vault;
    let systems: [SystemId; 3] = ["a", "ab", "b"].map(|id| id.parse().unwrap());
    for (at, system) in systems.iter().enumerate() {
        vault
            .put(
                &VaultKey::segment(system, ContentHash::of(b"x")),
                Bytes::new(),
            )
            .await
            .unwrap();
        vault
            .create(
                &VaultKey::manifest(system, &upload(at as u32)),
                Bytes::from_static(b"12"),
            )
            .await
            .unwrap();
    }
    vault.swap_head(None, &head(1, 0)).await.unwrap();
    fixture.plant("systems/no.system/head.json");
    fixture.plant("systems/a/uploads/stray");
    let expected: BTreeSet<SystemId> = systems.iter().cloned().chain([system()]).collect();
    assert_eq!(vault.list_systems().await, Ok(expected));
    let uploads: Vec<_> = vault.list_uploads(&systems[0]).try_collect().await.unwrap();
    assert_eq!(uploads.len(), 1);
    assert_eq!(
        (uploads[0].upload_id.clone(), uploads[0].manifest_bytes),
        (upload(0), 2)
    );
}

async fn deletion_can_be_repeated(fixture: Fixture) {
    let key = VaultKey::inbox(&upload(1));
    fixture.vault.put(&key, Bytes::new()).await.unwrap();
    assert_eq!(fixture.vault.delete(&key).await, Ok(()));
    assert_eq!(fixture.vault.size_of(&key).await, Ok(None));
    assert_eq!(fixture.vault.delete(&key).await, Ok(()));
}

async fn the_vault_is_available(fixture: Fixture) {
    let availability = fixture.vault.availability().await;
    assert_eq!(availability, akosha_sync::Availability::Available);
    fixture.assert_untouched();
}
