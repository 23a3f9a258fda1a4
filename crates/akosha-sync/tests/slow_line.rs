//! The limit of a request is a stall: what moves slowly goes on, what stops fails in time.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail as tests do")]

#[path = "support/s3.rs"]
mod s3;
#[path = "support/slow.rs"]
mod slow;
#[path = "support/vaults.rs"]
mod vaults;

use std::time::{Duration, Instant};

use akosha_core::ErrorKind;
use akosha_sync::ContentHash;
use akosha_sync::vault::{Expected, Vault, VaultError, VaultKey, VaultOptions};
use bytes::Bytes;
use s3::{BUCKET, S3Server};
use slow::{Line, SlowLine};

/// The limit in these tests.
const STALL: Duration = Duration::from_millis(600);

struct Setup {
    server: S3Server,
    line: SlowLine,
    vault: Vault,
}

async fn setup() -> Setup {
    let server = S3Server::start().await;
    let line = SlowLine::before(&server.endpoint);
    let vault = Vault::with_options(&VaultOptions {
        stall_timeout: STALL,
        ..vaults::options(&line.endpoint, BUCKET)
    })
    .unwrap();
    Setup {
        server,
        line,
        vault,
    }
}

/// Returns bytes that no two of which repeat in a row, and their key.
fn object(size: usize) -> (VaultKey, Bytes, Expected) {
    let bytes: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
    let sha256 = ContentHash::of(&bytes);
    let expected = Expected {
        sha256,
        size_bytes: size as u64,
    };
    let system_id = "laptop".parse().unwrap();
    (VaultKey::chunk(&system_id, sha256), bytes.into(), expected)
}

#[tokio::test]
async fn a_slow_upload_that_moves_is_not_cut_off() {
    let setup = setup().await;
    let (key, bytes, _) = object(1 << 20);
    setup.line.set(Line::Slow(256 << 10));
    let started = Instant::now();
    setup.vault.put(&key, bytes).await.unwrap();
    assert!(started.elapsed() > 4 * STALL, "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_slow_download_that_moves_is_not_cut_off() {
    let setup = setup().await;
    let (key, bytes, expected) = object(1 << 20);
    setup.vault.put(&key, bytes).await.unwrap();
    setup.line.set(Line::Slow(256 << 10));
    let started = Instant::now();
    let folder = tempfile::tempdir().unwrap();
    let got = setup.vault.download(&key, expected, folder.path()).await;
    assert_eq!(got.unwrap().size_bytes, 1 << 20);
    assert!(started.elapsed() > 4 * STALL, "{:?}", started.elapsed());
}

fn assert_stalled(result: &Result<(), VaultError>, took: Duration) {
    let error = result.as_ref().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(took >= STALL && took < 5 * STALL, "{took:?}");
}

/// On Linux the system sees that nothing is acknowledged; elsewhere what lies in its buffers is
/// waited for.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn an_upload_that_stops_fails_in_time() {
    let setup = setup().await;
    let (key, bytes, _) = object(4 << 20);
    setup.line.set(Line::StopsAfter(300 << 10));
    let started = Instant::now();
    let result = setup.vault.put(&key, bytes).await;
    assert_stalled(&result, started.elapsed());
}

#[tokio::test]
async fn an_answer_that_does_not_come_fails_in_time() {
    let setup = setup().await;
    let (key, bytes, _) = object(1 << 10);
    setup.line.set(Line::Silent);
    let started = Instant::now();
    let result = setup.vault.put(&key, bytes).await;
    assert_stalled(&result, started.elapsed());
}

#[tokio::test]
async fn a_download_that_stops_fails_in_time() {
    let setup = setup().await;
    let (key, bytes, expected) = object(4 << 20);
    setup.vault.put(&key, bytes).await.unwrap();
    setup.line.set(Line::AnswerStopsAfter(300 << 10));
    let folder = tempfile::tempdir().unwrap();
    let started = Instant::now();
    let got = setup.vault.download(&key, expected, folder.path()).await;
    assert_stalled(&got.map(drop), started.elapsed());
}

#[tokio::test]
async fn what_stalled_once_is_tried_again() {
    let setup = setup().await;
    let vault = Vault::with_options(&VaultOptions {
        stall_timeout: STALL,
        max_retries: 3,
        ..vaults::options(&setup.line.endpoint, BUCKET)
    })
    .unwrap();
    let (key, bytes, expected) = object(1 << 10);
    setup.line.set(Line::Silent);
    let healed = async {
        tokio::time::sleep(STALL + STALL / 2).await;
        setup.line.set(Line::Fast);
    };
    let (put, ()) = tokio::join!(vault.put(&key, bytes), healed);
    put.unwrap();
    let folder = tempfile::tempdir().unwrap();
    vault.download(&key, expected, folder.path()).await.unwrap();
    drop(setup.server);
}
