//! `akosha history`.

use crate::support::{Sandbox, keys};

#[test]
fn shows_every_revision() {
    let sandbox = Sandbox::new();
    for text in ["first", "second"] {
        sandbox.store("a", text);
    }
    let answer = sandbox.json(&["history", "a"], 0);
    assert_eq!(keys(&answer), ["revisions"]);
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
fn an_unknown_id_is_an_error() {
    let (kind, _) = Sandbox::new().error(&["history", "nowhere"], 1);
    assert_eq!(kind, "not_found");
}
