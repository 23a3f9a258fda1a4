//! Leases under a clock that the test moves.

use std::time::Duration;

use akosha_store::{DRAIN_LEASE, DRAIN_NEXT_LEASE, PushIntent, StoreError, Target, Trigger};

use crate::support::{START, store, system, time};

const MINUTE: Duration = Duration::from_mins(1);

#[test]
fn a_claim_is_one_holders_until_it_expires() {
    let store = store();
    let other = store.again();
    let held = store.try_lease(DRAIN_LEASE, MINUTE).unwrap().unwrap();
    assert!(other.try_lease(DRAIN_LEASE, MINUTE).unwrap().is_none());
    assert!(store.try_lease(DRAIN_LEASE, MINUTE).unwrap().is_none());
    let waiting = other.try_lease(DRAIN_NEXT_LEASE, MINUTE).unwrap();
    assert!(waiting.is_some(), "another name is another claim");
    store.pass(59);
    assert!(other.try_lease(DRAIN_LEASE, MINUTE).unwrap().is_none());
    assert!(held.renew().unwrap());
    store.pass(59);
    assert!(other.try_lease(DRAIN_LEASE, MINUTE).unwrap().is_none());
    store.pass(1);
    let taken = other.try_lease(DRAIN_LEASE, MINUTE).unwrap();
    assert!(taken.is_some());
    assert!(!held.renew().unwrap());
    // Who lost it does not end the claim of who has it.
    held.release().unwrap();
    assert!(store.try_lease(DRAIN_LEASE, MINUTE).unwrap().is_none());
    taken.unwrap().release().unwrap();
    assert!(store.try_lease(DRAIN_LEASE, MINUTE).unwrap().is_some());
}

#[test]
fn an_expired_claim_that_nobody_took_can_be_renewed() {
    let store = store();
    let held = store.try_lease(DRAIN_LEASE, MINUTE).unwrap().unwrap();
    store.pass(600);
    assert!(held.renew().unwrap());
    assert!(
        store
            .again()
            .try_lease(DRAIN_LEASE, MINUTE)
            .unwrap()
            .is_none()
    );
}

#[test]
fn a_claim_that_another_one_took_and_gave_back_is_lost() {
    let store = store();
    let held = store.try_lease(DRAIN_LEASE, MINUTE).unwrap().unwrap();
    store.pass(600);
    let other = store.again();
    let taken = other.try_lease(DRAIN_LEASE, MINUTE).unwrap().unwrap();
    taken.release().unwrap();
    assert!(!held.renew().unwrap());
    assert!(store.under(&held.fence()).check_claim().is_err());
}

#[test]
fn a_clock_that_jumped_back_does_not_lock_everyone_out() {
    let store = store();
    store.pass(365 * 86_400);
    let _held = store.try_lease(DRAIN_LEASE, MINUTE).unwrap().unwrap();
    store.pass(-365 * 86_400);
    assert!(store.try_lease(DRAIN_LEASE, MINUTE).unwrap().is_some());
}

#[test]
fn a_claim_is_at_most_ten_minutes_long() {
    let store = store();
    let held = store
        .try_lease(DRAIN_LEASE, Duration::from_hours(24))
        .unwrap()
        .unwrap();
    assert_eq!(held.ttl(), Duration::from_mins(10));
    assert!(store.try_lease(DRAIN_LEASE, MINUTE).unwrap().is_none());
    store.pass(600);
    assert!(store.try_lease(DRAIN_LEASE, MINUTE).unwrap().is_some());
}

#[test]
fn who_claims_the_drain_for_another_reason_does_not_drain() {
    let store = store();
    assert!(!store.is_draining().unwrap());
    let pushing = store.try_lease(DRAIN_LEASE, MINUTE).unwrap().unwrap();
    assert!(!store.is_draining().unwrap());
    assert!(store.try_drain(MINUTE).unwrap().is_none());
    pushing.release().unwrap();
    let draining = store.try_drain(MINUTE).unwrap().unwrap();
    assert!(store.is_draining().unwrap());
    assert!(store.try_lease(DRAIN_LEASE, MINUTE).unwrap().is_none());
    assert!(draining.renew().unwrap() && draining.release_if_idle().unwrap());
    assert!(!store.is_draining().unwrap());
    let _died = store.try_drain(MINUTE).unwrap().unwrap();
    store.pass(60);
    assert!(!store.is_draining().unwrap());
}

