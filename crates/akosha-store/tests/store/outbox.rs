//! What is still to be pushed, and how far each push has come.

use akosha_core::{IngestionMethod, UploadId};
use akosha_store::{Change, Op, PushIntent, PushState, Target, Unsynced};

use crate::support::{START, change, id, memory, store, system, time};

fn upload(name: &str) -> UploadId {
    name.parse().unwrap()
}

#[test]
fn each_target_and_system_has_a_cursor_of_its_own() {
    let store = store();
    let (cloud, http) = (
        Target::new("cloud", "s3://b"),
        Target::new("http", "http://h"),
    );
    assert_eq!(
        store.push_state(&cloud, &system("here")).unwrap(),
        PushState::default()
    );
    store
        .ack_push(&cloud, &system("here"), Some(&upload("u1")), 5)
        .unwrap();
    let state = store.push_state(&cloud, &system("here")).unwrap();
    assert_eq!(state.acked_seq, 5);
    assert_eq!(state.last_upload_id, Some(upload("u1")));
    assert_eq!(state.verified_at, Some(time(START)));
    for (target, name) in [(&http, "here"), (&cloud, "there")] {
        assert_eq!(
            store.push_state(target, &system(name)).unwrap(),
            PushState::default()
        );
    }
}

#[test]
fn a_cursor_never_moves_back() {
    let store = store();
    let target = Target::new("cloud", "s3://b");
    store
        .ack_push(&target, &system("here"), Some(&upload("u1")), 5)
        .unwrap();
    store.ack_push(&target, &system("here"), None, 3).unwrap();
    let state = store.push_state(&target, &system("here")).unwrap();
    assert_eq!(
        (state.acked_seq, state.last_upload_id),
        (5, Some(upload("u1")))
    );
}

#[test]
fn an_upload_that_was_begun_is_known_until_it_is_acknowledged_or_given_up() {
    let store = store();
    let target = Target::new("cloud", "s3://b");
    let intent = PushIntent {
        upload_id: upload("u1"),
        to_seq: 7,
        at: time(START),
    };
    let begun = || store.push_state(&target, &system("here")).unwrap().intent;
    store.begin_push(&target, &system("here"), &intent).unwrap();
    assert_eq!(begun(), Some(intent.clone()));
    // Another process sees it, as the next one after a crash does.
    let after = store.again().push_state(&target, &system("here")).unwrap();
    assert_eq!((after.intent, after.acked_seq), (Some(intent.clone()), 0));
    store.abandon_push(&target, &system("here")).unwrap();
    assert_eq!(begun(), None);
    store.begin_push(&target, &system("here"), &intent).unwrap();
    store
        .adopt(&target, &system("here"), &upload("u0"), 3, true)
        .unwrap();
    store
        .ack_push(&target, &system("here"), Some(&upload("u1")), 7)
        .unwrap();
    assert_eq!(begun(), None);
    let state = store.push_state(&target, &system("here")).unwrap();
    assert_eq!((state.epoch, state.acked_seq), (3, 7));
}

#[test]
fn who_adopts_gives_up_what_was_begun_and_may_have_to_send_all_again() {
    let store = store();
    let target = Target::new("cloud", "s3://b");
    let here = system("here");
    let intent = PushIntent {
        upload_id: upload("u2"),
        to_seq: 9,
        at: time(START),
    };
    let state = || store.push_state(&target, &here).unwrap();
    for (keeps_cursor, acked_seq) in [(true, 7), (false, 0)] {
        store
            .ack_push(&target, &here, Some(&upload("u1")), 7)
            .unwrap();
        store.begin_push(&target, &here, &intent).unwrap();
        store
            .adopt(&target, &here, &upload("u5"), 4, keeps_cursor)
            .unwrap();
        assert_eq!((state().acked_seq, state().intent), (acked_seq, None));
        assert_eq!(state().last_upload_id, Some(upload("u5")));
    }
    store.ack_push(&target, &here, None, 7).unwrap();
    store.reset_push(&target, &here).unwrap();
    assert_eq!(state(), PushState::default());
}

#[test]
fn uploads_that_were_begun_here_are_known_whatever_the_address() {
    let store = store();
    let (old, new) = (
        Target::new("cloud", "file:///a"),
        Target::new("cloud", "file:///b"),
    );
    let here = system("here");
    let intent = |name: &str, to_seq| PushIntent {
        upload_id: upload(name),
        to_seq,
        at: time(START),
    };
    assert_eq!(store.begun(&here, &upload("u1")).unwrap(), None);
    store.begin_push(&old, &here, &intent("u1", 9)).unwrap();
    store.begin_push(&old, &here, &intent("u1", 7)).unwrap();
    store.ack_push(&old, &here, Some(&upload("u1")), 7).unwrap();
    let begun = store.begun(&here, &upload("u1")).unwrap().unwrap();
    assert_eq!((begun.epoch, begun.intent.clone()), (0, intent("u1", 7)));
    assert_eq!(store.begun(&system("there"), &upload("u1")).unwrap(), None);

    store
        .resume_push(&new, &here, &begun.intent, 0, true)
        .unwrap();
    let state = store.push_state(&new, &here).unwrap();
    assert_eq!(
        (state.acked_seq, state.last_upload_id),
        (7, Some(upload("u1")))
    );
    assert_eq!(state.verified_at, Some(time(START)));
    // What an adoption found as the newest is this store's from then on.
    store
        .adopt(&new, &here, &upload("theirs"), 2, true)
        .unwrap();
    let taken = store.begun(&here, &upload("theirs")).unwrap().unwrap();
    assert_eq!((taken.epoch, taken.intent.to_seq), (2, 7));
    // One that is damaged there is gone on from, and everything is sent anew.
    store
        .resume_push(&new, &here, &taken.intent, 2, false)
        .unwrap();
    let state = store.push_state(&new, &here).unwrap();
    assert_eq!(
        (state.acked_seq, state.epoch, state.verified_at),
        (0, 2, None)
    );
}

