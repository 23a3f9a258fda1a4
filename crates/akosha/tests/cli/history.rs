//! `akosha history`.

use serde_json::json;

use crate::support::{Sandbox, keys, without_times};

#[test]
fn shows_every_revision() {
    let sandbox = Sandbox::new();
    for text in ["first", "second"] {
        sandbox.store("a", text);
    }
    let answer = sandbox.json(&["history", "a"], 0);
    assert_eq!(
        keys(&answer),
        ["deletion", "deletions", "forgotten", "revisions"]
    );
    assert_eq!(answer["forgotten"], false);
    assert_eq!(answer["deletion"], json!(null));
    let texts: Vec<(i64, &str)> = answer["revisions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|memory| {
            let revision = memory["revision"].as_i64().unwrap();
            (revision, memory["text"].as_str().unwrap())
        })
        .collect();
    assert_eq!(texts, [(1, "first"), (2, "second")]);
    let shown = sandbox.run(&["history", "a"]).ends(0).stdout;
    assert!(
        shown.starts_with("revision 1  ") && shown.ends_with("\nsecond\n"),
        "{shown}"
    );
}

#[test]
fn a_deletion_is_shown() {
    let sandbox = Sandbox::new();
    sandbox.store("a", "first");
    sandbox.run(&["forget", "a"]).ends(0);
    let answer = sandbox.json(&["history", "a"], 0);
    assert_eq!(answer["revisions"].as_array().unwrap().len(), 1);
    assert_eq!(answer["forgotten"], true);
    let deletion = &answer["deletion"];
    assert_eq!(
        keys(deletion),
        ["deleted_at", "op", "revision", "system_id"]
    );
    assert_eq!(deletion["op"], "forget");
    assert_eq!(deletion["revision"], 2);
    let shown = sandbox.run(&["history", "a"]).ends(0).stdout;
    insta::assert_snapshot!(without_times(&shown), @r"
    revision 1  TIME  test-system
    first
    revision 2  TIME  test-system
    forgotten
    `akosha forget ID --erase` removes the content too
    ");
    sandbox.store("a", "third");
    let answer = sandbox.json(&["history", "a"], 0);
    assert_eq!(answer["forgotten"], false);
    assert_eq!(answer["deletion"], json!(null));
    assert_eq!(answer["deletions"][0]["revision"], 2);
    let shown = sandbox.run(&["history", "a"]).ends(0).stdout;
    insta::assert_snapshot!(without_times(&shown), @r"
    revision 1  TIME  test-system
    first
    revision 2  TIME  test-system
    forgotten
    revision 3  TIME  test-system
    third
    ");

    sandbox.run(&["forget", "a", "--erase"]).ends(0);
    let answer = sandbox.json(&["history", "a"], 0);
    assert_eq!(answer["revisions"], json!([]));
    assert_eq!(answer["forgotten"], true);
    assert_eq!(answer["deletion"]["op"], "erase");
    let shown = sandbox.run(&["history", "a"]).ends(0).stdout;
    insta::assert_snapshot!(without_times(&shown), @r"
    revision 4  TIME  test-system
    its content was erased
    ");

    sandbox.store("a", "again");
    let answer = sandbox.json(&["history", "a"], 0);
    assert_eq!(answer["forgotten"], false);
}

#[test]
fn the_deletion_of_a_memory_of_another_system_is_shown() {
    let (_sender, receiver) = Sandbox::sender_and_receiver("text");
    receiver.run(&["pull"]).ends(0);
    receiver.run(&["forget", "a"]).ends(0);
    let answer = receiver.json(&["history", "a"], 0);
    assert_eq!(answer["deletion"]["system_id"], "test-system");
    receiver.run(&["forget", "a", "--erase"]).ends(0);
    let answer = receiver.json(&["history", "a"], 0);
    assert_eq!(answer["forgotten"], true);
    assert_eq!(answer["deletion"]["op"], "erase", "{answer}");
    assert_eq!(answer["deletion"]["system_id"], "test-system");
    let named = receiver.json(&["history", "a", "--system", "test-system"], 0);
    assert_eq!(named["deletion"]["op"], "erase");
}

#[test]
fn an_unknown_id_is_an_error() {
    let (kind, _) = Sandbox::new().error(&["history", "nowhere"], 1);
    assert_eq!(kind, "not_found");
}
