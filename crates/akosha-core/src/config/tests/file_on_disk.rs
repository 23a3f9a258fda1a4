//! Which file is read, and what is refused.

use std::fs;
use std::path::PathBuf;

use super::*;
use crate::config::ConfigError;

fn load_file(named: Option<PathBuf>, default: Option<PathBuf>) -> LoadedConfig {
    LoadedConfig::load(&Environment {
        named_file: named,
        default_file: default,
        ..environment(&[])
    })
}

#[test]
fn the_named_file_wins_over_the_default_one() {
    let folder = tempfile::tempdir().unwrap();
    let [named, default, missing] =
        ["named", "default", "missing"].map(|name| folder.path().join(name));
    fs::write(&named, "max_retries = 1").unwrap();
    fs::write(&default, "max_retries = 2\nchunk_size_mb = 9").unwrap();
    let loaded = load_file(Some(named.clone()), Some(default.clone()));
    assert_eq!(
        (loaded.config.max_retries, loaded.config.chunk_size_mb),
        (1, 5)
    );
    assert_eq!(loaded.file, Some(named));
    let loaded = load_file(None, Some(default.clone()));
    assert_eq!(loaded.config.max_retries, 2);
    assert_eq!(loaded.file, Some(default.clone()));
    let none = load_file(None, Some(missing.clone()));
    assert!(none.errors.is_empty() && none.writes_allowed());
    assert_eq!(none.file, None);
    let refused = load_file(Some(missing.clone()), Some(default));
    assert_eq!(keys(&refused), [ConfigError::FILE]);
    assert_eq!(refused.file, Some(missing));
    assert!(!refused.writes_allowed());
}

#[test]
fn what_is_no_configuration_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("akosha.toml");
    for (bytes, message) in [
        (vec![b'#'; (1 << 20) + 1], "is larger than 1 MiB"),
        (b"a = 1\nb = \"\xff\"".to_vec(), "is not UTF-8 in line 2"),
    ] {
        fs::write(&path, bytes).unwrap();
        let loaded = load_file(None, Some(path.clone()));
        assert_eq!(loaded.errors[0].message, message);
        assert!(!loaded.writes_allowed());
    }
    let directory = load_file(Some(folder.path().to_owned()), None);
    assert!(directory.errors[0].message.starts_with("cannot be read"));
    fs::write(&path, vec![b'#'; 1 << 20]).unwrap();
    assert!(load_file(None, Some(path.clone())).errors.is_empty());
    fs::write(&path, "\u{feff}max_retries = 1\r\n").unwrap();
    assert_eq!(load_file(None, Some(path)).config.max_retries, 1);
}

#[cfg(unix)]
#[test]
fn the_mode_of_the_file_is_looked_at() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("akosha.toml");
    fs::write(&path, "akosha_token = \"t\"").unwrap();
    for (mode, errors) in [(0o644, 1), (0o600, 0)] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(
            load_file(None, Some(path.clone())).errors.len(),
            errors,
            "{mode:o}"
        );
    }
}
