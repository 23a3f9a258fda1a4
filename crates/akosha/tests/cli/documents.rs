//! Holds `docs/cli.md` and the README against what the binary takes and answers.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::{Sandbox, keys, text};

fn read(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    fs::read_to_string(root.join(path)).unwrap()
}

/// Returns the rows of the table below a heading of `docs/cli.md`, without its head.
fn table(heading: &str) -> Vec<(String, String)> {
    let document = read("docs/cli.md");
    let (_, section) = document.split_once(&format!("\n## {heading}\n")).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with('|')).skip(2);
    rows.map(|row| {
        let mut cells = row.trim_matches('|').split(" | ").map(str::trim);
        (
            cells.next().unwrap().trim_matches('`').to_owned(),
            cells.next().unwrap().to_owned(),
        )
    })
    .collect()
}

/// Returns the names of the commands that help lists, those with commands of their own included.
fn commands_of(help: &str) -> Vec<String> {
    let (_, list) = help.split_once("\nCommands:\n").unwrap();
    let list = list.split("\n\n").next().unwrap();
    let names = list
        .lines()
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next());
    names.map(str::to_owned).collect()
}

#[test]
fn every_command_has_a_line() {
    let sandbox = Sandbox::new();
    let mut commands = BTreeSet::new();
    for name in commands_of(&sandbox.run(&["--help"]).ends(0).stdout) {
        let help = sandbox.run(&[name.as_str(), "--help"]).ends(0).stdout;
        if help.contains("\nCommands:\n") {
            commands.extend(
                commands_of(&help)
                    .iter()
                    .map(|below| format!("{name} {below}")),
            );
        } else {
            commands.insert(name);
        }
    }
    let documented: BTreeSet<String> = table("Commands")
        .iter()
        .map(|(command, _)| {
            let words = command.split(' ').skip(1);
            let names: Vec<&str> = words
                .take_while(|word| word.bytes().all(|b| b.is_ascii_lowercase()))
                .collect();
            names.join(" ")
        })
        .collect();
    assert_eq!(documented, commands);
}

#[test]
fn every_exit_code_has_a_line() {
    let codes: Vec<String> = table("Exit codes").into_iter().map(|row| row.0).collect();
    assert_eq!(codes, ["0", "1", "2", "3", "4"]);
}

/// Returns the fields that a row names in braces.
fn fields(cell: &str) -> Option<Vec<&str>> {
    let (_, rest) = cell.split_once("`{")?;
    let (fields, _) = rest.split_once("}`")?;
    let mut fields: Vec<&str> = fields.split(", ").collect();
    fields.sort_unstable();
    Some(fields)
}

#[test]
fn answers_have_the_fields_that_are_documented() {
    let sandbox = Sandbox::with_vault();
    let folder = sandbox.file("docs/a.md", "# One\n\ntext\n");
    let folder = folder.trim_end_matches("/a.md");
    let out = text(&sandbox.path("out.jsonl"));
    let key_file = text(&sandbox.path("home/keys.json"));
    sandbox.store("a", "text");
    let answer = |command: &str| -> Value {
        let rest = match command {
            "akosha store" => vec!["other text"],
            "akosha get" | "akosha history" | "akosha forget" => vec!["a"],
            "akosha search" => vec!["text"],
            "akosha import" => vec!["markdown", folder],
            "akosha key import" => vec![key_file.as_str()],
            "akosha token create" => vec!["--name", "ci"],
            "akosha token revoke" => vec!["ci"],
            "akosha export PATH" => vec![out.as_str()],
            "akosha completions" => vec!["bash"],
            "akosha quarantine retry" | "akosha quarantine release" => vec!["--all"],
            _ => Vec::new(),
        };
        let words = command.split(' ').skip(1).filter(|word| *word != "PATH");
        let arguments: Vec<&str> = words.chain(rest).collect();
        sandbox.json(&arguments, 0)
    };
    let mut seen = 0;
    for (command, cell) in table("JSON") {
        let given = answer(&command);
        let given = keys(&given);
        let Some(documented) = fields(&cell) else {
            assert_eq!(command, "akosha config show");
            continue;
        };
        // What sync tells may grow without notice.
        let may_grow = [
            "akosha sync",
            "akosha pull",
            "akosha status",
            "akosha machines adopt",
        ]
        .contains(&command.as_str());
        if may_grow {
            let missing: Vec<_> = documented
                .iter()
                .filter(|key| !given.contains(key))
                .collect();
            assert!(missing.is_empty(), "{command}: {missing:?} of {given:?}");
        } else {
            assert_eq!(given, documented, "{command}");
        }
        seen += 1;
    }
    assert!(seen > 15, "{seen}");
    sandbox.wait_for_queue();
}

