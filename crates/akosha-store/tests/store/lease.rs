//! Leases under a clock that the test moves.

use std::time::Duration;

use akosha_store::{DRAIN_LEASE, DRAIN_NEXT_LEASE, Trigger};

use crate::support::store;

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
