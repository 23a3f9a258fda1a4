//! Holds the files in `config/` and the table in `docs/configuration.md` against the settings.

use std::fs;

use super::*;
use crate::config::Config;
use crate::config::field::FIELDS;

fn read(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    fs::read_to_string(root.join(path)).unwrap()
}

/// Returns the text with every setting that is commented out put in; of several values of one the
/// first.
fn uncommented(text: &str) -> String {
    let mut seen = Vec::new();
    let mut setting = |line: &str| {
        let name = line.split(" = ").next()?;
        let field = FIELDS.iter().find(|field| field.name == name)?;
        let is_new = !seen.contains(&field.name);
        seen.push(field.name);
        Some(is_new)
    };
    let lines = text.lines().filter_map(|line| {
        let bare = line.strip_prefix("# ").unwrap_or(line);
        match setting(bare) {
            Some(true) => Some(bare),
            Some(false) => None,
            None => Some(line),
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_files_for_each_role_are_right_as_they_are_and_uncommented() {
    for name in ["laptop", "server", "minio-dev"] {
        let text = read(&format!("config/{name}.toml"));
        let loaded = load(&text);
        assert!(loaded.errors.is_empty(), "{name}: {:?}", loaded.errors);
        assert!(loaded.warnings.is_empty(), "{name}: {:?}", loaded.warnings);
        // A bucket of a file that was copied as it is may be somebody else's, unless the service
        // is on this machine.
        let is_local = loaded.config.cloud_endpoint.contains("127.0.0.1");
        assert_eq!(loaded.config.cloud_bucket.is_empty(), !is_local, "{name}");
        let whole = uncommented(&text);
        assert!(
            whole.lines().filter(|line| line.contains(" = ")).count() > 3,
            "{name}"
        );
        let loaded = load(&whole);
        assert!(loaded.errors.is_empty(), "{name}: {:?}", loaded.errors);
        assert!(loaded.config.should_use_cloud(), "{name}");
    }
}

#[test]
fn the_documentation_has_every_setting_with_its_default() {
    let text = read("docs/configuration.md");
    let documented: Vec<(String, String)> = text
        .lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .filter_map(|row| {
            let (name, rest) = row.split_once('`')?;
            let default = rest.split('|').nth(1)?.trim().trim_matches('`');
            Some((name.to_owned(), default.to_owned()))
        })
        .filter(|(name, _)| !name.starts_with("CLOUD_SYNC_"))
        .collect();
    let config = Config::fallback();
    let settings: Vec<(String, String)> = FIELDS
        .iter()
        .map(|field| {
            let default = match field.name {
                "system_id" => "the host name, made valid".to_owned(),
                "files" => "Session-Buddy's two databases where they exist".to_owned(),
                _ => field.kind.show(&config).to_string(),
            };
            (field.name.to_owned(), default)
        })
        .collect();
    assert_eq!(documented, settings);
}

#[test]
fn the_documentation_names_every_alias() {
    let text = read("docs/configuration.md");
    for alias in FIELDS.iter().flat_map(|field| field.aliases) {
        assert!(text.contains(&format!("`{alias}`")), "{alias}");
    }
    for variable in [
        crate::config::alias::ENABLED,
        crate::config::alias::PROVIDER,
    ] {
        assert!(text.contains(&format!("`{variable}`")), "{variable}");
    }
}
