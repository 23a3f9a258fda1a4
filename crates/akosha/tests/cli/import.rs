//! `akosha import`.

use crate::support::{Sandbox, keys};

#[test]
fn markdown_comes_in_by_section_and_once() {
    let sandbox = Sandbox::new();
    let file = sandbox.file(
        "docs/a.md",
        "# One\n\ntext of one\n\n# Two\n\ntext of two\n",
    );
    let folder = file.trim_end_matches("/a.md");
    let answer = sandbox.json(&["import", "markdown", folder], 0);
    assert_eq!(
        keys(&answer),
        [
            "duplicates",
            "duration_seconds",
            "hint",
            "read",
            "redactions",
            "skipped",
            "stored",
            "updated",
            "vectors_left_out"
        ]
    );
    assert_eq!(answer["stored"], 2, "{answer}");
    let again = sandbox.json(&["import", "markdown", folder], 0);
    assert_eq!(
        (&again["stored"], &again["duplicates"]),
        (&0.into(), &2.into())
    );
    let found = sandbox.json(&["search", "text of two"], 0);
    assert_eq!(found["results"].as_array().unwrap().len(), 2);
    let shown = sandbox.run(&["import", "markdown", folder]).ends(0).stdout;
    assert!(
        shown.starts_with("imported 2 memories: 0 new, 0 updated, 2 known"),
        "{shown}"
    );
}

#[test]
fn what_is_skipped_is_named() {
    let sandbox = Sandbox::new();
    sandbox.file("docs/good.md", "# One\n\ntext\n");
    sandbox.file("docs/bad.md", b"# \xff\xfe\n\ntext\n");
    let folder = sandbox.path("docs");
    let answer = sandbox.json(&["import", "markdown", folder.to_str().unwrap()], 3);
    assert_eq!(answer["stored"], 1);
    let path = answer["skipped"][0]["path"].as_str().unwrap();
    assert!(path.ends_with("bad.md"), "{path}");
}

#[test]
fn a_folder_without_markdown_tells_what_is_read() {
    let sandbox = Sandbox::new();
    sandbox.file("docs/notes.txt", "# One\n\ntext\n");
    sandbox.file("docs/.hidden/a.md", "# One\n\ntext\n");
    let folder = sandbox.path("docs");
    let command = ["import", "markdown", folder.to_str().unwrap()];
    let answer = sandbox.json(&command, 0);
    assert_eq!(answer["read"], 0);
    let hint = answer["hint"].as_str().unwrap();
    for ending in ["`.md`", "`.markdown`"] {
        assert!(hint.contains(ending), "{hint}");
    }
    let shown = sandbox.run(&command).ends(0).stdout;
    assert_eq!(shown, format!("nothing to import was found\n{hint}\n"));
    // Named by itself it is refused.
    let notes = folder.join("notes.txt");
    let refused = sandbox.json(&["import", "markdown", notes.to_str().unwrap()], 2);
    assert_eq!(refused["error"]["kind"], "invalid", "{refused}");
    assert_eq!(refused["error"]["hint"], hint, "{refused}");
    sandbox.file("docs/a.markdown", "# One\n\ntext\n");
    assert_eq!(sandbox.json(&command, 0)["hint"], serde_json::Value::Null);
}

#[test]
fn bad_calls_are_named() {
    let sandbox = Sandbox::new();
    let (kind, message) = sandbox.error(&["import", "markdown", "nowhere"], 1);
    assert_eq!(kind, "not_found");
    assert!(message.contains("`nowhere`"), "{message}");
    let (_, message) = sandbox.error(&["import", "docx", "."], 2);
    assert!(message.contains("markdown"), "{message}");
}

#[test]
fn the_docs_of_two_projects_are_two_trees() {
    let sandbox = Sandbox::new();
    for (project, text) in [
        ("one", "# Title\n\nproject one\n"),
        ("two", "# Title\n\nproject two\n"),
    ] {
        let file = sandbox.file(&format!("{project}/docs/a.md"), text);
        let answer = sandbox.json(&["import", "markdown", file.trim_end_matches("/a.md")], 0);
        assert_eq!(answer["stored"], 1, "{answer}");
    }
    assert_eq!(
        sandbox.json(&["list"], 0)["memories"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
}
