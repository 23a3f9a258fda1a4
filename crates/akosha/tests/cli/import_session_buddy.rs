//! `akosha import session-buddy`, with a stand-in for DuckDB's command. What the real one reads is
//! tested in `tests/real`.

use serde_json::Value;

use crate::support::{Sandbox, text};

/// Returns a sandbox in which no `duckdb` is found, with a file that begins as a database does.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new().with("PATH", "/nowhere");
    let mut bytes = vec![0; 20_000];
    bytes[8..12].copy_from_slice(b"DUCK");
    bytes[52..58].copy_from_slice(b"v9.9.9");
    sandbox.file("data/reflection.duckdb", bytes);
    sandbox
}

fn import(sandbox: &Sandbox, code: i32) -> Value {
    let folder = text(&sandbox.path("data"));
    sandbox.json(&["import", "session-buddy", &folder], code)
}

fn error(answer: &Value) -> (&str, &str, &str) {
    let part = |key: &str| answer["error"][key].as_str().unwrap();
    (part("kind"), part("message"), part("hint"))
}

/// Nothing of a copy may stay.
fn assert_tidy(sandbox: &Sandbox) {
    let left: Vec<_> = std::fs::read_dir(sandbox.path("home/tmp"))
        .unwrap()
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn without_the_command_it_says_how_to_install_it() {
    let sandbox = sandbox();
    let answer = import(&sandbox, 1);
    let (kind, message, hint) = error(&answer);
    assert_eq!(kind, "not_found");
    assert!(message.contains("`duckdb`"), "{message}");
    assert!(hint.contains("pip install duckdb-cli"), "{hint}");
    assert!(hint.contains("AKOSHA_DUCKDB="), "{hint}");

    let named = sandbox.with("AKOSHA_DUCKDB", "/nowhere/duckdb");
    let answer = import(&named, 1);
    let (_, message, _) = error(&answer);
    assert!(message.contains("`/nowhere/duckdb`"), "{message}");
    let run = named.run(&["list"]);
    assert!(!run.stderr.contains("AKOSHA_DUCKDB"), "{}", run.stderr);
}

#[test]
fn a_folder_without_databases_is_named() {
    let sandbox = sandbox();
    std::fs::create_dir(sandbox.path("empty")).unwrap();
    let (kind, message) = sandbox.error(&["import", "session-buddy", "empty"], 1);
    assert_eq!(kind, "not_found");
    assert!(message.contains("knowledge_graph.duckdb"), "{message}");
    // Without a folder it looks where Session-Buddy keeps them.
    let (_, message) = sandbox.error(&["import", "session-buddy"], 1);
    let place = text(&sandbox.path(".claude/data"));
    assert!(message.contains(&place), "{message}");
    let (kind, _) = sandbox.error(&["import", "markdown"], 2);
    assert_eq!(kind, "invalid");
}

#[cfg(unix)]
mod with_a_stand_in {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const TABLES: &str = r#"
        printf '%s\n' '{"table":"conversations","column":"id","type":"VARCHAR"}'
        printf '%s\n' '{"table":"conversations","column":"content","type":"VARCHAR"}'
        printf '%s\n' '{"table":"conversations","column":"embedding","type":"FLOAT[]"}'
        printf '%s\n' '{"table":"default_reflections","column":"id","type":"VARCHAR"}'"#;

    /// Returns a sandbox with a command that answers the three statements of an import.
    fn answering(tables: &str, rows: &str) -> Sandbox {
        let sandbox = sandbox();
        let script = format!(
            "#!/bin/sh\n\
             if [ \"$1\" = --version ]; then echo v1.5.6 stand-in; exit; fi\n\
             while read -r line; do sql=\"$sql $line\"; done\n\
             case $sql in\n\
             *duckdb_columns*) {tables}\n;;\n\
             *max*) echo 3;;\n\
             *) {rows}\n;;\n\
             esac\n"
        );
        let path = sandbox.file("duckdb", script);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        sandbox.with("AKOSHA_DUCKDB", &path)
    }

    #[test]
    fn rows_come_in_and_what_does_not_is_named() {
        let rows = r#"
            printf '%s\n' '{"id":"a","bytes":9,"is_taken":false,"columns":{"id":"a","content":"one B-1234","embedding":"[1, nan]"}}'
            printf '%s\n' '{"id":"b","bytes":9,"is_taken":false,"columns":{"id":"b","content":" "}}'
            printf '%s\n' '{"id":"c","bytes":9999999,"is_taken":false,"columns":null}'"#;
        let sandbox = answering(TABLES, rows);
        sandbox.file(
            "config/akosha/redaction.toml",
            "[[rule]]\nname = 'badge'\npattern = 'B-[0-9]{4}'",
        );
        let answer = import(&sandbox, 3);
        let count = |key: &str| answer[key].as_u64().unwrap();
        assert_eq!((count("stored"), count("vectors_left_out")), (1, 1));
        assert_eq!(count("redactions"), 1);
        let skipped: Vec<_> = answer["skipped"].as_array().unwrap().iter().collect();
        let named = |at: usize| {
            let part = |key: &str| skipped[at][key].as_str().unwrap();
            (part("path"), part("reason"))
        };
        assert_eq!(skipped.len(), 3, "{answer}");
        assert_eq!(named(0).0, "reflection.duckdb: default_reflections");
        assert_eq!(named(0).1, "has no column `content`");
        assert_eq!(named(1).0, "reflection.duckdb: conversations b");
        assert!(named(1).1.contains("is empty"), "{answer}");
        assert!(named(2).1.starts_with("is 9999999 bytes"), "{answer}");
        let memory = sandbox.json(&["get", "a"], 0);
        assert_eq!(memory["text"], "one [redacted:badge]");
        assert_tidy(&sandbox);

        let folder = text(&sandbox.path("data"));
        let shown = sandbox.run(&["import", "session-buddy", &folder]).ends(3);
        let lines: Vec<&str> = shown.stdout.lines().collect();
        assert!(lines[0].starts_with("imported 2 memories: 0 new, 0 updated, 1 known"));
        assert!(
            lines.contains(&"1 vector left out: not 384 finite numbers"),
            "{lines:?}"
        );
    }

    #[test]
    fn a_file_of_a_newer_version_says_what_to_install() {
        let refuses = "echo 'IO Error: Trying to read a database file with version number 69, but \
                       we can only read versions between 64 and 68.' >&2; exit 1";
        let sandbox = answering(refuses, "");
        let answer = import(&sandbox, 1);
        let (kind, message, hint) = error(&answer);
        assert_eq!(kind, "data");
        assert!(message.contains("written by DuckDB v9.9.9"), "{message}");
        assert!(message.contains("v1.5.6 cannot read"), "{message}");
        assert!(hint.contains("v9.9.9 or newer"), "{hint}");
        assert_tidy(&sandbox);
    }

    #[test]
    fn a_command_that_fails_in_between_is_told_with_what_it_said() {
        let rows = r#"
            printf '%s\n' '{"id":"a","bytes":9,"is_taken":false,"columns":{"id":"a","content":"one"}}'
            echo 'IO Error: Corrupt database file' >&2; exit 1"#;
        let sandbox = answering(TABLES, rows);
        let answer = import(&sandbox, 1);
        let (_, message, _) = error(&answer);
        assert!(
            message.ends_with("IO Error: Corrupt database file"),
            "{message}"
        );
        assert_tidy(&sandbox);

        let sandbox = answering(TABLES, "echo gibberish; sleep 100");
        let answer = import(&sandbox, 1);
        let (_, message, _) = error(&answer);
        assert!(message.contains("what is not understood"), "{message}");
        assert_tidy(&sandbox);
    }

    #[test]
    fn one_bad_database_does_not_keep_the_other_out() {
        let rows = r#"printf '%s\n' '{"id":"a","bytes":9,"is_taken":false,"columns":{"id":"a","content":"one"}}'"#;
        let sandbox = answering(TABLES, rows);
        sandbox.file("data/knowledge_graph.duckdb", "no database");
        let answer = import(&sandbox, 3);
        assert_eq!(answer["stored"], 1);
        let skipped = answer["skipped"].as_array().unwrap();
        let last = skipped.last().unwrap();
        assert_eq!(last["path"], "knowledge_graph.duckdb");
        let reason = last["reason"].as_str().unwrap();
        assert!(reason.contains("is no database of DuckDB"), "{reason}");
        std::fs::remove_file(sandbox.path("data/reflection.duckdb")).unwrap();
        let answer = import(&sandbox, 1);
        assert_eq!(error(&answer).0, "data");
    }
}