#[test]
fn a_drainer_leaves_only_when_nothing_is_due() {
    let store = store();
    let held = store.try_lease(DRAIN_LEASE, MINUTE).unwrap().unwrap();
    let job = store.enqueue(Trigger::SessionEnd, "{}").unwrap();
    assert!(!held.release_if_idle().unwrap());
    assert!(store.try_lease(DRAIN_LEASE, MINUTE).unwrap().is_none());
    store.take_job().unwrap();
    store
        .retry_job(&job, crate::support::time("2026-05-01T13:00:00Z"), "later")
        .unwrap();
    assert!(held.release_if_idle().unwrap());
    assert!(store.try_lease(DRAIN_LEASE, MINUTE).unwrap().is_some());
}

#[test]
fn of_many_threads_one_gets_the_claim() {
    let store = store();
    let got: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let store = store.again();
                scope.spawn(move || {
                    usize::from(store.try_lease(DRAIN_LEASE, MINUTE).unwrap().is_some())
                })
            })
            .collect();
        threads.into_iter().map(|t| t.join().unwrap()).sum()
    });
    assert_eq!(got, 1);
}

#[test]
fn who_lost_the_claim_writes_nothing_about_pushes_and_jobs() {
    let store = store();
    let (target, here) = (Target::new("cloud", "s3://b"), system("here"));
    let intent = PushIntent {
        upload_id: "u1".parse().unwrap(),
        to_seq: 7,
        at: time(START),
    };
    let job = store.enqueue(Trigger::SessionEnd, "{}").unwrap();
    let first = store.try_lease(DRAIN_LEASE, MINUTE).unwrap().unwrap();
    let asleep = store.under(&first.fence());
    asleep.check_claim().unwrap();
    asleep.begin_push(&target, &here, &intent).unwrap();
    assert_eq!(asleep.take_job().unwrap().unwrap().job_id, job);

    // The machine slept, and another process took over and began anew.
    store.pass(61);
    let other = store.again();
    let second = other.try_lease(DRAIN_LEASE, MINUTE).unwrap().unwrap();
    let awake = other.under(&second.fence());
    awake.abandon_push(&target, &here).unwrap();
    let newer = PushIntent {
        upload_id: "u2".parse().unwrap(),
        ..intent.clone()
    };
    awake.begin_push(&target, &here, &newer).unwrap();
    let before = store.push_state(&target, &here).unwrap();
    let upload = &intent.upload_id;
    let refused = [
        asleep.check_claim(),
        asleep.begin_push(&target, &here, &intent),
        asleep.abandon_push(&target, &here),
        asleep.ack_push(&target, &here, Some(upload), 7),
        asleep.adopt(&target, &here, upload, 3, true),
        asleep.resume_push(&target, &here, &intent, 3, true),
        asleep.reset_push(&target, &here),
        asleep.move_unsent(&here, &system("other")).map(drop),
        asleep.dispute(&target, &here, Some(1), "m", "h"),
        asleep.finish_job(&job),
        asleep.park_job(&job, "failed", None),
        asleep.retry_job(&job, time(START), "failed"),
        asleep.take_job().map(drop),
    ];
    for (at, result) in refused.into_iter().enumerate() {
        assert!(
            matches!(result, Err(StoreError::LeaseLost)),
            "{at}: {result:?}"
        );
    }
    assert_eq!(store.push_state(&target, &here).unwrap(), before);
    assert_eq!(before.intent, Some(newer));
    assert_eq!(store.queue().unwrap().running, 1);

    // One that was given back is lost as well.
    awake.ack_push(&target, &here, None, 7).unwrap();
    second.release().unwrap();
    assert!(matches!(
        awake.ack_push(&target, &here, None, 9),
        Err(StoreError::LeaseLost)
    ));
    assert_eq!(store.push_state(&target, &here).unwrap().acked_seq, 7);
}
