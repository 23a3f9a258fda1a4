//! The work on one upload: claim it, look once more whether it is merged, read it, have it merged,
//! give the claim back.

use std::sync::Arc;
use std::time::Duration;

use akosha_sync::breaker::Breaker;
use akosha_sync::intake::{Candidate, Fault, Intake, Intaken, blocking};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::lease::{Claim, Leases};
use crate::limits::{Limits, MOST_KIB};
use crate::merger::Merger;

/// What the work on all uploads shares.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) intake: Intake,
    pub(crate) leases: Leases,
    pub(crate) limits: Limits,
    /// The breaker of the store.
    pub(crate) database: Breaker,
    /// Cancels what is not with the merging thread yet.
    pub(crate) stop: CancellationToken,
}

/// What became of the work on an upload.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It is merged.
    Merged(Intaken),
    /// It was merged meanwhile.
    Known,
    /// Another replica works on it.
    Taken,
    /// It is not there, or not any more.
    Gone,
    /// It was not merged.
    Failed(Fault),
    /// It was left because the worker stops.
    Left,
}

/// The end of the work on an upload.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) candidate: Candidate,
    pub(crate) outcome: Outcome,
    pub(crate) took: Duration,
}

/// Works on an upload.
pub(crate) async fn take_in(shared: Arc<Shared>, merger: Merger, candidate: Candidate) -> Ended {
    let started = Instant::now();
    let outcome = claim_and_take_in(&shared, merger, &candidate).await;
    Ended {
        outcome: outcome.unwrap_or_else(Outcome::Failed),
        candidate,
        took: started.elapsed(),
    }
}

async fn claim_and_take_in(
    shared: &Shared,
    merger: Merger,
    candidate: &Candidate,
) -> Result<Outcome, Fault> {
    let leases = &shared.leases;
    let claim = tokio::select! {
        claim = leases.claim(&candidate.upload_id) => claim,
        () = shared.stop.cancelled() => return Ok(Outcome::Left),
    };
    let mut lease = match claim.map_err(|error| Fault::Vault(error.into()))? {
        Claim::Held(lease) => lease,
        Claim::Taken => return Ok(Outcome::Taken),
    };
    let mut work = std::pin::pin!(read_and_merge(shared, merger, candidate));
    let outcome = loop {
        tokio::select! {
            outcome = &mut work => break outcome,
            () = tokio::time::sleep(leases.renewal()) => {
                // While the store takes nothing the claim may lapse: another replica of it may
                // be able to.
                if shared.database.is_closed() {
                    leases.renew(&mut lease).await;
                }
            }
        }
    };
    leases.release(lease).await;
    match outcome {
        Err(Fault::Missing(reason)) => {
            let (system_id, upload_id) = (&candidate.system_id, &candidate.upload_id);
            match shared.intake.find(system_id, upload_id).await {
                Ok(None) => Ok(Outcome::Gone),
                Ok(Some(_)) => Err(Fault::Missing(reason)),
                Err(error) => Err(Fault::Vault(error)),
            }
        }
        outcome => outcome,
    }
}

async fn read_and_merge(
    shared: &Shared,
    merger: Merger,
    candidate: &Candidate,
) -> Result<Outcome, Fault> {
    let read = async {
        let Shared { intake, limits, .. } = shared;
        let sorted = intake.sort(vec![candidate.clone()]).await;
        if !sorted.map_err(Fault::Store)?.merged.is_empty() {
            return Ok::<_, Fault>(None);
        }
        let (opened, large) = if let Some(opened) = intake.open_small(candidate).await? {
            (opened, None)
        } else {
            let large = limits.large().await;
            (intake.open(candidate).await?, large)
        };
        let size = opened.size_hint(MOST_KIB << 10);
        let disk = limits.disk(opened.stored_bytes()).await;
        let fetched = intake.fetch(opened).await?;
        let Some((memory, room)) = limits.memory(size).await else {
            return Ok(None);
        };
        let processor = limits.processor().await;
        let verified = blocking(move || fetched.verify(room)).await?;
        drop(processor);
        Ok(Some((verified, (memory, disk, large))))
    };
    let (verified, held) = tokio::select! {
        read = read => match read? {
            Some(read) => read,
            None => return Ok(Outcome::Known),
        },
        () = shared.stop.cancelled() => return Ok(Outcome::Left),
    };
    let outcome = match merger.merge(verified).await {
        None => Ok(Outcome::Left),
        Some(Ok(intaken)) if intaken.is_known => Ok(Outcome::Known),
        Some(Ok(intaken)) => Ok(Outcome::Merged(intaken)),
        Some(Err(fault)) => Err(fault),
    };
    // What they stand for is in use until here.
    drop(held);
    outcome
}
