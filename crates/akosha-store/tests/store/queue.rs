//! Jobs: coalescing, retry, parking.

use akosha_store::{JobState, Queue, Trigger};
use chrono::TimeDelta;

use crate::support::{START, store, time};

#[test]
fn equal_waiting_jobs_become_one() {
    let store = store();
    let first = store.enqueue(Trigger::SessionEnd, "{}").unwrap();
    assert_eq!(store.enqueue(Trigger::SessionEnd, "{}").unwrap(), first);
    assert_eq!(store.again().enqueue(Trigger::Manual, "{}").unwrap(), first);
    store.pass(1);
    let other = store
        .enqueue(Trigger::SessionEnd, "{\"method\":\"http\"}")
        .unwrap();
    assert_ne!(other, first);
    assert_eq!(store.queue().unwrap().pending, 2);
    // One that runs already may have read what is unsynced: a new one must follow it.
    let taken = store.take_job().unwrap().unwrap();
    assert_eq!(
        (taken.job_id, taken.state),
        (first.clone(), JobState::Running)
    );
    let next = store.enqueue(Trigger::SessionEnd, "{}").unwrap();
    assert_ne!(next, first);
    let queue = store.queue().unwrap();
    assert_eq!((queue.pending, queue.running), (2, 1));
}

#[test]
fn a_job_is_there_for_the_next_process() {
    let store = store();
    let queued = store.enqueue(Trigger::SessionEnd, "how").unwrap();
    let next = store.again();
    assert!(next.has_due_job().unwrap());
    let job = next.take_job().unwrap().unwrap();
    assert_eq!((&job.job_id, job.request.as_str()), (&queued, "how"));
    assert_eq!((job.trigger, job.attempts), (Trigger::SessionEnd, 0));
    // A drainer that died leaves it running; the next holder of the lease takes it.
    assert!(store.has_due_job().unwrap());
    assert_eq!(store.take_job().unwrap().unwrap().job_id, queued);
    store.finish_job(&queued).unwrap();
    assert_eq!(store.take_job().unwrap(), None);
    assert!(!store.has_due_job().unwrap());
    let queue = store.queue().unwrap();
    assert_eq!((queue.pending, queue.running, queue.parked), (0, 0, 0));
    assert_eq!(queue.last_success_at, Some(time(START)));
}

#[test]
fn a_failed_job_waits_for_its_time_and_a_new_request_makes_it_due() {
    let store = store();
    let job = store.enqueue(Trigger::SessionEnd, "{}").unwrap();
    store.take_job().unwrap();
    let later = time(START) + TimeDelta::seconds(60);
    store.retry_job(&job, later, "the bucket is away").unwrap();
    assert_eq!(store.take_job().unwrap(), None);
    assert_eq!(store.next_due().unwrap(), Some(later));
    let queue = store.queue().unwrap();
    assert_eq!(queue.last_error.as_deref(), Some("the bucket is away"));
    store.pass(59);
    assert!(!store.has_due_job().unwrap());
    store.pass(1);
    let taken = store.take_job().unwrap().unwrap();
    assert_eq!(
        (taken.attempts, taken.error.as_deref()),
        (1, Some("the bucket is away"))
    );
    store
        .retry_job(&job, later + TimeDelta::hours(1), "again")
        .unwrap();
    assert!(!store.has_due_job().unwrap());
    assert_eq!(store.enqueue(Trigger::SessionEnd, "{}").unwrap(), job);
    assert!(store.has_due_job().unwrap());
}

#[test]
fn a_failed_job_yields_to_the_same_request_that_was_queued_meanwhile() {
    let store = store();
    let failed = store.enqueue(Trigger::SessionEnd, "{}").unwrap();
    store.take_job().unwrap();
    let newer = store.enqueue(Trigger::SessionEnd, "{}").unwrap();
    let later = time(START) + TimeDelta::seconds(60);
    store.retry_job(&failed, later, "away").unwrap();
    assert_eq!(store.queue().unwrap().pending, 1);
    // A session that ended after the failure is not made to wait for it.
    let taken = store.take_job().unwrap().unwrap();
    assert_eq!((&taken.job_id, taken.attempts), (&newer, 1));
    assert_eq!(taken.error.as_deref(), Some("away"));
    store.retry_job(&newer, later, "still away").unwrap();
    assert_eq!(store.next_due().unwrap(), Some(later));
    assert_eq!(store.queue().unwrap().pending, 1);
}

#[test]
fn a_sync_by_hand_ends_the_jobs_that_waited_before_it() {
    let store = store();
    let failed = store.enqueue(Trigger::SessionEnd, "{}").unwrap();
    store.take_job().unwrap();
    let later = time(START) + TimeDelta::seconds(60);
    store.retry_job(&failed, later, "away").unwrap();
    store.pass(1);
    let by_hand = store.start_job(Trigger::Manual, "{}").unwrap();
    store.pass(1);
    let other = store
        .enqueue(Trigger::SessionEnd, "{\"method\":\"http\"}")
        .unwrap();
    store.finish_job(&by_hand).unwrap();
    let queue = store.queue().unwrap();
    assert_eq!((queue.pending, queue.last_error), (1, None));
    assert!(store.job(&other).unwrap().is_some());
}

