//! Shows what the worker does: in its status and among the metrics.

use std::time::Duration;

use akosha_core::metric;
use akosha_sync::intake::Intaken;
use chrono::{DateTime, Utc};
use metrics::{counter, gauge, histogram};

use crate::look::Look;
use crate::status::Board;

/// Shows that a look into the vault has ended.
pub(crate) fn looked(board: &Board, look: Look, now: DateTime<Utc>, error: Option<String>) {
    let outcome = if error.is_none() {
        "success"
    } else {
        "failure"
    };
    counter!(metric::INGEST_POLLS.name, "kind" => look.name(), "outcome" => outcome).increment(1);
    if error.is_none() {
        gauge!(metric::INGEST_LAST_POLL.name).set(now.timestamp_micros() as f64 / 1e6);
    }
    board.update(|status| {
        if error.is_none() {
            status.last_poll_at = Some(now);
            if look == Look::Sweep {
                status.last_sweep_at = Some(now);
            }
        }
        status.last_error = error;
    });
}

/// Shows that an upload is merged.
pub(crate) fn merged(board: &Board, intaken: &Intaken, took: Duration) {
    let done = &intaken.merged;
    let added = u64::try_from(done.added).unwrap_or(0);
    let changes = [
        ("added", added),
        ("updated", done.updated),
        ("skipped", done.skipped),
    ];
    for (change, count) in changes {
        counter!(metric::INGEST_MEMORIES.name, "change" => change).increment(count);
    }
    counter!(metric::INGEST_DUPLICATES.name).increment(done.duplicates);
    counter!(metric::INGEST_BYTES.name).increment(intaken.bytes);
    histogram!(metric::INGEST_SECONDS.name).record(took.as_secs_f64());
    ended("merged");
    board.update(|status| {
        status.uploads_merged += 1;
        status.memories_added += added;
        status.memories_updated += done.updated;
        status.memories_skipped += done.skipped;
        status.duplicates += done.duplicates;
        status.bytes += intaken.bytes;
    });
}

/// Counts the end of the work on an upload: `merged`, `quarantined`, `retried`, `taken`.
pub(crate) fn ended(outcome: &'static str) {
    counter!(metric::INGEST_UPLOADS.name, "outcome" => outcome).increment(1);
}

/// Shows how many uploads are set aside.
pub(crate) fn quarantined(board: &Board, count: u64) {
    gauge!(metric::QUARANTINED.name).set(count as f64);
    board.update(|status| status.quarantined = count);
}

/// Shows how much work there is.
pub(crate) fn load(board: &Board, queue: usize, in_flight: usize, lag: f64) {
    gauge!(metric::INGEST_QUEUE.name).set(queue as f64);
    gauge!(metric::INGEST_IN_FLIGHT.name).set(in_flight as f64);
    gauge!(metric::INGEST_LAG.name).set(lag);
    board.update(|status| {
        status.queue = queue as u64;
        status.in_flight = in_flight as u64;
        status.lag_seconds = lag;
    });
}
