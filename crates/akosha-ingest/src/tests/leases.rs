//! Who has an upload, and for how long.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use akosha_core::UploadId;
use akosha_sync::breaker::{Breakers, FAILURES};
use akosha_sync::vault::Vault;
use tempfile::TempDir;

use super::s3::Fault;
use super::{Node, S3Server, age, engine, eventually};
use crate::lease::{Claim, Leases, REFUSAL_HOLDS, TTL};

const ONE: &str = "01ARZ3NDEKTSV4RRFFQ69G5FA1";
const OTHER: &str = "01ARZ3NDEKTSV4RRFFQ69G5FA2";

fn upload() -> UploadId {
    "20260102_030405_laptop_00000a".parse().unwrap()
}

struct Shared {
    folder: TempDir,
    node: Node,
    vault: Vault,
}

impl Shared {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let node = Node::in_folder("server", &folder.path().join("vault"));
        let vault = node.syncer.intake().await.unwrap().vault().clone();
        Self {
            folder,
            node,
            vault,
        }
    }

    fn replica(&self, holder: &str) -> Leases {
        Leases::new(self.vault.clone(), self.node.store().clone(), holder)
    }

    fn object(&self) -> PathBuf {
        let name = upload().to_string();
        self.folder.path().join("vault/leases").join(name)
    }
}

async fn is_taken(leases: &Leases) -> bool {
    matches!(leases.claim(&upload()).await.unwrap(), Claim::Taken)
}

#[tokio::test]
async fn one_replica_has_an_upload_until_it_gives_it_back() {
    let shared = Shared::new().await;
    let (one, other) = (shared.replica(ONE), shared.replica(OTHER));
    let Claim::Held(lease) = one.claim(&upload()).await.unwrap() else {
        panic!("it is free");
    };
    assert!(is_taken(&other).await);
    assert!(is_taken(&one).await, "not even the same replica twice");
    one.release(lease).await;
    assert!(!shared.object().exists());
    assert!(!is_taken(&other).await);
}

#[tokio::test]
async fn a_claim_expires_by_the_clock_of_the_storage_unless_it_is_renewed() {
    let shared = Shared::new().await;
    let (one, other) = (shared.replica(ONE), shared.replica(OTHER));
    let Claim::Held(mut lease) = one.claim(&upload()).await.unwrap() else {
        panic!("it is free");
    };
    age(&shared.object(), TTL + Duration::from_secs(1));
    one.renew(&mut lease).await;
    assert!(is_taken(&other).await, "it was renewed");
    age(&shared.object(), TTL / 2);
    assert!(is_taken(&other).await);
    age(&shared.object(), TTL + Duration::from_secs(1));
    assert!(!is_taken(&other).await);
}

#[tokio::test]
async fn the_claims_of_the_dead_are_taken_over_at_once() {
    let shared = Shared::new().await;
    let dead = shared.replica(ONE);
    assert!(!is_taken(&dead).await);
    let other = shared.replica(OTHER);
    assert!(is_taken(&other).await);
    drop(dead);
    assert!(!is_taken(&other).await);
}