#[test]
fn what_is_unsynced_is_counted_since_the_acknowledged_change() {
    let store = store();
    let target = Target::new("cloud", "s3://b");
    let unsynced = || store.unsynced(&target, &system("here")).unwrap();
    assert_eq!(unsynced(), Unsynced::default());
    store.remember("a", "one");
    store.pass(10);
    store.remember("a", "two");
    store.remember("a", "two");
    store.remember_as("there", "b", "not of this system");
    // What was pulled is not sent.
    store
        .merge(
            &[Change {
                system_id: system("here"),
                ..change("c", 1, Op::Put, "pulled")
            }],
            IngestionMethod::CloudPull,
        )
        .unwrap();
    let counted = unsynced();
    assert_eq!((counted.changes, counted.oldest_at), (2, Some(time(START))));
    store
        .ack_push(&target, &system("here"), None, counted.last_seq - 1)
        .unwrap();
    let rest = unsynced();
    assert_eq!((rest.changes, rest.last_seq), (1, counted.last_seq));
    assert_eq!(rest.oldest_at, Some(time("2026-05-01T12:00:10Z")));
    store
        .ack_push(&target, &system("here"), None, counted.last_seq)
        .unwrap();
    assert_eq!(unsynced(), Unsynced::default());
    store.forget(&id("a"), None, false).unwrap();
    assert_eq!(unsynced().changes, 1);
}

#[test]
fn changes_come_in_order_and_in_pieces() {
    let store = store();
    for i in 0..10 {
        store.remember(&format!("m{}", i % 4), &format!("text {i}"));
    }
    let all = |heads_only| {
        store
            .changes(&system("here"), 0, i64::MAX, 100, heads_only)
            .unwrap()
    };
    let whole = all(false);
    assert_eq!(whole.len(), 10);
    assert!(whole.is_sorted_by(|a, b| a.seq < b.seq));
    let mut pieces = Vec::new();
    loop {
        let after = pieces.last().map_or(0, |change: &Change| change.seq);
        let piece = store
            .changes(&system("here"), after, whole[7].seq, 3, false)
            .unwrap();
        if piece.is_empty() {
            break;
        }
        pieces.extend(piece);
    }
    assert_eq!(pieces, whole[..8]);
    let heads: Vec<_> = all(true).into_iter().map(|change| change.text).collect();
    assert_eq!(heads, ["text 6", "text 7", "text 8", "text 9"]);
}

#[test]
fn an_erasure_takes_unsent_content_out_of_what_is_sent() {
    let store = store();
    store.remember("a", "one");
    store.remember("a", "two");
    store.forget(&id("a"), None, true).unwrap();
    let sent = store
        .changes(&system("here"), 0, i64::MAX, 10, false)
        .unwrap();
    assert_eq!(sent.len(), 1);
    assert_eq!((sent[0].op, sent[0].revision), (Op::Erase, 3));
    store.remember("b", "later");
    let after = store
        .changes(&system("here"), sent[0].seq, i64::MAX, 10, false)
        .unwrap();
    assert_eq!(after.len(), 1, "a number is never used twice");
}

#[test]
fn local_systems_are_those_whose_memories_were_made_here() {
    let store = store();
    assert_eq!(store.local_systems().unwrap(), [system("here")]);
    store.remember_as("zebra", "a", "x");
    store.remember_as("aardvark", "a", "x");
    store
        .merge(&[change("p", 1, Op::Put, "x")], IngestionMethod::CloudPull)
        .unwrap();
    store
        .put(
            &system("pushed"),
            &memory("a", "x"),
            IngestionMethod::HttpPush,
        )
        .unwrap();
    let systems = store.local_systems().unwrap();
    assert_eq!(systems, ["here", "aardvark", "zebra"].map(system));
}

#[test]
fn refused_memories_are_kept_until_they_are_taken() {
    let store = store();
    let target = Target::new("http", "http://h");
    let refuse = |name: &str, seq, error| {
        store
            .reject(&target, &system("here"), &id(name), seq, error)
            .unwrap();
    };
    refuse("b", 2, "too large");
    refuse("a", 1, "bad");
    refuse("a", 3, "still bad");
    let rejected = store.rejected(&target, &system("here")).unwrap();
    let shown: Vec<_> = rejected
        .iter()
        .map(|r| (r.memory_id.as_str(), r.seq, r.attempts, r.error.as_str()))
        .collect();
    assert_eq!(shown, [("b", 2, 1, "too large"), ("a", 3, 2, "still bad")]);
    store.accept(&target, &system("here"), &id("b")).unwrap();
    store
        .accept(&target, &system("here"), &id("unknown"))
        .unwrap();
    assert_eq!(store.rejected(&target, &system("here")).unwrap().len(), 1);
    let other = Target::new("http", "http://other");
    assert_eq!(store.rejected(&other, &system("here")).unwrap(), []);
}

#[test]
fn the_newest_change_of_a_memory_may_be_its_deletion() {
    let store = store();
    let newest = || store.newest_change(&system("here"), &id("a")).unwrap();
    assert_eq!(newest(), None);
    store.remember("a", "one");
    assert_eq!(newest().unwrap().text, "one");
    store.forget(&id("a"), None, false).unwrap();
    assert_eq!(newest().unwrap().op, Op::Forget);
}
