//! Ids that others claim, and what a target cannot promise.

use akosha_core::WriterId;
use akosha_store::{Claim, PushMark, Target};

use crate::support::{START, store, system, time};

fn writer(last: char) -> WriterId {
    format!("01ARZ3NDEKTSV4RRFFQ69G5FA{last}").parse().unwrap()
}

#[test]
fn a_dispute_is_known_until_it_is_settled() {
    let store = store();
    let (cloud, http) = (
        Target::new("cloud", "s3://b"),
        Target::new("http", "http://h"),
    );
    let here = system("here");
    store
        .dispute(&cloud, &here, Some(3), "taken", "mend it")
        .unwrap();
    store.pass(60);
    store
        .dispute(&cloud, &here, Some(4), "still taken", "mend it")
        .unwrap();
    let found = store.disputes(&cloud).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(
        (found[0].epoch, found[0].message.as_str()),
        (Some(4), "still taken")
    );
    assert_eq!(found[0].since, time(START));
    assert_eq!(store.disputes(&http).unwrap(), []);
    store.undispute(&http, &here).unwrap();
    assert_eq!(store.disputes(&cloud).unwrap().len(), 1);
    store.undispute(&cloud, &here).unwrap();
    assert_eq!(store.disputes(&cloud).unwrap(), []);

    store
        .dispute(&http, &here, Some(1), "taken", "mend it")
        .unwrap();
    store.outbid(&http, &here, 2).unwrap();
    assert_eq!(store.disputes(&http).unwrap(), []);
    assert_eq!(store.push_state(&http, &here).unwrap().epoch, 2);
}

#[test]
fn warnings_of_a_target_are_those_that_were_found_last() {
    let store = store();
    let target = Target::new("cloud", "s3://b");
    assert_eq!(store.warnings(&target).unwrap(), Vec::<String>::new());
    store.set_warnings(&target, &["no locks".into()]).unwrap();
    assert_eq!(store.again().warnings(&target).unwrap(), ["no locks"]);
    store.set_warnings(&target, &[]).unwrap();
    assert_eq!(store.warnings(&target).unwrap(), Vec::<String>::new());
}

#[test]
fn a_system_has_one_writer_until_another_outbids_it() {
    let store = store();
    let there = system("there");
    let claim = |who: char, epoch| {
        let writer = writer(who);
        store
            .claim_system(&there, Some((&writer, epoch)), None)
            .unwrap()
    };
    assert_eq!(claim('1', 0), Claim::Granted);
    assert_eq!(claim('1', 0), Claim::Granted);
    assert_eq!(claim('2', 0), Claim::Taken { epoch: 0 });
    assert_eq!(claim('2', 1), Claim::Granted);
    assert_eq!(claim('1', 0), Claim::Taken { epoch: 1 });
    // A copy of a home that took the id over is told as well.
    assert_eq!(claim('2', 0), Claim::Taken { epoch: 1 });
    // Who does not say who it is cannot be told apart.
    assert_eq!(
        store.claim_system(&there, None, None).unwrap(),
        Claim::Granted
    );
}

#[test]
fn what_this_node_writes_itself_nobody_else_does() {
    let store = store();
    let claim = |name: &str| {
        let writer = writer('1');
        store
            .claim_system(&system(name), Some((&writer, 9)), None)
            .unwrap()
    };
    assert_eq!(claim("here"), Claim::Own);
    assert_eq!(
        store.claim_system(&system("here"), None, None).unwrap(),
        Claim::Own
    );
    assert_eq!(claim("former"), Claim::Granted);
    store.remember_as("former", "a", "under an id that this node had before");
    assert_eq!(claim("former"), Claim::Own);
}

#[test]
fn a_copy_of_a_home_is_told_by_its_pushes() {
    let (node, home) = (store(), store());
    let (target, laptop) = (Target::new("http", "http://node/mcp"), system("laptop"));
    let writer = home.writer_id().clone();
    let push = |epoch| {
        let mark = home.mark_push(&target, &laptop).unwrap();
        let claim = node.claim_system(&laptop, Some((&writer, epoch)), Some(&mark));
        (mark, claim.unwrap())
    };
    let answered = || home.answered_push(&target, &laptop).unwrap();
    // A push whose answer was lost is repeated as the same one.
    let (first, claim) = push(0);
    assert_eq!(claim, Claim::Granted);
    assert_eq!(push(0), (first.clone(), Claim::Granted));
    answered();
    let (second, claim) = push(0);
    assert_eq!(claim, Claim::Granted);
    assert_eq!(second.after, std::slice::from_ref(&first.id));
    answered();
    // Another target, and another system, have marks of their own.
    let elsewhere = Target::new("http", "http://elsewhere/mcp");
    assert_eq!(home.mark_push(&elsewhere, &laptop).unwrap().after, []);
    assert_eq!(home.mark_push(&target, &system("other")).unwrap().after, []);

    // A copy that was made after the first push goes on from there.
    let copy = PushMark {
        id: "01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap(),
        after: vec![first.id.clone()],
    };
    let by_copy = |epoch| {
        let writer = Some((&writer, epoch));
        node.claim_system(&laptop, writer, Some(&copy)).unwrap()
    };
    assert_eq!(by_copy(0), Claim::Copied { epoch: 0 });
    // Where a person lets it have the system, it is the home that is told.
    assert_eq!(by_copy(1), Claim::Granted);
    assert_eq!(push(0).1, Claim::Taken { epoch: 1 });
    assert_eq!(push(1).1, Claim::Copied { epoch: 1 });
    assert_eq!(push(2).1, Claim::Granted);
    answered();
    // No more than four before it are told.
    for _ in 0..9 {
        assert_eq!(push(2).1, Claim::Granted);
        answered();
    }
    assert_eq!(push(2).0.after.len(), 4);
    // A program that marks nothing is not refused for it.
    let unmarked = node.claim_system(&laptop, Some((&writer, 2)), None);
    assert_eq!(unmarked.unwrap(), Claim::Granted);
}
