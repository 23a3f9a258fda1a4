//! Which uploads were seen, and what was set aside.

use akosha_core::UploadId;
use akosha_store::{Merged, Sighting, Triage, UploadOutcome, UploadRecord};

use crate::support::{START, store, system, time};

fn upload(name: &str) -> UploadId {
    name.parse().unwrap()
}

fn rows(rows: u64) -> UploadRecord {
    UploadRecord {
        rows,
        ..UploadRecord::default()
    }
}

#[test]
fn what_a_merge_did_is_on_record_once() {
    let store = store();
    let (there, u1) = (system("there"), upload("u1"));
    assert_eq!(store.upload_record(&u1, &there).unwrap(), None);
    let record = UploadRecord {
        rows: 7,
        merged: Merged {
            added: 4,
            updated: 2,
            skipped: 1,
            duplicates: 3,
            ..Merged::default()
        },
        bytes: 99,
    };
    store.record_upload(&u1, &there, &record).unwrap();
    store.record_upload(&u1, &there, &rows(1)).unwrap();
    assert_eq!(store.upload_record(&u1, &there).unwrap(), Some(record));
}

#[test]
fn an_upload_is_new_set_aside_or_merged() {
    let store = store();
    let there = system("there");
    let outcome = || store.upload_outcome(&there, &upload("u1")).unwrap();
    assert_eq!(outcome(), UploadOutcome::New);
    store
        .quarantine("u1", "there", None, "checksum differs")
        .unwrap();
    assert_eq!(outcome(), UploadOutcome::Quarantined);
    store
        .record_upload(&upload("u1"), &there, &rows(10))
        .unwrap();
    assert_eq!(outcome(), UploadOutcome::Merged);
    assert_eq!(store.quarantined().unwrap(), []);
    store
        .record_upload(&upload("u1"), &there, &rows(10))
        .unwrap();
    // The same id under another system is another upload.
    let elsewhere = store.upload_outcome(&system("yonder"), &upload("u1"));
    assert_eq!(elsewhere.unwrap(), UploadOutcome::New);
}

#[test]
fn one_memory_set_aside_outlives_the_merge_of_the_rest() {
    let store = store();
    store
        .quarantine("u1", "there", Some("m1"), "text is empty")
        .unwrap();
    store
        .record_upload(&upload("u1"), &system("there"), &rows(9))
        .unwrap();
    let outcome = store.upload_outcome(&system("there"), &upload("u1"));
    assert_eq!(outcome.unwrap(), UploadOutcome::Merged);
    let aside = store.quarantined().unwrap();
    assert_eq!(aside.len(), 1);
    assert_eq!(aside[0].item.as_deref(), Some("m1"));
    assert_eq!(
        (aside[0].upload_id.as_str(), aside[0].system_id.as_str()),
        ("u1", "there")
    );
}

#[test]
fn the_reason_is_renewed_and_the_time_stays() {
    let store = store();
    // Ids in a vault can be anything.
    let odd = "..\\ \0'\"";
    store.quarantine(odd, odd, None, "first").unwrap();
    store.pass(60);
    store.quarantine(odd, odd, None, "second").unwrap();
    store.quarantine("u2", "there", None, "other").unwrap();
    let aside = store.quarantined().unwrap();
    let shown: Vec<_> = aside
        .iter()
        .map(|q| (q.upload_id.as_str(), q.reason.as_str(), q.since))
        .collect();
    assert_eq!(
        shown,
        [
            (odd, "second", time(START)),
            ("u2", "other", time("2026-05-01T12:01:00Z"))
        ]
    );
}

#[test]
fn a_fault_for_good_holds_for_the_state_that_was_seen() {
    let store = store();
    let (there, u1) = (system("there"), upload("u1"));
    let fault = |seen: &str| store.fault_for_good(&u1, &there, seen).unwrap();
    store.quarantine("u1", "there", None, "away").unwrap();
    assert_eq!(fault("1"), None);
    store
        .quarantine_for_good(&u1, &there, "checksum differs", "1")
        .unwrap();
    assert_eq!(fault("1").as_deref(), Some("checksum differs"));
    assert_eq!(fault("2"), None);
    assert_eq!(store.quarantined().unwrap().len(), 1);
    store.quarantine("u1", "there", None, "away").unwrap();
    assert_eq!(fault("1"), None);
}

#[test]
fn what_is_released_is_open_no_more_until_it_is_tried_again() {
    let store = store();
    let (there, u1, u2) = (system("there"), upload("u1"), upload("u2"));
    store
        .quarantine_for_good(&u1, &there, "checksum differs", "1")
        .unwrap();
    store.quarantine("u2", "there", None, "away").unwrap();
    let triage = |upload_id| {
        let (system_id, seen) = (&there, Some("1"));
        let sighting = Sighting {
            system_id,
            upload_id,
            seen,
        };
        store.triage(&[sighting]).unwrap().remove(0)
    };
    assert_eq!(triage(&u1), Triage::Hopeless("checksum differs".into()));
    store.pass(60);
    assert!(store.release_quarantined("there", "u1").unwrap());
    assert!(!store.release_quarantined("there", "u1").unwrap());
    assert!(!store.release_quarantined("there", "u9").unwrap());
    assert_eq!(triage(&u1), Triage::Released);
    assert_eq!(store.quarantined_uploads().unwrap(), 1);
    let open = store.quarantined().unwrap();
    assert_eq!((open.len(), open[0].upload_id.as_str()), (1, "u2"));
    let released = store.released().unwrap();
    assert_eq!(released.len(), 1);
    assert_eq!(released[0].released_at, Some(time("2026-05-01T12:01:00Z")));
    let page = store.systems(10, None).unwrap();
    assert_eq!(page.systems[0].quarantined, 1);
    // A look at which it is not there any more does not undo what a person said.
    store.keep_quarantined(&[]).unwrap();
    assert_eq!(triage(&u1), Triage::Released);

    assert!(store.retry_quarantined(&there, &u1).unwrap());
    assert!(!store.retry_quarantined(&there, &u2).unwrap());
    assert!(matches!(triage(&u1), Triage::Later { not_before, .. } if not_before < time(START)));
    assert_eq!(store.quarantined().unwrap().len(), 1);
    assert_eq!(store.released().unwrap(), []);
    store.record_upload(&u1, &there, &rows(1)).unwrap();
    assert_eq!(store.quarantined().unwrap(), []);
}

#[test]
fn an_upload_that_lacks_some_memories_is_read_whole_again() {
    let store = store();
    let (there, u1) = (system("there"), upload("u1"));
    store
        .quarantine("u1", "there", Some("m1"), "text is empty")
        .unwrap();
    store.record_upload(&u1, &there, &rows(9)).unwrap();
    assert!(store.retry_quarantined(&there, &u1).unwrap());
    let outcome = store.upload_outcome(&there, &u1).unwrap();
    assert_eq!(outcome, UploadOutcome::New);
    assert_eq!(store.systems(10, None).unwrap().total, 0);
}
