//! Which assistants' settings mention akosha. They are read, never written.

use std::fs;
use std::path::Path;

use super::Checks;

/// What the checks here are called.
const NAME: &str = "hooks";

/// Where the README says how an assistant comes to know akosha.
const REGISTER: &str = "see \"Register it with an assistant\" in the README";

/// The event of a hook that syncs.
const AT_SESSION_END: &str = "session-end";

/// An assistant, and where its settings lie.
struct Assistant {
    name: &'static str,
    /// Folder in the person's own, which is there where the assistant was ever started.
    folder: &'static str,
    /// Files in the person's folder, and in that of the project in which doctor runs.
    files: &'static [&'static str],
    project_files: &'static [&'static str],
}

const ASSISTANTS: [Assistant; 3] = [
    Assistant {
        name: "Claude Code",
        folder: ".claude",
        files: &[
            ".claude.json",
            ".claude/settings.json",
            ".claude/settings.local.json",
        ],
        project_files: &[
            ".mcp.json",
            ".claude/settings.json",
            ".claude/settings.local.json",
        ],
    },
    Assistant {
        name: "Cursor",
        folder: ".cursor",
        files: &[".cursor/mcp.json", ".cursor/hooks.json"],
        project_files: &[".cursor/mcp.json", ".cursor/hooks.json"],
    },
    Assistant {
        name: "Codex",
        folder: ".codex",
        files: &[".codex/config.toml", ".codex/hooks.json"],
        project_files: &[".codex/config.toml", ".codex/hooks.json"],
    },
];

/// Looks into the settings of each assistant that this person uses.
pub(super) fn check(checks: &mut Checks) {
    let Some(home) = std::env::home_dir() else {
        return;
    };
    let project = std::env::current_dir().ok();
    let mut any = false;
    for assistant in &ASSISTANTS {
        let of_person = assistant.files.iter().map(|name| home.join(name));
        let of_project = project.iter().flat_map(|project| {
            let files = assistant.project_files.iter();
            files.map(|name| project.join(name))
        });
        let mentions: Vec<String> = of_person
            .chain(of_project)
            .filter_map(|path| text_with_akosha(&path))
            .collect();
        if mentions.is_empty() && !home.join(assistant.folder).is_dir() {
            continue;
        }
        any = true;
        let name = assistant.name;
        if mentions.is_empty() {
            checks.note(NAME, format!("{name} does not know akosha"), REGISTER);
        } else if mentions.iter().any(|text| text.contains(AT_SESSION_END)) {
            checks.ok(NAME, format!("{name} syncs when a session ends"));
        } else {
            let message = format!("{name} knows akosha, but has no hook for a session's end");
            checks.note(NAME, message, REGISTER);
        }
    }
    if !any {
        let message = "no settings of Claude Code, Cursor or Codex are here";
        checks.note(NAME, message, REGISTER);
    }
}

/// Returns the text of a file that names akosha as a server or a command: a project of that name is
/// something else.
fn text_with_akosha(path: &Path) -> Option<String> {
    // A pipe would be waited for.
    if !fs::metadata(path).ok()?.is_file() {
        return None;
    }
    let bytes = fs::read(path).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let names = [
        "\"akosha\"",
        "mcp_servers.akosha",
        "akosha mcp",
        "akosha hook",
    ];
    let is_named = names.iter().any(|name| text.contains(name))
        || (text.contains("akosha") && text.contains(AT_SESSION_END));
    is_named.then(|| text.into_owned())
}
