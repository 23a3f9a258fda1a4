//! `akosha search`.

use serde_json::json;

use crate::support::{Sandbox, keys, without_times};

#[test]
fn answers_as_the_tool_does() {
    let sandbox = Sandbox::new();
    sandbox
        .run(&["store", "the WAL grew", "--id", "a", "--project", "p"])
        .ends(0);
    sandbox.store("b", "something else");
    let answer = sandbox.json(&["search", "wal"], 0);
    assert_eq!(keys(&answer), ["missing", "partial", "results", "took_ms"]);
    let found = &answer["results"][0];
    assert_eq!(
        keys(found),
        [
            "also_in",
            "created_at",
            "matched",
            "memory_id",
            "metadata",
            "score",
            "system_id",
            "text",
            "tier"
        ]
    );
    assert_eq!(found["memory_id"], "a");
    assert_eq!(found["matched"], json!(["keyword"]));
    assert_eq!(answer["partial"], false);
    let filtered = sandbox.json(&["search", "wal", "--project", "q"], 0);
    assert_eq!(filtered["results"], json!([]));
    let shown = sandbox.run(&["search", "wal"]).ends(0).stdout;
    insta::assert_snapshot!(without_times(&shown), @r"
    1.00  a  test-system  TIME
          the WAL grew
    ");
}

#[test]
fn any_text_is_a_query() {
    let sandbox = Sandbox::new();
    sandbox.store("a", "what does \"NOT\" do in C++ (operators)?");
    for query in [
        "\"",
        "NOT",
        "a AND (b",
        "C++",
        "*",
        "text: x",
        "--",
        "' OR 1=1 --",
        "日本",
        "",
    ] {
        sandbox.run(&["search", "--", query]).ends(0);
    }
    for blank in ["", " \t\n"] {
        let answer = sandbox.json(&["search", blank], 0);
        assert_eq!(answer["results"], json!([]));
        assert_eq!(answer["partial"], false);
        let shown = sandbox.run(&["search", blank]).ends(0).stdout;
        assert_eq!(shown, "nothing matches\n");
    }
    let answer = sandbox.json(&["search", "\"NOT\" (operators)"], 0);
    assert_eq!(answer["results"][0]["memory_id"], "a");
}

#[test]
fn a_search_that_looks_nowhere_fails() {
    let sandbox = Sandbox::new();
    sandbox.store("a", "text");
    let command = ["search", "text", "--mode", "semantic"];
    let (kind, message) = sandbox.error(&command, 2);
    assert_eq!(kind, "invalid");
    assert!(message.starts_with("nothing was searched: "), "{message}");
    let run = sandbox.run(&command).ends(2);
    assert_eq!(run.stdout, "");
    assert!(run.stderr.contains("`akosha search QUERY`"), "{run:?}");
    assert_eq!(
        sandbox.run(&["search", "nothing"]).ends(0).stdout,
        "nothing matches\n"
    );
}

#[test]
fn an_empty_store_says_how_to_begin() {
    let shown = Sandbox::new().run(&["search", "x"]).ends(0).stdout;
    assert!(
        shown.contains("akosha store \"what to remember\""),
        "{shown}"
    );
}

#[test]
fn bad_bounds_are_named() {
    let sandbox = Sandbox::new();
    for (arguments, field) in [
        (&["search", "x", "--limit", "0"][..], "`limit`"),
        (&["search", "x", "--limit", "101"], "`limit`"),
        (&["search", "x", "--min-score", "1.5"], "`min_score`"),
        (&["search", "x", "--min-score", "NaN"], "`min_score`"),
    ] {
        let (_, message) = sandbox.error(arguments, 2);
        assert!(message.starts_with(field), "{message}");
    }
}