#[test]
fn the_readme_shows_commands_that_there_are() {
    let known = table("Commands");
    let readme = read("README.md");
    let mut count = 0;
    for line in readme.lines().filter(|line| line.starts_with("akosha ")) {
        let mut words = line.split_whitespace().skip(1);
        let name = words.next().unwrap();
        let start = format!("akosha {name}");
        let is_known =
            |command: &String| *command == start || command.starts_with(&format!("{start} "));
        assert!(known.iter().any(|(command, _)| is_known(command)), "{line}");
        count += 1;
    }
    assert!(count > 5, "{count}");
}

#[test]
fn the_readme_and_the_demo_register_it_alike() {
    let demo = Sandbox::new().json(&["demo"], 0);
    let next = demo["next"].as_array().unwrap();
    let commands = next.iter().map(|next| next["command"].as_str().unwrap());
    let mut registering = commands.filter(|command| command.starts_with("claude mcp add"));
    let command = registering.next().unwrap();
    let readme = read("README.md");
    let lines: Vec<&str> = readme
        .lines()
        .filter(|line| line.starts_with("claude mcp add"))
        .collect();
    assert_eq!(lines, [command]);
}

/// Returns the blocks of a language in a document.
fn blocks<'a>(document: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("```{language}\n");
    let starts = document.split(fence.as_str()).skip(1);
    starts
        .map(|rest| rest.split("\n```").next().unwrap())
        .collect()
}

#[test]
fn the_settings_of_every_provider_are_right() {
    let sandbox = Sandbox::new();
    let document = read("docs/providers.md");
    let settings = blocks(&document, "toml");
    assert!(settings.len() >= 9);
    for text in settings {
        let file = sandbox.file("provider.toml", format!("{text}\n"));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        }
        let answer = sandbox.json(&["config", "check", "--config", &file], 0);
        assert_eq!(answer["valid"], true, "{text}\n{answer}");
    }
    for text in blocks(&document, "json") {
        serde_json::from_str::<Value>(text).unwrap();
    }
}

/// Returns the text of all sources of the workspace as one line, with `…` for what is filled in.
fn messages() -> String {
    fn add(folder: &Path, text: &mut String) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.ends_with("tests") {
                add(&path, text);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                text.push_str(&fs::read_to_string(path).unwrap());
            }
        }
    }
    let mut text = String::new();
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("..")).unwrap() {
        add(&entry.unwrap().path().join("src"), &mut text);
    }
    // A text that goes on in the next line.
    let lines: Vec<&str> = text.split("\\\n").collect();
    let first = lines.first().copied().unwrap_or_default().to_owned();
    lines
        .iter()
        .skip(1)
        .fold(first, |text, line| text + line.trim_start())
}

#[test]
fn the_user_guide_explains_messages_that_there_are() {
    let guide = read("docs/user-guide.md");
    let (_, table) = guide.split_once("| it says | because | do |\n").unwrap();
    let messages = messages();
    let mut count = 0;
    for row in table
        .lines()
        .skip(1)
        .take_while(|line| line.starts_with('|'))
    {
        let message = row.trim_matches('|').split(" | ").next().unwrap().trim();
        for part in message.split('…').filter(|part| part.trim().len() > 3) {
            assert!(messages.contains(part.trim()), "`{part}` of `{message}`");
        }
        count += 1;
    }
    assert!(count > 20, "{count}");
}
