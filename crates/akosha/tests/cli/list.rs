//! `akosha list`.

use serde_json::json;

use crate::support::{Sandbox, keys};

#[test]
fn an_empty_store_says_how_to_begin() {
    let sandbox = Sandbox::new();
    let shown = sandbox.run(&["list"]).ends(0).stdout;
    insta::assert_snapshot!(shown, @r#"nothing is stored yet; store something: `akosha store "what to remember"`"#);
    assert_eq!(sandbox.run(&["list", "--tag", "x"]).ends(0).stdout, shown);
    let answer = sandbox.json(&["list"], 0);
    assert_eq!(answer, json!({"memories": [], "next_cursor": null}));
}

#[test]
fn pages_through_everything() {
    let sandbox = Sandbox::new();
    for id in ["a", "b", "c"] {
        sandbox.store(id, "text");
    }
    let first = sandbox.json(&["list", "--limit", "2"], 0);
    assert_eq!(keys(&first), ["memories", "next_cursor"]);
    assert_eq!(first["memories"][0]["memory_id"], "c");
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = sandbox.json(&["list", "--limit", "2", "--cursor", cursor], 0);
    assert_eq!(second["memories"][0]["memory_id"], "a");
    assert_eq!(second["next_cursor"], json!(null));
    let shown = sandbox.run(&["list", "--limit", "2"]).ends(0).stdout;
    assert!(
        shown.contains(&format!("more: `akosha list --cursor {cursor}`")),
        "{shown}"
    );
}

#[test]
fn filters() {
    let sandbox = Sandbox::new();
    for (id, options) in [
        ("a", &["--tag", "x", "--tag", "y"][..]),
        ("b", &["--project", "p", "--tag", "x"]),
        (
            "c",
            &[
                "--type",
                "note",
                "--metadata",
                r#"{"created_at": "2020-01-01"}"#,
            ],
        ),
    ] {
        let arguments = [&["store", "text", "--id", id], options].concat();
        sandbox.run(&arguments).ends(0);
    }
    for (filter, expected) in [
        (&["--tag", "x"][..], &["b", "a"][..]),
        (&["--tag", "x", "--tag", "y"], &["a"]),
        (&["--project", "p"], &["b"]),
        (&["--type", "note"], &["c"]),
        (&["--until", "2021-01-01"], &["c"]),
        (&["--since", "2021-01-01T00:00:00Z"], &["b", "a"]),
        (&["--system", "other"], &[]),
    ] {
        let answer = sandbox.json(&[&["list"], filter].concat(), 0);
        let memories = answer["memories"].as_array().unwrap();
        let ids: Vec<&str> = memories
            .iter()
            .map(|memory| memory["memory_id"].as_str().unwrap())
            .collect();
        assert_eq!(ids, expected, "{filter:?}");
    }
    let shown = sandbox.run(&["list", "--system", "other"]).ends(0).stdout;
    assert_eq!(shown, "no memory passes the filter\n");
}

#[test]
fn an_empty_tag_is_refused() {
    let sandbox = Sandbox::new();
    for command in [&["list"][..], &["search", "x"], &["export"]] {
        let (kind, message) = sandbox.error(&[command, &["--tag", ""]].concat(), 2);
        assert_eq!(kind, "invalid");
        assert!(message.contains("--tag"), "{message}");
    }
}

#[test]
fn bad_pages_are_named() {
    let sandbox = Sandbox::new();
    for (arguments, field) in [
        (&["list", "--limit", "0"][..], "`limit`"),
        (&["list", "--limit", "1001"], "`limit`"),
        (&["list", "--cursor", "x"], "`cursor`"),
    ] {
        let (kind, message) = sandbox.error(arguments, 2);
        assert_eq!(kind, "invalid");
        assert!(message.starts_with(field), "{message}");
    }
}
