//! What a vault makes of services that refuse, vanish, lose answers or know no conditions.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail as tests do")]

#[path = "support/s3.rs"]
mod s3;
#[path = "support/vaults.rs"]
mod vaults;

use std::time::{Duration, Instant};

use akosha_core::config::CloudLocation;
use akosha_core::{ErrorKind, SystemId, UploadId, time};
use akosha_sync::vault::{
    Created, Head, Journal, NoJournal, Swap, Unfinished, Vault, VaultError, VaultKey, VaultOptions,
};
use akosha_sync::{Availability, ContentHash};
use bytes::Bytes;
use futures::TryStreamExt;
use s3::{BUCKET, Fault, S3Server, SECRET_KEY};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use vaults::{Fixture, options};

fn system() -> SystemId {
    "laptop".parse().unwrap()
}

fn upload() -> UploadId {
    "20260102_030405_laptop_00000a".parse().unwrap()
}

fn key() -> VaultKey {
    VaultKey::manifest(&system(), &upload())
}

fn head(epoch: i64) -> Head {
    Head {
        upload_id: upload(),
        system_id: system(),
        writer_id: "01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap(),
        epoch,
        updated_at: time::parse("2026-01-02T03:04:05Z").unwrap(),
    }
}

fn open(options: &VaultOptions) -> Vault {
    Vault::with_options(options).unwrap()
}

const BYTES: Bytes = Bytes::from_static(b"bytes");

#[tokio::test]
async fn wrong_credentials_are_told_and_not_repeated() {
    let server = S3Server::start().await;
    for (access, secret) in [("AKIDWRONG", SECRET_KEY), (s3::ACCESS_KEY, "wrong-secret")] {
        let vault = open(&VaultOptions {
            access_key: Some(access.into()),
            secret_key: Some(secret.into()),
            max_retries: 5,
            retry_backoff: Duration::from_mins(1),
            ..options(&server.endpoint, BUCKET)
        });
        for error in [
            vault.get(&key(), 10).await.unwrap_err(),
            vault.put(&key(), BYTES).await.unwrap_err(),
            vault.create(&key(), BYTES).await.unwrap_err(),
            vault.list_systems().await.unwrap_err(),
            vault.list_uploads(&system()).try_next().await.unwrap_err(),
            vault.swap_head(None, &head(0)).await.unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::Auth, "{error}");
            assert!(error.hint().unwrap().contains("cloud_access_key"));
            let shown = format!("{error} {error:?} {vault:?}");
            assert!(
                !shown.contains(access) && !shown.contains(secret),
                "{shown}"
            );
        }
    }
}

#[tokio::test]
async fn a_missing_bucket_is_told_from_a_missing_object() {
    let server = S3Server::start().await;
    let vault = open(&options(&server.endpoint, "nowhere"));
    for error in [
        vault.list_systems().await.unwrap_err(),
        vault.list_uploads(&system()).try_next().await.unwrap_err(),
    ] {
        assert_eq!(
            error,
            VaultError::NoBucket {
                bucket: "nowhere".into()
            }
        );
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }
}

#[tokio::test]
async fn a_dead_endpoint_fails_soon_and_can_be_tried_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let vault = open(&VaultOptions {
        max_retries: 2,
        ..options(&endpoint, BUCKET)
    });
    let started = Instant::now();
    let error = vault.put(&key(), BYTES).await.unwrap_err();
    assert!(matches!(error, VaultError::Unavailable { .. }), "{error}");
    assert!(error.is_retryable());
    assert!(error.to_string().contains("refused"), "{error}");
    assert!(started.elapsed() < Duration::from_secs(5));
    let availability = vault.availability().await;
    assert!(
        matches!(availability, Availability::Unavailable(_)),
        "{availability:?}"
    );
}

#[tokio::test]
async fn a_service_that_does_not_answer_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let vault = open(&VaultOptions {
        stall_timeout: Duration::from_millis(300),
        ..options(
            &format!("http://{}", listener.local_addr().unwrap()),
            BUCKET,
        )
    });
    let error = vault.get(&key(), 10).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
}

#[tokio::test]
async fn a_busy_service_is_tried_again() {
    let server = S3Server::start().await;
    let vault = open(&VaultOptions {
        max_retries: 2,
        ..options(&server.endpoint, BUCKET)
    });
    server.set_fault(Fault::Busy(2));
    assert_eq!(vault.put(&key(), BYTES).await, Ok(()));
    server.set_fault(Fault::Busy(2));
    assert_eq!(vault.list_systems().await.unwrap().len(), 1);
    server.set_fault(Fault::Busy(3));
    let error = vault.get(&key(), 10).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(error.to_string().contains("503 (SlowDown)"), "{error}");
}

/// Has a server be busy from the first part on.
struct BusyThen<'a>(&'a S3Server);

#[async_trait::async_trait]
impl Journal for BusyThen<'_> {
    async fn begun(&self, _object: &Unfinished) -> Result<(), VaultError> {
        self.0.set_fault(Fault::Busy(100));
        Ok(())
    }

    async fn ended(&self, _object: &Unfinished) {}
}

