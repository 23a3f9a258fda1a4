//! `akosha store`.

use serde_json::json;

use crate::support::{Sandbox, keys};

#[test]
fn answers_as_the_tool_does() {
    let sandbox = Sandbox::new();
    let arguments = [
        "store",
        "text",
        "--id",
        "a",
        "--tag",
        "x",
        "--tag",
        "y",
        "--project",
        "p",
        "--type",
        "note",
        "--session",
        "s",
        "--metadata",
        r#"{"ticket": 42, "tags": ["z"]}"#,
    ];
    let answer = sandbox.json(&arguments, 0);
    assert_eq!(
        keys(&answer),
        [
            "deduplicated",
            "embedding_dim",
            "error",
            "memory_id",
            "redactions",
            "revision",
            "status",
            "stored_at"
        ]
    );
    assert_eq!(answer["status"], "stored");
    assert_eq!(answer["memory_id"], "a");
    assert_eq!(answer["revision"], 1);
    assert_eq!(answer["deduplicated"], false);

    assert_eq!(sandbox.json(&arguments, 0)["deduplicated"], true);
    let metadata = &sandbox.json(&["get", "a"], 0)["metadata"];
    let expected = json!({
        "ticket": 42, "tags": ["z", "x", "y"], "project": "p", "type": "note", "session_id": "s"
    });
    assert_eq!(*metadata, expected);
    let second = sandbox.json(&["store", "other text", "--id", "a"], 0);
    assert_eq!(second["revision"], 2);
}

#[test]
fn reads_standard_input() {
    let sandbox = Sandbox::new();
    for arguments in [&["store", "--id", "a"][..], &["store", "-", "--id", "b"]] {
        sandbox.run_with(arguments, "two\nlines\n").ends(0);
    }
    for id in ["a", "b"] {
        assert_eq!(sandbox.json(&["get", id], 0)["text"], "two\nlines");
    }
    let most = "a".repeat(1 << 20);
    sandbox.run_with(&["store"], format!("{most}\n")).ends(0);
    for (input, said) in [
        (format!("{most}b").into_bytes(), "limit of 1048576 bytes"),
        (
            format!("{most}é{most}").into_bytes(),
            "limit of 1048576 bytes",
        ),
        (b"a\xffb".to_vec(), "not UTF-8 at byte 1"),
        (b" \n".to_vec(), "`text` is empty"),
    ] {
        let run = sandbox.run_with(&["store"], input).ends(2);
        assert!(run.stderr.contains(said), "{run:?}");
        assert!(run.stderr.contains("\nhint: "), "{run:?}");
    }
}

#[test]
fn keeps_an_embedding_from_a_file() {
    let sandbox = Sandbox::new();
    let good = sandbox.file("good.json", json!(vec![0.5; 384]).to_string());
    let answer = sandbox.json(&["store", "text", "--id", "a", "--embedding", &good], 0);
    assert_eq!(answer["embedding_dim"], 384);
    for (content, said) in [
        (
            json!(vec![0.5; 383]).to_string(),
            "has 383 numbers, expected 384",
        ),
        ("[1, \"x\"]".to_owned(), "no list of numbers"),
        (json!(vec![1e39; 384]).to_string(), "embedding"),
    ] {
        let bad = sandbox.file("bad.json", content);
        let (kind, message) = sandbox.error(&["store", "text", "--embedding", &bad], 2);
        assert_eq!(kind, "invalid");
        assert!(message.contains(said), "{message}");
    }
    let (kind, message) = sandbox.error(&["store", "text", "--embedding", "nowhere"], 1);
    assert_eq!(kind, "storage");
    assert!(message.contains("`nowhere`"), "{message}");
}

#[test]
fn refuses_what_breaks_a_rule_by_name() {
    let sandbox = Sandbox::new();
    for (arguments, field) in [
        (&["store", ""][..], "`text`"),
        (&["store", "x", "--id", " a"], "`memory_id`"),
        (&["store", "x", "--metadata", "[1]"], "`metadata`"),
        (
            &["store", "x", "--metadata", r#"{"created_at": "soon"}"#],
            "`metadata.created_at`",
        ),
        (
            &["store", "x", "--metadata", r#"{"tags": "a"}"#],
            "`metadata.tags`",
        ),
        (
            &["store", "x", "--metadata", r#"{"tags": [""]}"#],
            "`metadata.tags` must not hold an empty tag",
        ),
        (
            &["store", "x", "--tag", "a", "--tag", ""],
            "`metadata.tags` must not hold an empty tag",
        ),
        (
            &["store", "<private>all of it</private>"],
            "`text` is empty once what is private is taken out",
        ),
    ] {
        let (kind, message) = sandbox.error(arguments, 2);
        assert_eq!(kind, "invalid");
        assert!(message.starts_with(field), "{message}");
    }
    let nothing = sandbox.json(&["list"], 0);
    assert_eq!(nothing["memories"], json!([]));
}

#[test]
fn takes_secrets_out() {
    let sandbox = Sandbox::new();
    let answer = sandbox.json(
        &["store", "a <private>pin 1234</private> b", "--id", "a"],
        0,
    );
    assert_eq!(answer["redactions"], 1);
    let text = sandbox.json(&["get", "a"], 0)["text"].to_string();
    assert!(!text.contains("1234"), "{text}");
}

#[test]
fn a_key_that_is_missing_is_warned_of_once_and_the_memory_is_stored() {
    let sandbox = Sandbox::with_vault().with("AKOSHA_ENCRYPTION", "on");
    let run = sandbox.run(&["store", "text"]).ends(0);
    assert_eq!(run.stderr.matches("warning:").count(), 1, "{run:?}");
    assert!(run.stderr.contains("`akosha key create`"), "{run:?}");
    assert_eq!(sandbox.json(&["status"], 0)["store"]["memories"], 1);
    sandbox.run(&["key", "create"]).ends(0);
    assert_eq!(sandbox.run(&["store", "more"]).ends(0).stderr, "");
}
