//! `akosha get`.

use crate::support::{Sandbox, keys, without_times};

#[test]
fn shows_a_memory_whole() {
    let sandbox = Sandbox::new();
    let arguments = [
        "store",
        "the text",
        "--id",
        "a",
        "--project",
        "p",
        "--tag",
        "x",
    ];
    sandbox.run(&arguments).ends(0);
    let memory = sandbox.json(&["get", "a"], 0);
    assert_eq!(
        keys(&memory),
        [
            "created_at",
            "embedding_dim",
            "ingestion_method",
            "memory_id",
            "metadata",
            "revision",
            "stored_at",
            "system_id",
            "text",
            "tier",
            "updated_at"
        ]
    );
    assert_eq!(memory["system_id"], "test-system");
    assert_eq!(memory["ingestion_method"], "local");
    assert_eq!(memory["tier"], "hot");
    assert_eq!(
        sandbox.json(&["get", "a", "--system", "test-system"], 0),
        memory
    );
    let shown = sandbox.run(&["get", "a"]).ends(0).stdout;
    insta::assert_snapshot!(without_times(&shown), @r"
    a
    system         test-system
    type           session_memory
    project        p
    tags           x
    created        TIME
    revision       1

    the text
    ");
}

#[test]
fn an_unknown_id_is_an_error() {
    let sandbox = Sandbox::new();
    let (kind, message) = sandbox.error(&["get", "nowhere"], 1);
    assert_eq!(
        (kind.as_str(), message.as_str()),
        ("not_found", "no memory `nowhere`")
    );
    sandbox.store("a", "text");
    sandbox.error(&["get", "a", "--system", "other"], 1);
    let run = sandbox.run(&["get", "nowhere"]).ends(1);
    insta::assert_snapshot!(run.stderr, @r"
    error: no memory `nowhere`
    hint: list what is stored: `akosha list`
    ");
}

#[test]
fn a_hostile_text_does_not_steer_the_terminal() {
    let sandbox = Sandbox::new();
    sandbox.store("a", "red \u{1b}[31m text");
    for command in [
        &["get", "a"][..],
        &["list"],
        &["search", "red"],
        &["history", "a"],
    ] {
        let shown = sandbox.run(command).ends(0).stdout;
        assert!(!shown.contains('\u{1b}'), "{shown:?}");
    }
}
