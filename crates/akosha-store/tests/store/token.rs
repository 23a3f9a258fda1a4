//! Tokens: how they are kept, used and taken back.

use akosha_core::Scope;
use akosha_store::{NewToken, Standing, StoreError};
use chrono::TimeDelta;

use crate::support::{START, store, system, time};

fn token(name: &str, seed: u8) -> NewToken {
    NewToken {
        name: name.into(),
        hash: [seed; 32],
        scope: Scope::Write,
        system_id: Some(system("laptop")),
        expires_at: Some(time(START) + TimeDelta::days(90)),
    }
}

#[test]
fn a_token_is_kept_and_seen_by_other_processes() {
    let store = store();
    let made = store.create_token(token("laptop of Les", 1)).unwrap();
    let known = store.again().tokens().unwrap();
    assert_eq!(known, std::slice::from_ref(&made));
    assert_eq!(made.scope, Scope::Write);
    assert_eq!(made.system_id, Some(system("laptop")));
    assert_eq!(made.created_at, time(START));
    assert_eq!(made.standing(time(START)), Standing::Good);
    let end = made.expires_at.unwrap();
    assert_eq!(made.standing(end), Standing::Expired);
}

#[test]
fn a_name_is_one_tokens_until_that_is_revoked() {
    let store = store();
    let first = store.create_token(token("ci", 1)).unwrap();
    let error = store.create_token(token("ci", 2)).unwrap_err();
    assert!(matches!(error, StoreError::Invalid(_)), "{error}");
    assert!(error.to_string().contains("`ci`"), "{error}");
    let revoked = store.revoke_token("ci").unwrap().unwrap();
    assert_eq!(revoked.id, first.id);
    assert_eq!(revoked.standing(time(START)), Standing::Revoked);
    assert_eq!(store.revoke_token("ci").unwrap(), None, "it is already");
    let second = store.create_token(token("ci", 2)).unwrap();
    let by_id = store.revoke_token(&second.id).unwrap().unwrap();
    assert_eq!(by_id.name, "ci");
    assert_eq!(store.tokens().unwrap().len(), 2);
}

#[test]
fn an_id_never_means_a_token_that_is_called_like_it() {
    let store = store();
    let first = store.create_token(token("first", 1)).unwrap();
    let error = store.create_token(token(&first.id, 2)).unwrap_err();
    assert!(error.to_string().contains("form of an id"), "{error}");
    // One of a version that let such names pass.
    let second = store.create_token(token("second", 2)).unwrap();
    let database = rusqlite::Connection::open(store.folder.path().join("akosha.db")).unwrap();
    let change = "UPDATE tokens SET name = ?1 WHERE token_id = ?2";
    database.execute(change, [&first.id, &second.id]).unwrap();
    assert_eq!(store.revoke_token(&first.id).unwrap().unwrap().id, first.id);
    let left = store.tokens().unwrap();
    let good = left.iter().filter(|it| it.revoked_at.is_none());
    assert_eq!(
        good.map(|it| it.id.clone()).collect::<Vec<_>>(),
        [second.id]
    );
}

#[test]
fn names_that_cannot_be_typed_back_are_refused() {
    let store = store();
    for name in ["", " a", "a\n", &"x".repeat(101)] {
        assert!(store.create_token(token(name, 1)).is_err(), "{name:?}");
    }
    assert_eq!(store.tokens().unwrap(), []);
}

#[test]
fn use_is_noted_by_the_day() {
    let store = store();
    let made = store.create_token(token("ci", 1)).unwrap();
    let used = || store.tokens().unwrap()[0].last_used;
    assert_eq!(used(), None);
    store.note_token_use(&made.id).unwrap();
    assert_eq!(used(), Some(time("2026-05-01")));
    store.pass(3600);
    store.note_token_use(&made.id).unwrap();
    assert_eq!(used(), Some(time("2026-05-01")));
    store.pass(12 * 3600);
    store.note_token_use(&made.id).unwrap();
    assert_eq!(used(), Some(time("2026-05-02")));
}

#[test]
fn what_may_not_be_used_any_more_is_pruned() {
    let store = store();
    store.create_token(token("expires", 1)).unwrap();
    store.create_token(token("revoked", 2)).unwrap();
    let stays = NewToken {
        expires_at: None,
        ..token("stays", 3)
    };
    store.create_token(stays).unwrap();
    store.revoke_token("revoked").unwrap();
    assert_eq!(store.prune_tokens().unwrap(), 1);
    store.pass(91 * 86_400);
    assert_eq!(store.prune_tokens().unwrap(), 1);
    let left: Vec<String> = store
        .tokens()
        .unwrap()
        .into_iter()
        .map(|t| t.name)
        .collect();
    assert_eq!(left, ["stays"]);
}
