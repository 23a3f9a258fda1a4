//! Pull: finds the uploads that this store has not seen, verifies them and merges them.

mod discover;

use std::time::Instant;

use akosha_core::{SystemId, UploadId};
use akosha_store::{Merged, Store};
use futures::{StreamExt, stream};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::disk::on_disk;
use crate::intake::{self, Candidate, Fault, Intake, Intaken, KEPT_BYTES};
use crate::{Progress, ProgressState, SyncError};

/// Uploads in work at once. Their rows are merged one after another; the network is what waits.
const IN_FLIGHT: usize = 4;

/// Most looks at what is there: one more where uploads went away under way, because another one
/// stands for them now.
const MOST_LOOKS: u32 = 3;

/// Uploads at which a vault may fail to answer before the pull ends.
const MAX_SILENCES: u32 = 3;

/// What a pull did, as `akosha pull --json` answers it.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct PullReport {
    /// Whether every upload that was seen is merged whole.
    pub success: bool,
    /// Uploads that were not merged before.
    pub uploads_seen: u64,
    /// Uploads that are merged now.
    pub uploads_merged: u64,
    /// Memories that were not here before and are now.
    pub memories_added: u64,
    /// Memories that were here and have a newer revision now, or are deleted.
    pub memories_updated: u64,
    /// Changes that made no difference in the end: they were here already, are history, or belong
    /// to memories that came and went.
    pub memories_skipped: u64,
    /// New contents of memories that their system had already under another id.
    pub duplicates: u64,
    /// What is set aside: in this pull, or before and is as it was then.
    pub quarantined: Vec<QuarantinedUpload>,
    /// Bytes received.
    pub bytes_transferred: u64,
    /// Seconds that it took.
    pub duration_seconds: f64,
    /// What went wrong with the whole; what was merged before stays.
    pub error: Option<String>,
}

/// An upload, or one memory of it, that was set aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct QuarantinedUpload {
    /// The upload.
    pub upload_id: String,
    /// The system under which it lies.
    pub system_id: String,
    /// Why; names the memory where only one is set aside.
    pub reason: String,
}

impl PullReport {
    /// Notes what is set aside, once.
    pub fn set_aside(&mut self, system_id: &SystemId, upload_id: &UploadId, reason: String) {
        let found = QuarantinedUpload {
            upload_id: upload_id.to_string(),
            system_id: system_id.to_string(),
            reason,
        };
        if !self.quarantined.contains(&found) {
            self.quarantined.push(found);
        }
    }

    fn count(&mut self, merged: Merged) {
        self.memories_added = u64::try_from(merged.added).unwrap_or(0);
        self.memories_updated = merged.updated;
        self.memories_skipped = merged.skipped;
        self.duplicates = merged.duplicates;
    }
}

/// Pulls the named systems, or all where none is named.
pub(crate) async fn run(
    intake: &Intake,
    systems: &[SystemId],
    progress: &dyn Progress,
) -> Result<PullReport, SyncError> {
    let started = Instant::now();
    let store = intake.store();
    let mut pull = Pull {
        intake,
        progress,
        since: on_disk(store, Store::newest_seq).await?,
        merged: Merged::default(),
        report: PullReport::default(),
    };
    let mut looks = 1;
    while let Some(gone) = pull.look(systems).await? {
        if looks == MOST_LOOKS {
            let message = format!("the vault lists the upload `{gone}` and does not have it");
            pull.report.error.get_or_insert(message);
            break;
        }
        looks += 1;
    }
    let mut report = pull.report;
    if systems.is_empty() && report.error.is_none() {
        lift_quarantine(store, &report).await?;
    }
    // Content that another machine erased must leave no trace here either.
    if let Err(error) = on_disk(store, Store::scrub).await {
        tracing::warn!(%error, "what was erased is scrubbed by the next pull");
    }
    report.success = report.error.is_none() && report.quarantined.is_empty();
    report.duration_seconds = started.elapsed().as_secs_f64();
    Ok(report)
}

/// A pull at work.
struct Pull<'a> {
    intake: &'a Intake,
    progress: &'a dyn Progress,
    /// The newest change that was here before.
    since: i64,
    merged: Merged,
    report: PullReport,
}

