use std::sync::{Arc, Mutex};
use std::time::Duration;

use akosha_core::config::{Config, LoadedConfig};
use akosha_core::redact::Redactor;
use akosha_core::{IngestionMethod, MemoryInput, NewMemory};
use akosha_store::{Home, Store, StoreOptions};

use super::*;
use crate::breaker::{Breakers, COOL_DOWN, FAILURES};
use crate::{NoProgress, Syncer};

/// A target that answers as it is told, and notes what it was asked.
#[derive(Default)]
struct Target {
    availability: Mutex<Option<Availability>>,
    error: Mutex<Option<fn() -> SyncError>>,
    asked: Mutex<Vec<&'static str>>,
}

impl Target {
    fn was_asked(&self) -> Vec<&'static str> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

#[async_trait]
impl SyncMethod for &'static Target {
    fn name(&self) -> &'static str {
        "cloud"
    }

    async fn has_pending(&self, _request: &SyncRequest) -> Result<bool, SyncError> {
        Ok(true)
    }

    async fn has_lost(&self) -> bool {
        self.asked.lock().unwrap().push("has_lost");
        true
    }

    async fn is_available(&self) -> Availability {
        self.asked.lock().unwrap().push("is_available");
        let set = self.availability.lock().unwrap().clone();
        set.unwrap_or(Availability::Available)
    }

    async fn sync(
        &self,
        _request: &SyncRequest,
        _trigger: Trigger,
        _progress: &dyn Progress,
        _cancel: &CancellationToken,
    ) -> MethodReport {
        self.asked.lock().unwrap().push("sync");
        MethodReport {
            error: self.error.lock().unwrap().map(|error| error()),
            ..MethodReport::default()
        }
    }
}

fn target(cool_down: Duration) -> (&'static Target, Guarded, Breaker) {
    let target: &'static Target = Box::leak(Box::default());
    let breaker = Breaker::with_cool_down("bucket", cool_down);
    let guarded = Guarded::new(Box::new(target), Some(breaker.clone()));
    (target, guarded, breaker)
}

async fn sync(guarded: &Guarded) -> Option<SyncError> {
    let cancel = CancellationToken::new();
    guarded
        .sync(
            &SyncRequest::default(),
            Trigger::Manual,
            &NoProgress,
            &cancel,
        )
        .await
        .error
}

fn away() -> SyncError {
    unavailable("cloud", "no answer".into(), "wait")
}

fn refused() -> SyncError {
    SyncError::CloudUpload {
        message: "the key is wrong".into(),
        hint: None,
        kind: ErrorKind::Auth,
        source: None,
    }
}

#[tokio::test]
async fn a_target_that_is_away_is_left_alone_for_a_while() {
    let (target, guarded, _) = target(COOL_DOWN);
    *target.error.lock().unwrap() = Some(away);
    for _ in 0..FAILURES {
        sync(&guarded).await.unwrap();
    }
    assert_eq!(target.was_asked().len(), FAILURES as usize);
    let refused = sync(&guarded).await.unwrap();
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
    assert!(
        refused
            .to_string()
            .starts_with("[cloud] the bucket failed 5 times in a row"),
        "{refused}"
    );
    assert!(matches!(
        guarded.is_available().await,
        Availability::Unavailable(reason) if reason.contains("no answer")
    ));
    assert!(!guarded.has_lost().await);
    assert_eq!(target.was_asked(), [""; 0]);
}

#[tokio::test]
async fn once_it_cooled_down_a_push_decides() {
    let (target, guarded, breaker) = target(Duration::ZERO);
    *target.error.lock().unwrap() = Some(away);
    for _ in 0..FAILURES {
        sync(&guarded).await.unwrap();
    }
    assert_eq!(guarded.is_available().await, Availability::Available);
    assert_eq!(breaker.status().state, "half_open");
    sync(&guarded).await.unwrap();
    assert_eq!(breaker.status().failures, FAILURES + 1);
    *target.error.lock().unwrap() = None;
    assert!(sync(&guarded).await.is_none());
    assert_eq!(breaker.status().state, "closed");
}

#[tokio::test]
async fn one_that_cannot_be_reached_counts_and_one_that_is_slow_does_not() {
    let (target, guarded, breaker) = target(COOL_DOWN);
    let answers = |availability| *target.availability.lock().unwrap() = Some(availability);
    answers(Availability::Unknown("slow".into()));
    for _ in 0..FAILURES {
        guarded.is_available().await;
    }
    assert_eq!(breaker.status().failures, 0);
    answers(Availability::Unavailable("refused".into()));
    for _ in 0..FAILURES {
        guarded.is_available().await;
    }
    assert_eq!(breaker.status().state, "open");
    assert_eq!(breaker.status().last_error.as_deref(), Some("refused"));
}

#[tokio::test]
async fn what_a_person_has_to_correct_says_nothing_of_the_target() {
    let (target, guarded, breaker) = target(COOL_DOWN);
    for error in [refused, || SyncError::Cancelled] {
        *target.error.lock().unwrap() = Some(error);
        for _ in 0..2 * FAILURES {
            sync(&guarded).await.unwrap();
        }
    }
    assert_eq!(
        (breaker.status().state, breaker.status().failures),
        ("closed", 0)
    );
}

#[tokio::test]
async fn without_a_breaker_every_push_is_made() {
    let target: &'static Target = Box::leak(Box::default());
    let guarded = Guarded::new(Box::new(target), None);
    *target.error.lock().unwrap() = Some(away);
    for _ in 0..2 * FAILURES {
        guarded.is_available().await;
        sync(&guarded).await.unwrap();
    }
    assert_eq!(target.was_asked().len(), 4 * FAILURES as usize);
}

#[tokio::test]
async fn pushes_of_a_long_lived_process_leave_a_dead_peer_alone() {
    let home = tempfile::tempdir().unwrap();
    // A port that nobody listens on any more.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = port.local_addr().unwrap();
    drop(port);
    let mut config = Config::default_with("here".parse().unwrap());
    config.akosha_url = format!("http://{address}/mcp");
    config.max_retries = 0;
    let options = StoreOptions::new(config.system_id.clone());
    let store = Store::open(&Home::new(home.path()), options).unwrap();
    let input = MemoryInput {
        text: "walrus".into(),
        ..MemoryInput::default()
    };
    let memory = NewMemory::check(input, &Redactor::built_in()).unwrap();
    store
        .put(&config.system_id, &memory, IngestionMethod::Local)
        .unwrap();
    let breakers = Breakers::default();
    let syncer =
        Syncer::new(store, Arc::new(LoadedConfig::new(config))).with_breakers(breakers.clone());
    let push = async || {
        let (request, cancel) = (SyncRequest::default(), CancellationToken::new());
        let pushed = syncer.sync(&request, Trigger::Manual, &NoProgress, &cancel);
        pushed.await.error.unwrap()
    };
    for _ in 0..FAILURES {
        assert!(push().await.contains("not reachable"));
    }
    assert!(push().await.contains("http_peer failed 5 times in a row"));
    let status = breakers.status();
    let open: Vec<&str> = status
        .iter()
        .filter(|breaker| breaker.state == "open")
        .map(|breaker| breaker.name)
        .collect();
    assert_eq!(open, ["http_peer"]);
}
