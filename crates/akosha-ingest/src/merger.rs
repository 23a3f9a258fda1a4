//! The one thread that merges: uploads that are verified wait for it, and those that are ready
//! together are committed together.
//!
//! SQLite has one writer, so more threads would only wait for each other; and what a commit costs
//! is shared by the uploads in it. A transaction is kept short, so that whoever stores a memory
//! meanwhile does not wait long.

use std::collections::HashMap;
use std::time::Duration;

use akosha_core::{SystemId, UploadId};
use akosha_sync::SyncError;
use akosha_sync::breaker::Breaker;
use akosha_sync::intake::{Fault, Intake, Intaken, Verified};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::status::Board;

/// Rows at which no further upload joins a transaction.
const GROUP_ROWS: u64 = 2_000;

/// Bytes of rows at which no further upload joins a transaction.
const GROUP_BYTES: usize = 16 << 20;

/// Most uploads of one transaction.
const GROUP_UPLOADS: usize = 64;

/// Uploads that wait for the thread before who sends another one waits too.
const WAITING: usize = 128;

/// Pause after the store refused, before it is tried again; its breaker makes it longer.
const PAUSE: Duration = Duration::from_millis(500);

/// An upload that waits.
#[derive(Debug)]
struct Item {
    verified: Verified,
    done: oneshot::Sender<Result<Intaken, Fault>>,
}

/// Gives uploads to the thread.
#[derive(Debug, Clone)]
pub(crate) struct Merger(mpsc::Sender<Item>);

/// How the thread works.
#[derive(Debug)]
pub(crate) struct Setting {
    pub(crate) intake: Intake,
    pub(crate) database: Breaker,
    pub(crate) board: Board,
    /// The change from which is counted what is new; `None` counts each upload from its own start.
    pub(crate) since: Option<i64>,
    /// Whether an upload waits until the store takes it, as against failing.
    pub(crate) is_patient: bool,
    /// Ends patience, and the work on an upload that takes several transactions.
    pub(crate) stop: CancellationToken,
}

impl Merger {
    /// Starts the thread. It ends when every clone of the value is dropped.
    pub(crate) fn start(setting: Setting) -> (Self, JoinHandle<()>) {
        let (sender, receiver) = mpsc::channel(WAITING);
        let thread = tokio::task::spawn_blocking(move || work(&setting, receiver));
        (Self(sender), thread)
    }

    /// Merges an upload. `None` where it is left undone because the worker stops.
    pub(crate) async fn merge(&self, verified: Verified) -> Option<Result<Intaken, Fault>> {
        let (done, outcome) = oneshot::channel();
        self.0.send(Item { verified, done }).await.ok()?;
        outcome.await.ok()
    }
}

fn work(setting: &Setting, mut receiver: mpsc::Receiver<Item>) {
    while let Some(first) = receiver.blocking_recv() {
        let (mut rows, mut bytes) = (first.verified.rows(), first.verified.size());
        let mut group = vec![first];
        while rows < GROUP_ROWS && bytes < GROUP_BYTES && group.len() < GROUP_UPLOADS {
            let Ok(next) = receiver.try_recv() else {
                break;
            };
            rows += next.verified.rows();
            bytes += next.verified.size();
            group.push(next);
        }
        merge(setting, group);
    }
}

type Waiting = HashMap<(SystemId, UploadId), oneshot::Sender<Result<Intaken, Fault>>>;

/// Merges a group, and tells each that waits for it; a dropped sender tells that it was left.
fn merge(setting: &Setting, group: Vec<Item>) {
    let mut waiting = Waiting::new();
    let mut uploads = Vec::with_capacity(group.len());
    for Item { verified, done } in group {
        let key = (verified.system_id().clone(), verified.upload_id().clone());
        waiting.insert(key, done);
        uploads.push(verified);
    }
    loop {
        let permit = match setting.database.admit() {
            Ok(permit) => permit,
            Err(open) => {
                let error = SyncError::Local {
                    message: open.to_string(),
                    hint: "see what is wrong with the store: `akosha doctor`".into(),
                    kind: akosha_core::ErrorKind::Unavailable,
                };
                if setting.wait(open.retry_in) {
                    continue;
                }
                return fail(waiting, error);
            }
        };
        let merging = setting.intake.merge(uploads, setting.since, &setting.stop);
        for intaken in merging.done {
            let key = (intaken.system_id.clone(), intaken.upload_id.clone());
            tell(&mut waiting, &key, Ok(intaken));
        }
        for (system_id, upload_id, fault) in merging.failed {
            tell(&mut waiting, &(system_id, upload_id), Err(fault));
        }
        match merging.refused {
            None => return permit.succeeded(),
            Some((_, SyncError::Cancelled)) => return,
            Some((left, error)) => {
                let shown = error.to_string();
                permit.failed(&shown);
                setting
                    .board
                    .update(|status| status.last_error = Some(shown));
                if !setting.wait(PAUSE) {
                    return fail(waiting, error);
                }
                uploads = left;
            }
        }
    }
}

impl Setting {
    /// Waits, and returns whether to try again.
    fn wait(&self, pause: Duration) -> bool {
        self.is_patient
            && Handle::current().block_on(async {
                tokio::select! {
                    () = tokio::time::sleep(pause) => true,
                    () = self.stop.cancelled() => false,
                }
            })
    }
}

fn tell(waiting: &mut Waiting, key: &(SystemId, UploadId), outcome: Result<Intaken, Fault>) {
    if let Some(done) = waiting.remove(key) {
        // Whoever waited may be gone with its task; the ledger says what happened.
        let _ = done.send(outcome);
    }
}

/// Tells one of those that wait why; the others learn that they were left.
fn fail(waiting: Waiting, error: SyncError) {
    if let Some(done) = waiting.into_values().next() {
        let _ = done.send(Err(Fault::Store(error)));
    }
}
