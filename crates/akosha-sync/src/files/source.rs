//! Which files are synced.

use std::path::{Path, PathBuf};

use akosha_core::config::{Config, ConfigError, ConfigSource, LoadedConfig};

use super::{FileError, log_suffixes};
use crate::SyncRequest;
use crate::manifest::is_file_name;

/// Session-Buddy's memories.
const REFLECTIONS: &str = "reflection.duckdb";

/// Session-Buddy's knowledge graph.
const KNOWLEDGE_GRAPH: &str = "knowledge_graph.duckdb";

/// A file that is to be synced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileSource {
    /// Its name in the manifest: the last part of its path.
    pub(crate) name: String,
    /// Where it lies.
    pub(crate) path: PathBuf,
}

/// Returns the files that a request syncs, and why others cannot be.
///
/// Session-Buddy's two databases are synced where they exist and `files` is not set. A file that
/// `files` names has to exist.
pub(crate) fn sources(config: &Config, request: &SyncRequest) -> (Vec<FileSource>, Vec<FileError>) {
    let paths = match &config.files {
        Some(paths) => paths.clone(),
        None => session_buddy(),
    };
    let wanted = paths.into_iter().filter(|path| {
        let name = path.file_name().unwrap_or_default();
        (name != REFLECTIONS || request.upload_reflections)
            && (name != KNOWLEDGE_GRAPH || request.upload_knowledge_graph)
    });
    let mut found: Vec<FileSource> = Vec::new();
    let mut failed = Vec::new();
    for path in wanted {
        match named(path, &found) {
            Ok(source) => found.push(source),
            Err(error) => failed.push(error),
        }
    }
    (found, failed)
}

/// Returns what is wrong with each of the configured `files`, as a sync would find it, and which of
/// them cannot be read.
pub fn config_errors(loaded: &LoadedConfig) -> Vec<ConfigError> {
    const KEY: &str = "files";
    if loaded.config.files.is_none() {
        return Vec::new();
    }
    let (found, mut failed) = sources(&loaded.config, &SyncRequest::default());
    for source in found {
        if let Err(error) = std::fs::File::open(&source.path) {
            failed.push(FileError::io("read", &source.path)(error));
        }
    }
    let source = loaded.shown.get(KEY).map(|shown| shown.source.clone());
    let source = source.unwrap_or(ConfigSource::Default);
    let errors = failed.into_iter().map(|error| ConfigError {
        key: KEY.to_owned(),
        value: error.path().display().to_string(),
        source: source.clone(),
        message: format!("names what cannot be synced: {error}"),
        hint: "correct the path or its permissions, or take it out of `files`".into(),
    });
    errors.collect()
}

fn named(path: PathBuf, before: &[FileSource]) -> Result<FileSource, FileError> {
    let name = path.file_name().and_then(|name| name.to_str());
    let Some(name) = name.filter(|name| is_file_name(name)).map(str::to_owned) else {
        return Err(FileError::Name { path });
    };
    if let Some(first) = before.iter().find(|source| source.name == name) {
        return Err(FileError::SameName {
            first: first.path.clone(),
            second: path,
        });
    }
    let is_log = |one: &str, main: &str| {
        log_suffixes().any(|suffix| !suffix.is_empty() && *one == format!("{main}{suffix}"))
    };
    let related = before
        .iter()
        .find(|source| is_log(&name, &source.name) || is_log(&source.name, &name));
    if let Some(first) = related {
        return Err(FileError::Log {
            first: first.path.clone(),
            second: path,
        });
    }
    match path.metadata() {
        Ok(metadata) if metadata.is_file() => Ok(FileSource { name, path }),
        Ok(_) => Err(FileError::NotAFile { path }),
        Err(error) => Err(FileError::io("look at", &path)(error)),
    }
}

/// Returns Session-Buddy's databases where they exist: it keeps them in `~/.claude/data`.
fn session_buddy() -> Vec<PathBuf> {
    let Some(home) = std::env::home_dir() else {
        return Vec::new();
    };
    let folder = home.join(".claude").join("data");
    [REFLECTIONS, KNOWLEDGE_GRAPH]
        .map(|name| folder.join(name))
        .into_iter()
        .filter(|path| Path::is_file(path))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(paths: &[&Path]) -> Config {
        let mut config = Config::default_with("laptop".parse().unwrap());
        config.files = Some(paths.iter().map(|path| path.to_path_buf()).collect());
        config
    }

    #[test]
    fn each_file_that_cannot_be_synced_says_why() {
        let folder = tempfile::tempdir().unwrap();
        let good = folder.path().join("notes.db");
        let other = folder.path().join("other");
        std::fs::create_dir(&other).unwrap();
        let twin = other.join("notes.db");
        for path in [&good, &twin] {
            std::fs::write(path, "x").unwrap();
        }
        let missing = folder.path().join("gone.db");
        let odd = folder.path().join("two words");
        let log = folder.path().join("notes.db-wal");
        let config = config(&[&good, &twin, &missing, &odd, &other, &log]);
        let (found, failed) = sources(&config, &SyncRequest::default());
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].path, good);
        let shown: Vec<String> = failed.iter().map(ToString::to_string).collect();
        assert!(shown[0].contains("same name"), "{shown:?}");
        assert!(shown[1].contains("does not exist"), "{shown:?}");
        assert!(shown[2].contains("cannot be stored"), "{shown:?}");
        assert!(shown[3].contains("no regular file"), "{shown:?}");
        assert!(shown[4].contains("belongs to"), "{shown:?}");
        assert_eq!(shown.len(), 5);
    }

    #[test]
    fn a_request_leaves_out_a_database_of_session_buddy() {
        let folder = tempfile::tempdir().unwrap();
        let paths = [REFLECTIONS, KNOWLEDGE_GRAPH].map(|name| folder.path().join(name));
        for path in &paths {
            std::fs::write(path, "x").unwrap();
        }
        let config = config(&[&paths[0], &paths[1]]);
        let names = |upload_reflections, upload_knowledge_graph| {
            let request = SyncRequest {
                upload_reflections,
                upload_knowledge_graph,
                ..SyncRequest::default()
            };
            let (found, failed) = sources(&config, &request);
            assert!(failed.is_empty(), "{failed:?}");
            found
                .into_iter()
                .map(|source| source.name)
                .collect::<Vec<_>>()
        };
        assert_eq!(names(true, true), [REFLECTIONS, KNOWLEDGE_GRAPH]);
        assert_eq!(names(false, true), [KNOWLEDGE_GRAPH]);
        assert_eq!(names(true, false), [REFLECTIONS]);
        assert!(names(false, false).is_empty());
    }
}
