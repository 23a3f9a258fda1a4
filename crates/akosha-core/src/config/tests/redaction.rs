//! The file with the user's own redaction rules.

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use super::*;
use crate::config::ConfigSource;

const RULES: &str = "[[rule]]\nname = 'badge'\npattern = 'B-[0-9]{4}'\n";

/// A configuration folder.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// Loads what lies in the folder, with a setting of the environment.
    fn load(&self, rules: Option<&str>) -> LoadedConfig {
        let variables: Vec<_> = rules
            .map(|path| ("AKOSHA_REDACTION_RULES", path))
            .into_iter()
            .collect();
        LoadedConfig::load(&Environment {
            default_file: Some(self.0.path().join("akosha.toml")),
            ..environment(&variables)
        })
    }
}

fn redacts(loaded: &LoadedConfig, text: &str) -> bool {
    let mut count = 0;
    loaded.redactor.redact(text.to_owned(), &mut count);
    count > 0
}

#[test]
fn rules_come_from_the_default_file_or_the_one_that_is_named() {
    let folder = Folder::new();
    let none = folder.load(None);
    assert!(none.errors.is_empty() && none.writes_allowed());
    assert!(!redacts(&none, "B-1234") && redacts(&none, "<private>x</private>"));
    assert_eq!(none.shown["redaction_rules"].value, "");

    let default = folder.write("redaction.toml", RULES);
    for setting in [None, Some("")] {
        let loaded = folder.load(setting);
        assert!(loaded.errors.is_empty() && redacts(&loaded, "B-1234"));
        let shown = loaded.shown["redaction_rules"].value.as_str().unwrap();
        assert_eq!(shown, default.display().to_string());
    }

    let named = folder.write("mine.toml", &RULES.replace("B-", "C-"));
    let loaded = folder.load(named.to_str());
    assert!(loaded.errors.is_empty() && loaded.writes_allowed());
    assert!(redacts(&loaded, "C-1234") && !redacts(&loaded, "B-1234"));
    let source = ConfigSource::Env("AKOSHA_REDACTION_RULES".into());
    assert_eq!(loaded.shown["redaction_rules"].source, source);
}

#[test]
fn another_configuration_file_does_not_switch_the_default_rules_off() {
    let folder = Folder::new();
    folder.write("redaction.toml", RULES);
    let other = Folder::new();
    let loaded = LoadedConfig::load(&Environment {
        named_file: Some(other.write("akosha.toml", "max_retries = 1")),
        default_file: Some(folder.0.path().join("akosha.toml")),
        ..environment(&[])
    });
    assert!(loaded.errors.is_empty() && redacts(&loaded, "B-1234"));
}

#[test]
fn bad_rules_stop_writes_and_are_named() {
    let folder = Folder::new();
    let path = folder.write(
        "redaction.toml",
        &format!("{RULES}[[rule]]\nname = 'pin'\npattern = '(x'\n[[rule]]\nname = 'badge'\n"),
    );
    let loaded = folder.load(None);
    assert!(!loaded.writes_allowed() && loaded.system_id_known);
    let shown: Vec<String> = loaded.errors.iter().map(ToString::to_string).collect();
    let path = path.display();
    assert_eq!(
        shown,
        [
            format!(
                "`redaction_rules` names a file whose rule `pin` has a pattern that is no regular \
                 expression: unclosed group: `{path}` from default"
            ),
            format!(
                "`redaction_rules` names a file whose rule `badge` needs a `name` and a \
                 `pattern`, both text in quotes: `{path}` from default"
            ),
        ]
    );
    // The built-in rules hold meanwhile.
    assert!(redacts(&loaded, "<private>x</private>"));
}

#[test]
fn a_file_that_cannot_be_read_stops_writes() {
    let folder = Folder::new();
    let missing = folder.0.path().join("missing.toml");
    let large = folder.write("large.toml", &"#".repeat((256 << 10) + 1));
    let broken = folder.write("broken.toml", "\n[[rule");
    let binary = folder.0.path().join("binary.toml");
    fs::write(&binary, b"\xff").unwrap();
    for (path, message) in [
        (&missing, "names a file that does not exist"),
        (
            &large,
            "names a file that cannot be read: it is larger than 256 KiB",
        ),
        (&binary, "names a file that cannot be read: "),
        (&broken, "names a file that is not TOML in line 2: "),
        (
            &folder.0.path().to_owned(),
            "names a file that cannot be read: ",
        ),
    ] {
        let loaded = folder.load(path.to_str());
        let [error] = &loaded.errors[..] else {
            panic!("{:?}", loaded.errors);
        };
        assert_eq!(error.key, "redaction_rules");
        assert!(error.message.starts_with(message), "{}", error.message);
        assert!(!loaded.writes_allowed(), "{message}");
    }
}

#[test]
fn a_slip_in_the_name_of_the_setting_stops_writes() {
    let loaded = load("redaction_rule = \"/x.toml\"");
    assert_eq!(loaded.errors[0].hint, "did you mean `redaction_rules`?");
    assert!(!loaded.writes_allowed());
}