#[tokio::test]
async fn the_claims_of_other_stores_stop_nobody_and_stay() {
    let shared = Shared::new().await;
    let (one, other) = (shared.replica(ONE), shared.replica(OTHER));
    assert!(!is_taken(&one).await);
    let text = fs::read_to_string(shared.object()).unwrap();
    let writer_id = shared.node.store().writer_id().to_string();
    let foreign = text.replace(&writer_id, "01ARZ3NDEKTSV4RRFFQ69G5FA3");
    assert_ne!(foreign, text);
    fs::write(shared.object(), &foreign).unwrap();
    let Claim::Held(mut lease) = other.claim(&upload()).await.unwrap() else {
        panic!("another store says nothing of this one");
    };
    other.renew(&mut lease).await;
    other.release(lease).await;
    assert_eq!(fs::read_to_string(shared.object()).unwrap(), foreign);
    // Nobody renews it any more.
    age(&shared.object(), TTL + Duration::from_secs(1));
    let Claim::Held(lease) = other.claim(&upload()).await.unwrap() else {
        panic!("it has expired");
    };
    assert!(
        fs::read_to_string(shared.object())
            .unwrap()
            .contains(&writer_id)
    );
    other.release(lease).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_lapses_while_the_store_takes_nothing() {
    let shared = Shared::new().await;
    let laptop = Node::in_folder("laptop", &shared.folder.path().join("vault"));
    let upload_id = laptop.push("a").await;
    let intake = shared.node.syncer.intake().await.unwrap();
    let breakers = Breakers::default();
    for _ in 0..FAILURES {
        breakers.database.admit().unwrap().failed("full");
    }
    let ttl = Duration::from_millis(300);
    let mut engine = engine(&intake, breakers, true);
    Arc::get_mut(&mut engine.shared).unwrap().leases.ttl = ttl;
    let mut other = shared.replica(OTHER);
    other.ttl = ttl;
    let found = intake.uploads(laptop.store().system_id()).await.unwrap();
    engine.queue.push(found.into_iter().next().unwrap());
    engine.start_work();
    let object = shared
        .folder
        .path()
        .join("vault/leases")
        .join(upload_id.as_str());
    eventually("a claim", || object.exists()).await;
    tokio::time::sleep(ttl * 4).await;
    assert!(matches!(
        other.claim(&upload_id).await.unwrap(),
        Claim::Held(_)
    ));
    engine.stop().await.unwrap();
}

#[tokio::test]
async fn whatever_lies_there_expires() {
    let shared = Shared::new().await;
    let one = shared.replica(ONE);
    fs::create_dir_all(shared.object().parent().unwrap()).unwrap();
    for garbage in ["", "{", &"x".repeat(10_000)] {
        fs::write(shared.object(), garbage).unwrap();
        assert!(is_taken(&one).await);
        age(&shared.object(), TTL + Duration::from_secs(1));
        let Claim::Held(lease) = one.claim(&upload()).await.unwrap() else {
            panic!("it has expired");
        };
        one.release(lease).await;
    }
}

#[tokio::test]
async fn a_storage_without_conditions_is_told_of() {
    let server = S3Server::start().await;
    server.set_fault(Fault::IgnoreConditions);
    let node = Node::in_bucket("server", &server);
    let vault = node.syncer.intake().await.unwrap().vault().clone();
    let leases = |holder| Leases::new(vault.clone(), node.store().clone(), holder);
    let (one, other) = (leases(ONE), leases(OTHER));
    assert!(!is_taken(&one).await);
    assert!(is_taken(&other).await);
    assert_eq!(vault.warnings().len(), 1, "{:?}", vault.warnings());
}

#[cfg(unix)]
#[tokio::test]
async fn who_may_only_read_works_without_leases() {
    use std::os::unix::fs::PermissionsExt;
    let shared = Shared::new().await;
    let laptop = Node::in_folder("laptop", &shared.folder.path().join("vault"));
    laptop.push("a").await;
    let leases = shared.folder.path().join("vault/leases");
    // Not even the superuser can make a folder of a file.
    fs::write(&leases, "").unwrap();
    fs::set_permissions(&leases, fs::Permissions::from_mode(0o400)).unwrap();
    let worker = shared.node.worker();
    let cancel = tokio_util::sync::CancellationToken::new();
    let report = worker
        .run_once(&akosha_sync::NoProgress, &cancel)
        .await
        .unwrap();
    assert_eq!(report.uploads_merged, 1, "{report:?}");
}

#[tokio::test]
async fn the_right_to_write_leases_is_seen_when_it_comes() {
    let shared = Shared::new().await;
    let one = shared.replica(ONE);
    let folder = shared.object().parent().unwrap().to_owned();
    fs::create_dir_all(folder.parent().unwrap()).unwrap();
    fs::write(&folder, "").unwrap();
    assert!(!is_taken(&one).await, "it works without");
    fs::remove_file(&folder).unwrap();
    assert!(!is_taken(&one).await);
    assert!(!shared.object().exists(), "it does not try each time");
    tokio::time::pause();
    tokio::time::advance(REFUSAL_HOLDS).await;
    tokio::time::resume();
    assert!(!is_taken(&one).await);
    assert!(shared.object().exists());
}