#[test]
fn a_session_that_ends_during_a_sync_by_hand_keeps_its_job() {
    let store = store();
    let failed = store.enqueue(Trigger::SessionEnd, "{}").unwrap();
    store.take_job().unwrap();
    let later = time(START) + TimeDelta::seconds(60);
    store.retry_job(&failed, later, "away").unwrap();
    store.pass(1);
    let by_hand = store.start_job(Trigger::Manual, "{}").unwrap();
    // The sync has read what is unsynced; what this session stored came too late for it.
    store.pass(1);
    assert_eq!(store.enqueue(Trigger::SessionEnd, "{}").unwrap(), failed);
    store.finish_job(&by_hand).unwrap();
    assert_eq!(store.take_job().unwrap().unwrap().job_id, failed);
}

#[test]
fn a_pause_that_a_wrong_clock_wrote_is_not_waited_for() {
    let store = store();
    let job = store.enqueue(Trigger::SessionEnd, "{}").unwrap();
    store.take_job().unwrap();
    let in_a_year = time(START) + TimeDelta::days(365);
    store.retry_job(&job, in_a_year, "away").unwrap();
    assert!(store.has_due_job().unwrap());
    assert_eq!(store.take_job().unwrap().unwrap().job_id, job);
}

#[test]
fn the_job_that_waits_longest_comes_first() {
    let store = store();
    let mut queued = Vec::new();
    for request in ["c", "a", "b"] {
        queued.push(store.enqueue(Trigger::Manual, request).unwrap());
        store.pass(1);
    }
    for expected in queued {
        let job = store.take_job().unwrap().unwrap();
        assert_eq!(job.job_id, expected);
        store.finish_job(&expected).unwrap();
    }
}

#[test]
fn a_job_that_fails_for_good_is_shown_until_one_succeeds() {
    let store = store();
    let first = store.enqueue(Trigger::SessionEnd, "{}").unwrap();
    store.take_job().unwrap();
    store.park_job(&first, "access denied", None).unwrap();
    assert!(!store.has_due_job().unwrap());
    assert_eq!(store.next_due().unwrap(), None);
    let second = store.enqueue(Trigger::SessionEnd, "{}").unwrap();
    assert_ne!(first, second);
    store.take_job().unwrap();
    store
        .park_job(&second, "denied again", Some("mend it"))
        .unwrap();
    let queue = store.queue().unwrap();
    assert_eq!(
        (queue.parked, queue.last_error.as_deref()),
        (1, Some("denied again"))
    );
    let parked = queue.parked_job.unwrap();
    assert_eq!(
        (&parked.job_id, parked.error.as_str()),
        (&second, "denied again")
    );
    assert_eq!(
        (parked.hint.as_deref(), parked.since),
        (Some("mend it"), time(START))
    );
    assert_eq!(store.job(&first).unwrap(), None);
    store.pass(1);
    let third = store.start_job(Trigger::Manual, "{}").unwrap();
    assert_eq!(store.queue().unwrap().running, 1);
    store.finish_job(&third).unwrap();
    let queue = store.queue().unwrap();
    assert_eq!(
        queue,
        Queue {
            last_success_at: Some(time("2026-05-01T12:00:01Z")),
            ..Queue::default()
        }
    );
    assert_eq!(store.job(&second).unwrap().unwrap().state, JobState::Done);
}

#[test]
fn a_failure_is_the_last_error_only_until_the_next_success() {
    let store = store();
    let failed = store.start_job(Trigger::Manual, "{}").unwrap();
    store.fail_job(&failed, "no bucket").unwrap();
    assert_eq!(
        store.queue().unwrap().last_error.as_deref(),
        Some("no bucket")
    );
    assert_eq!(store.queue().unwrap().last_success_at, None);
    store.pass(1);
    let good = store.start_job(Trigger::Manual, "{}").unwrap();
    store.finish_job(&good).unwrap();
    assert_eq!(store.queue().unwrap().last_error, None);
}

#[test]
fn the_record_of_finished_jobs_is_bounded() {
    let store = store();
    let mut jobs = Vec::new();
    for _ in 0..130 {
        let job = store.start_job(Trigger::Manual, "{}").unwrap();
        store.pass(1);
        store.finish_job(&job).unwrap();
        jobs.push(job);
    }
    let kept = jobs.iter().filter(|job| store.job(job).unwrap().is_some());
    assert_eq!(kept.count(), 100);
    assert!(store.job(&jobs[129]).unwrap().is_some());
}