#[tokio::test]
async fn each_request_for_an_object_in_parts_is_tried_again_by_itself() {
    let server = S3Server::start().await;
    let vault = open(&VaultOptions {
        max_retries: 3,
        ..options(&server.endpoint, BUCKET)
    });
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("segment");
    let bytes = vec![7; 6 << 20];
    std::fs::write(&file, &bytes).unwrap();
    let key = VaultKey::segment(&system(), ContentHash::of(&bytes));
    let busy = |server: &S3Server| match server.fault() {
        Fault::Busy(left) => 100 - left,
        other => panic!("{other:?}"),
    };

    server.set_fault(Fault::Busy(100));
    let error = vault.put_file(&key, &file, &NoJournal).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert_eq!(busy(&server), 4);

    server.set_fault(Fault::None);
    let sent = vault.put_file(&key, &file, &BusyThen(&server)).await;
    assert_eq!(sent.unwrap_err().kind(), ErrorKind::Unavailable);
    // Two parts, and to drop them.
    assert!((5..=9).contains(&busy(&server)), "{}", busy(&server));

    for fault in [Fault::Busy(3), Fault::LoseAnswers(1)] {
        server.set_fault(fault);
        assert_eq!(vault.put_file(&key, &file, &NoJournal).await, Ok(()));
    }
    assert_eq!(server.fault(), Fault::LoseAnswers(0));
}

#[tokio::test]
async fn a_request_that_is_sent_elsewhere_does_not_go_there() {
    let elsewhere = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let service = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let vault = open(&options(
        &format!("http://{}", service.local_addr().unwrap()),
        BUCKET,
    ));
    let answer = format!(
        "HTTP/1.1 307 Temporary Redirect\r\nlocation: http://{}/x\r\ncontent-length: 0\r\n\
         connection: close\r\n\r\n",
        elsewhere.local_addr().unwrap()
    );
    let answering = tokio::spawn(async move {
        let (mut stream, _) = service.accept().await.unwrap();
        let mut request = vec![0; 16 << 10];
        let _ = stream.read(&mut request).await.unwrap();
        stream.write_all(answer.as_bytes()).await.unwrap();
    });
    let wanted = key();
    let error = tokio::select! {
        got = vault.get(&wanted, 10) => got.unwrap_err(),
        _ = elsewhere.accept() => panic!("the request went elsewhere"),
    };
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    answering.await.unwrap();
}

#[tokio::test]
async fn writes_whose_answer_is_lost_count() {
    let server = S3Server::start().await;
    let vault = open(&VaultOptions {
        max_retries: 2,
        ..options(&server.endpoint, BUCKET)
    });
    server.set_fault(Fault::LoseAnswers(1));
    assert_eq!(vault.create(&key(), BYTES).await, Ok(Created::Created));
    server.set_fault(Fault::LoseAnswers(1));
    assert_eq!(vault.swap_head(None, &head(0)).await, Ok(Swap::Swapped));
    let seen = vault.read_head(&system()).await.unwrap().unwrap();
    server.set_fault(Fault::LoseAnswers(1));
    let swap = vault.swap_head(Some(&seen.version), &head(1)).await;
    assert_eq!(swap, Ok(Swap::Swapped));
    assert_eq!(vault.warnings(), Vec::<String>::new());
}

#[tokio::test]
async fn stores_without_conditional_writes_are_told_openly() {
    for fault in [Fault::IgnoreConditions, Fault::RefuseConditions] {
        let fixture = Fixture::bucket().await;
        let vault = &fixture.vault;
        fixture.server.as_ref().unwrap().set_fault(fault);
        assert_eq!(
            vault.create(&key(), BYTES).await,
            Ok(Created::Created),
            "{fault:?}"
        );
        assert_eq!(vault.warnings().len(), 1, "{fault:?}");
        assert!(vault.warnings()[0].contains("conditional writes"));
        let other = Bytes::from_static(b"other");
        assert_eq!(
            vault.create(&key(), other.clone()).await,
            Ok(Created::AlreadyThere)
        );
        // A vault that does not know yet is as careful.
        let another = fixture.another();
        assert_eq!(
            another.create(&key(), other).await,
            Ok(Created::AlreadyThere)
        );
        assert_eq!(vault.get(&key(), 10).await.unwrap(), BYTES);
        assert_eq!(vault.swap_head(None, &head(0)).await, Ok(Swap::Swapped));
        let lost = vault.swap_head(None, &head(1)).await.unwrap();
        assert!(matches!(lost, Swap::Lost { current: Some(_) }));
        assert_eq!(vault.warnings().len(), 1);
    }
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_is_the_disks_refusal() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("file");
    std::fs::write(&file, "x").unwrap();
    let vault = open(&VaultOptions::new(CloudLocation::Folder(
        file.join("vault"),
    )));
    let error = vault.put(&key(), BYTES).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Storage, "{error}");
    let availability = vault.availability().await;
    assert!(
        matches!(availability, Availability::Unavailable(_)),
        "{availability:?}"
    );
    let at_file = open(&VaultOptions::new(CloudLocation::Folder(file)));
    let availability = at_file.availability().await;
    assert!(
        matches!(availability, Availability::Unavailable(_)),
        "{availability:?}"
    );
}

#[test]
fn addresses_tell_vaults_apart_and_hold_no_credentials() {
    let vault = open(&options("http://127.0.0.1:9", BUCKET));
    assert_eq!(vault.url(), "s3://memories/team");
    assert_eq!(vault.address(), "s3://memories/team at http://127.0.0.1:9");
    let folder = open(&VaultOptions::new(CloudLocation::Folder("/x/y".into())));
    assert_eq!(folder.address(), "file:///x/y");
}
