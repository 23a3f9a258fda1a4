//! Ids that others claim, and what a target cannot promise.

use akosha_core::WriterId;
use akosha_store::{Claim, Target};

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
        store.claim_system(&there, Some((&writer, epoch))).unwrap()
    };
    assert_eq!(claim('1', 0), Claim::Granted);
    assert_eq!(claim('1', 0), Claim::Granted);
    assert_eq!(claim('2', 0), Claim::Taken { epoch: 0 });
    assert_eq!(claim('2', 1), Claim::Granted);
    assert_eq!(claim('1', 0), Claim::Taken { epoch: 1 });
    // A copy of a home that took the id over is told as well.
    assert_eq!(claim('2', 0), Claim::Taken { epoch: 1 });
    // Who does not say who it is cannot be told apart.
    assert_eq!(store.claim_system(&there, None).unwrap(), Claim::Granted);
}

#[test]
fn what_this_node_writes_itself_nobody_else_does() {
    let store = store();
    let claim = |name: &str| {
        let writer = writer('1');
        store
            .claim_system(&system(name), Some((&writer, 9)))
            .unwrap()
    };
    assert_eq!(claim("here"), Claim::Own);
    assert_eq!(
        store.claim_system(&system("here"), None).unwrap(),
        Claim::Own
    );
    assert_eq!(claim("former"), Claim::Granted);
    store.remember_as("former", "a", "under an id that this node had before");
    assert_eq!(claim("former"), Claim::Own);
}