impl Pull<'_> {
    /// Looks what is there and merges it. Returns an upload that went away meanwhile: what stands for
    /// it has to be looked for.
    async fn look(&mut self, systems: &[SystemId]) -> Result<Option<UploadId>, SyncError> {
        let Self { intake, since, .. } = *self;
        let found = discover::uploads(intake, systems).await?;
        let report = &mut self.report;
        report.uploads_seen += (found.uploads.len() + found.hopeless.len()) as u64;
        for (hopeless, reason) in found.hopeless {
            report.set_aside(&hopeless.system_id, &hopeless.upload_id, reason);
        }
        report.error = found.error.map(|error| error.to_string());
        let (mut silences, mut gone) = (0, None);
        let mut work = stream::iter(found.uploads)
            .map(async |candidate| {
                let outcome = take_in(intake, since, &candidate).await;
                (candidate, outcome)
            })
            .buffer_unordered(IN_FLIGHT);
        while let Some((candidate, outcome)) = work.next().await {
            match outcome {
                Err(Fault::Vault(error)) => {
                    silences += 1;
                    self.report.error.get_or_insert_with(|| error.to_string());
                    if silences == MAX_SILENCES {
                        break;
                    }
                }
                outcome => {
                    let upload_id = candidate.upload_id.clone();
                    if self.take(candidate, outcome).await? {
                        gone = Some(upload_id);
                    }
                }
            }
            let report = &self.report;
            self.progress.update(ProgressState {
                bytes: report.bytes_transferred,
                memories: report.memories_added + report.memories_updated + report.memories_skipped,
                ..ProgressState::default()
            });
        }
        Ok(gone.filter(|_| self.report.error.is_none()))
    }

    /// Notes what became of an upload. Returns whether it went away.
    async fn take(
        &mut self,
        candidate: Candidate,
        outcome: Result<Intaken, Fault>,
    ) -> Result<bool, SyncError> {
        let (store, report) = (self.intake.store(), &mut self.report);
        let Candidate {
            system_id,
            upload_id,
            seen,
            ..
        } = candidate;
        match outcome {
            Ok(outcome) => {
                self.merged += outcome.merged;
                report.count(self.merged);
                report.uploads_merged += 1;
                report.bytes_transferred += outcome.bytes;
                for (item, reason) in outcome.refused {
                    report.set_aside(&system_id, &upload_id, of_memory(&item, &reason));
                }
            }
            Err(Fault::Upload(reason)) => {
                set_aside(store, report, &system_id, &upload_id, reason).await?;
            }
            Err(Fault::Missing(reason)) => match self.intake.find(&system_id, &upload_id).await {
                Ok(None) => return Ok(true),
                Ok(Some(_)) => {
                    set_aside(store, report, &system_id, &upload_id, reason).await?;
                }
                Err(error) => {
                    report.error.get_or_insert_with(|| error.to_string());
                }
            },
            Err(Fault::ForGood(reason)) => {
                tracing::info!(%system_id, %upload_id, reason, "set aside for good");
                report.set_aside(&system_id, &upload_id, reason.clone());
                let seen = seen.unwrap_or_default();
                on_disk(store, move |store| {
                    store.quarantine_for_good(&upload_id, &system_id, &reason, &seen)
                })
                .await?;
            }
            Err(Fault::Vault(error)) => {
                report.error.get_or_insert_with(|| error.to_string());
            }
            Err(Fault::Store(error)) => return Err(error),
        }
        Ok(false)
    }
}

/// Lifts the quarantine of uploads that are no longer in the vault: every other one was looked at.
async fn lift_quarantine(store: &Store, report: &PullReport) -> Result<(), SyncError> {
    let still: Vec<(String, String)> = report
        .quarantined
        .iter()
        .map(|found| (found.system_id.clone(), found.upload_id.clone()))
        .collect();
    on_disk(store, move |store| store.keep_quarantined(&still)).await
}

/// Verifies an upload whole, then merges it.
async fn take_in(intake: &Intake, since: i64, candidate: &Candidate) -> Result<Intaken, Fault> {
    let opened = intake.open(candidate).await?;
    let fetched = intake.fetch(opened).await?;
    let intake = intake.clone();
    intake::blocking(move || {
        let verified = fetched.verify(KEPT_BYTES)?;
        let mut merging = intake.merge(vec![verified], Some(since), &CancellationToken::new());
        if let Some((_, error)) = merging.refused {
            return Err(Fault::Store(error));
        }
        match merging.failed.pop() {
            Some((_, _, fault)) => Err(fault),
            None => merging
                .done
                .pop()
                .ok_or_else(|| Fault::Upload("the store says nothing of what became of it".into())),
        }
    })
    .await
}

/// Returns a reason as it is shown that sets one memory of an upload aside.
fn of_memory(memory_id: &str, reason: &str) -> String {
    format!("memory `{memory_id}`: {reason}")
}

async fn set_aside(
    store: &Store,
    report: &mut PullReport,
    system_id: &SystemId,
    upload_id: &UploadId,
    reason: String,
) -> Result<(), SyncError> {
    tracing::info!(%system_id, %upload_id, reason, "set aside");
    report.set_aside(system_id, upload_id, reason.clone());
    let (system_id, upload_id) = (system_id.clone(), upload_id.clone());
    on_disk(store, move |store| {
        store.quarantine(upload_id.as_str(), system_id.as_str(), None, &reason)
    })
    .await
}
