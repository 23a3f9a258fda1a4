//! `akosha export`.

use std::io::Read;

use serde_json::Value;

use crate::support::{Sandbox, text};

fn filled() -> Sandbox {
    let sandbox = Sandbox::new();
    for id in ["b", "a", "c"] {
        sandbox.store(id, &format!("text of {id}"));
    }
    sandbox
}

fn lines(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn writes_one_memory_a_line_in_order() {
    let sandbox = filled();
    let exported = sandbox.run(&["export", "--format", "jsonl"]).ends(0).stdout;
    let memories = lines(&exported);
    let expected: Vec<Value> = ["a", "b", "c"]
        .iter()
        .map(|id| sandbox.json(&["get", id], 0))
        .collect();
    assert_eq!(memories, expected);
    let none = sandbox.run(&["export", "--system", "other"]).ends(0);
    assert_eq!(none.stdout, "");
}

#[test]
fn a_file_appears_when_it_is_whole() {
    let sandbox = filled();
    let path = text(&sandbox.path("out.jsonl"));
    let answer = sandbox.json(&["export", &path], 0);
    assert_eq!(answer["exported"], 3);
    assert_eq!(answer["path"], path.as_str());
    assert_eq!(lines(&std::fs::read_to_string(&path).unwrap()).len(), 3);
    let (kind, message) = sandbox.error(&["export", "nowhere/out.jsonl"], 1);
    assert_eq!(kind, "storage");
    // The system's words, and no name but the one that was given.
    let said = std::fs::File::open(sandbox.path("nowhere/out.jsonl")).unwrap_err();
    assert_eq!(message, format!("cannot write `nowhere/out.jsonl`: {said}"));
}

#[test]
fn a_file_that_is_there_is_replaced_only_when_that_is_asked_for() {
    let sandbox = filled();
    let path = sandbox.file("out.jsonl", "mine");
    let (kind, message) = sandbox.error(&["export", &path], 2);
    assert_eq!(kind, "invalid");
    assert_eq!(message, format!("`{path}` exists already"));
    let run = sandbox.run(&["export", &path]).ends(2);
    assert!(run.stderr.contains("`--force`"), "{run:?}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
    sandbox.run(&["export", "--force", &path]).ends(0);
    assert_eq!(lines(&std::fs::read_to_string(&path).unwrap()).len(), 3);

    let folder = text(&sandbox.path("home"));
    let (_, message) = sandbox.error(&["export", "--force", &folder], 2);
    assert!(message.contains("no regular file"), "{message}");
    let left: Vec<_> = std::fs::read_dir(sandbox.path(""))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .filter(|name| name.to_string_lossy().contains("export"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn on_standard_output_json_is_one_memory_a_line_too() {
    let sandbox = filled();
    let plain = sandbox.run(&["export"]).ends(0).stdout;
    assert_eq!(sandbox.run(&["export", "--json"]).ends(0).stdout, plain);
}

#[test]
fn a_reader_that_leaves_is_no_error() {
    let sandbox = Sandbox::new();
    for id in 0..8 {
        sandbox.store(&id.to_string(), &"x".repeat(100_000));
    }
    let mut child = sandbox.command(&["export"]).spawn().unwrap();
    let mut first = [0; 10];
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_exact(&mut first).unwrap();
    drop(stdout);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}
