//! What the fuzz target of the configuration does.

use std::path::Path;

use super::field::FIELDS;
use super::{Environment, LoadedConfig, file};

/// Reads a configuration file, and its settings once more as variables. Returns whether the file
/// is without an error. Whatever it says, every setting has a value.
///
/// # Panics
/// Where one has none, or a file without an error changes when it is read once more.
pub fn config(bytes: &[u8]) -> bool {
    let mut env = Environment {
        host_name: Some("laptop".into()),
        ..Environment::default()
    };
    let read = || file::parse(Path::new("/akosha.toml"), bytes, Some(0o600)).map(Some);
    let settings = read();
    let loaded = LoadedConfig::with_file(&env, read());
    assert_eq!(loaded.shown.len(), FIELDS.len());
    let table = settings.ok().flatten().map(|file| file.table);
    for (name, value) in table.into_iter().flatten() {
        let text = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        env.variables
            .insert(format!("AKOSHA_{}", name.to_ascii_uppercase()), text);
    }
    let from_variables = LoadedConfig::load(&env);
    assert_eq!(from_variables.shown.len(), FIELDS.len());
    if loaded.errors.is_empty() {
        let again = LoadedConfig::with_file(&env, read());
        let values = |loaded: &LoadedConfig| -> Vec<serde_json::Value> {
            let shown = loaded.shown.values();
            shown.map(|shown| shown.value.clone()).collect()
        };
        assert_eq!(values(&again), values(&loaded));
    }
    loaded.errors.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_read_as_ever() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        for name in ["laptop", "server", "minio-dev"] {
            let text = std::fs::read(root.join(format!("config/{name}.toml"))).unwrap();
            assert!(config(&text), "{name}");
        }
        let mut count = 0;
        for entry in std::fs::read_dir(root.join("fuzz/seeds/config")).unwrap() {
            let path = entry.unwrap().path();
            let is_good = path
                .file_name()
                .unwrap()
                .to_str()
                .unwrap()
                .starts_with("good");
            assert_eq!(config(&std::fs::read(&path).unwrap()), is_good, "{path:?}");
            count += 1;
        }
        assert!(count > 2, "{count}");
    }
}
