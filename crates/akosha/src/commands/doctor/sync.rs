//! What waits to be synced, what was refused, and what a person has to settle.

use akosha_sync::{SyncStatus, Syncer};

use super::Checks;
use crate::failure::Failure;
use crate::show;

/// Looks at conflicts, the queue, the lag and what is set aside.
pub(super) fn check(
    syncer: &Syncer,
    status: &SyncStatus,
    checks: &mut Checks,
) -> Result<(), Failure> {
    for conflict in &status.sync_conflicts {
        let (error, hint) = (conflict.error.clone(), conflict.hint.clone());
        if conflict.system_id == status.system_id {
            checks.fail("conflict", error, Some(hint));
        } else {
            // Something waits under an id of earlier; all that is new is synced.
            checks.warn("conflict", error, &hint);
        }
    }
    queue(status, checks);
    lag(status, checks);
    let set_aside = syncer.store().quarantined()?.len() as u64;
    if set_aside > 0 {
        let message = format!(
            "{} set aside",
            show::counted(set_aside, "item is", "items are")
        );
        checks.warn("quarantine", message, "see the reasons: `akosha status`");
    }
    Ok(())
}

fn queue(status: &SyncStatus, checks: &mut Checks) {
    const NAME: &str = "queue";
    let queue = &status.queue;
    match (&queue.parked_job, &queue.last_error) {
        (Some(job), _) => checks.fail(NAME, job.error.clone(), job.hint.clone()),
        (None, Some(error)) => {
            let hint = "it is tried again; at once: `akosha sync`";
            checks.warn(NAME, error.clone(), hint);
        }
        (None, None) => {
            let waiting = show::counted(queue.pending, "job waits", "jobs wait");
            checks.ok(NAME, waiting);
        }
    }
}

fn lag(status: &SyncStatus, checks: &mut Checks) {
    const NAME: &str = "lag";
    let lag = &status.lag;
    match (lag.unsynced_memories, &lag.oldest_unsynced_at) {
        (0, _) => checks.ok(NAME, "everything is synced"),
        (count, since) => {
            let count = show::counted(count, "change is", "changes are");
            let since = since.as_deref().unwrap_or("now");
            let message = format!("{count} not synced, the oldest since {since}");
            checks.warn(NAME, message, "push them: `akosha sync`");
        }
    }
}
