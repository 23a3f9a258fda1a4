//! `akosha key`.

use std::fs;

use serde_json::Value;

use crate::support::{Sandbox, keys, text};

fn ids(answer: &Value) -> Vec<String> {
    let keys = answer["keys"].as_array().unwrap();
    let id = |key: &Value| key["key_id"].as_str().unwrap().to_owned();
    keys.iter().map(id).collect()
}

fn phrase(sandbox: &Sandbox) -> String {
    let run = sandbox.run(&["key", "show", "--phrase"]).ends(0);
    assert!(run.stderr.starts_with("warning: whoever reads"), "{run:?}");
    assert_eq!(run.stdout.split_whitespace().count(), 24);
    run.stdout
}

#[test]
fn create_makes_a_key_once() {
    let sandbox = Sandbox::new();
    let made = sandbox.json(&["key", "create"], 0);
    assert_eq!(keys(&made), ["key_id", "path", "public_key"]);
    assert_eq!(made["key_id"].as_str().unwrap().len(), 16);
    assert_eq!(made["public_key"].as_str().unwrap().len(), 64);
    let shown = sandbox.json(&["key", "show"], 0);
    assert_eq!(keys(&shown), ["keys", "path"]);
    let key = &shown["keys"][0];
    assert_eq!(keys(key), ["created_at", "current", "key_id", "public_key"]);
    assert_eq!(key["public_key"], made["public_key"]);
    assert_eq!(key["current"], true);
    let (kind, message) = sandbox.error(&["key", "create"], 2);
    assert_eq!(kind, "invalid");
    assert!(message.contains(made["key_id"].as_str().unwrap()));
    assert_eq!(sandbox.json(&["key", "show"], 0), shown);
}

#[test]
fn without_a_key_the_hint_names_the_command_that_makes_one() {
    let sandbox = Sandbox::new();
    for command in ["show", "rotate"] {
        let run = sandbox.run(&["key", command]).ends(1);
        insta::allow_duplicates! {
            insta::assert_snapshot!(run.stderr, @r"
            error: this home has no key
            hint: make one: `akosha key create`, or bring the one of another machine: `akosha key import`
            ");
        }
    }
    assert!(!sandbox.path("home/keys.json").exists());
}

#[test]
fn a_phrase_brings_the_key_to_another_home() {
    let here = Sandbox::new();
    let made = here.json(&["key", "create"], 0);
    let there = Sandbox::new();
    let run = there.run_with(&["key", "import", "--json"], phrase(&here));
    let brought = run.ends(0).json();
    assert_eq!(keys(&brought), ["current", "imported", "known"]);
    assert_eq!(brought["imported"][0], made["key_id"]);
    assert_eq!(brought["current"], made["key_id"]);
    assert_eq!(phrase(&there), phrase(&here));
    let with_phrase = there.json(&["key", "show", "--phrase"], 0);
    assert_eq!(keys(&with_phrase), ["key_id", "phrase"]);
}

#[test]
fn a_key_file_brings_all_keys() {
    let here = Sandbox::new();
    here.run(&["key", "create"]).ends(0);
    here.run(&["key", "rotate"]).ends(0);
    let file = text(&here.path("home/keys.json"));
    let there = Sandbox::new();
    there.run(&["key", "import", &file]).ends(0);
    let (ours, theirs) = (
        here.json(&["key", "show"], 0),
        there.json(&["key", "show"], 0),
    );
    assert_eq!(ids(&ours), ids(&theirs));
    let again = there.json(&["key", "import", &file], 0);
    assert_eq!(again["imported"].as_array().map(Vec::len), Some(0));
    assert_eq!(again["known"].as_array().map(Vec::len), Some(2));
}

#[test]
fn an_imported_key_is_current_only_where_it_is_the_first_or_asked_for() {
    let (here, there) = (Sandbox::new(), Sandbox::new());
    here.run(&["key", "create"]).ends(0);
    there.run(&["key", "create"]).ends(0);
    let own = ids(&there.json(&["key", "show"], 0))[0].clone();
    let file = there.file("phrase", phrase(&here));
    let shown = there.run(&["key", "import", &file]).ends(0).stdout;
    assert!(shown.contains(&format!("made with {own}")), "{shown}");
    assert!(shown.contains("`akosha key import --current`"), "{shown}");
    let answer = there.json(&["key", "import", "--current", &file], 0);
    assert_ne!(answer["current"], own.as_str());
    let all = ids(&there.json(&["key", "show"], 0));
    assert_eq!((all.len(), &all[1]), (2, &own));
}

#[test]
fn rotate_keeps_the_key_before() {
    let sandbox = Sandbox::new();
    let first = sandbox.json(&["key", "create"], 0);
    let second = sandbox.json(&["key", "rotate"], 0);
    assert_eq!(keys(&second), ["key_id", "previous", "public_key"]);
    assert_eq!(second["previous"], first["key_id"]);
    let shown = sandbox.json(&["key", "show"], 0);
    let id = |answer: &Value| answer["key_id"].as_str().unwrap().to_owned();
    assert_eq!(ids(&shown), [id(&second), id(&first)]);
    let one = sandbox.json(&["key", "show", &id(&first)], 0);
    assert_eq!(ids(&one), [id(&first)]);
    let (kind, _) = sandbox.error(&["key", "show", "0000000000000000"], 1);
    assert_eq!(kind, "not_found");
}

#[test]
fn what_is_no_phrase_is_refused_without_being_repeated() {
    let here = Sandbox::new();
    here.run(&["key", "create"]).ends(0);
    let good = phrase(&here);
    let there = Sandbox::new();
    let bad = good.replacen(good.split(' ').next().unwrap(), "xylophonist", 1);
    for input in [bad.as_str(), "", "one two three", "{}"] {
        let run = there.run_with(&["key", "import"], input);
        assert!(matches!(run.code, Some(1 | 2)), "{run:?}");
        assert!(run.stderr.contains("\nhint: "), "{run:?}");
        assert!(!run.stderr.contains("xylophonist"), "{run:?}");
    }
    let run = there.run(&["key", "import", good.trim()]).ends(2);
    assert!(
        run.stderr.contains("not taken from the command line"),
        "{run:?}"
    );
    assert!(!run.stderr.contains(good.trim()), "{run:?}");
    assert!(!there.path("home/keys.json").exists());
}

#[cfg(unix)]
#[test]
fn a_file_that_others_may_read_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let sandbox = Sandbox::new();
    sandbox.run(&["key", "create"]).ends(0);
    let path = sandbox.path("home/keys.json");
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let run = sandbox.run(&["key", "show"]).ends(2);
    assert!(run.stderr.contains("0644"), "{run:?}");
    assert!(run.stderr.contains("hint: run `chmod 600 "), "{run:?}");
}

#[test]
fn nothing_but_show_with_phrase_prints_a_secret() {
    let sandbox = Sandbox::new();
    let created = sandbox.run(&["key", "create", "-vv"]).ends(0);
    let rotated = sandbox.run(&["key", "rotate", "-vv"]).ends(0);
    let shown = sandbox.run(&["key", "show", "-vv"]).ends(0);
    let file = fs::read_to_string(sandbox.path("home/keys.json")).unwrap();
    let file: Value = serde_json::from_str(&file).unwrap();
    for key in file["keys"].as_array().unwrap() {
        let secret = key["key"].as_str().unwrap();
        for run in [&created, &rotated, &shown] {
            assert!(!run.stdout.contains(secret) && !run.stderr.contains(secret));
        }
    }
}
