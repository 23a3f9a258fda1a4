//! Markdown: one memory for every section of every file.

use std::fs;
use std::io;
use std::path::{Component, Path};

use akosha_core::{MAX_TEXT_BYTES, content_sha256, time};
use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};
use walkdir::{DirEntry, WalkDir};

use super::front_matter::FrontMatter;
use super::sections::{self, Section};
use super::{ImportError, Item, Sink, Source};

/// Largest file that is read, in bytes.
const MAX_FILE_BYTES: u64 = 16 << 20;

/// Directories of built or downloaded things.
const NOT_ENTERED: [&str; 2] = ["node_modules", "target"];

/// Files ending in `.md` or `.markdown`, alone or below a directory.
#[derive(Debug)]
pub(super) struct Markdown;

impl Source for Markdown {
    fn name(&self) -> &'static str {
        "markdown"
    }

    fn reads(&self) -> &'static str {
        "text is read from files that end in `.md` or `.markdown`, in folders below too; folders \
         that start with a dot, `node_modules` and `target` are left out"
    }

    fn read(&self, path: &Path, _temporary: &Path, sink: &mut dyn Sink) -> Result<(), ImportError> {
        let unreadable = |source| ImportError::Path {
            path: path.to_owned(),
            source,
        };
        let path = path.canonicalize().map_err(unreadable)?;
        let is_file = fs::metadata(&path).map_err(unreadable)?.is_file();
        if is_file && !has_ending(&path) {
            return Err(ImportError::Kind {
                format: self.name(),
                path,
                reads: self.reads(),
            });
        }
        let root = match path.parent() {
            Some(parent) if is_file => parent,
            _ => &path,
        };
        if !is_file {
            fs::read_dir(&path).map_err(unreadable)?;
        }
        let tree = Tree {
            root,
            name: root
                .file_name()
                .map_or_else(|| "root".into(), |name| name.to_string_lossy().into_owned()),
            above: root
                .parent()
                .and_then(Path::file_name)
                .map(|name| name.to_string_lossy().into_owned()),
        };
        let entries = WalkDir::new(&path)
            .sort_by_file_name()
            .into_iter()
            .filter_entry(is_entered);
        for entry in entries {
            match entry {
                Ok(entry) if entry.file_type().is_symlink() => {
                    if let Some(reason) = why_not_followed(&entry, &path) {
                        sink.skip(tree.relative(entry.path()), reason);
                    }
                }
                Ok(entry) if entry.file_type().is_dir() || !has_ending(entry.path()) => {}
                Ok(entry) => tree.read(&entry, sink)?,
                Err(error) => {
                    let shown = error.path().unwrap_or(&path).to_owned();
                    sink.skip(tree.relative(&shown), unreadable_reason(&error.into()));
                }
            }
        }
        Ok(())
    }
}

fn is_entered(entry: &DirEntry) -> bool {
    let name = entry.file_name().to_string_lossy();
    entry.depth() == 0
        || !entry.file_type().is_dir()
        || !(name.starts_with('.') || NOT_ENTERED.contains(&name.as_ref()))
}

fn has_ending(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| {
        extension.eq_ignore_ascii_case("md") || extension.eq_ignore_ascii_case("markdown")
    })
}

/// Says why what a link leads to is not read, where that could be missed: what lies below `top` is
/// read in its own place.
fn why_not_followed(link: &DirEntry, top: &Path) -> Option<String> {
    let target = match link.path().canonicalize() {
        Ok(target) => target,
        Err(error) => return has_ending(link.path()).then(|| unreadable_reason(&error)),
    };
    let is_read_there = target.starts_with(top);
    let is_wanted = target.is_dir() || has_ending(link.path());
    (is_wanted && !is_read_there).then(|| {
        let target = target.display();
        format!("is a link, which is not followed; import `{target}` by itself")
    })
}

fn unreadable_reason(error: &io::Error) -> String {
    format!("cannot be read: {error}")
}

/// The directory from which paths are told.
struct Tree<'a> {
    root: &'a Path,
    name: String,
    /// The folder above: the `docs` of two projects are two trees.
    above: Option<String>,
}

impl Tree<'_> {
    /// Returns the path below the root with forward slashes, the same on every platform.
    fn relative(&self, path: &Path) -> String {
        let below = path.strip_prefix(self.root).unwrap_or(path);
        let parts: Vec<_> = below
            .components()
            .filter(|part| matches!(part, Component::Normal(_)))
            .map(|part| part.as_os_str().to_string_lossy())
            .collect();
        parts.join("/")
    }

    fn read(&self, entry: &DirEntry, sink: &mut dyn Sink) -> Result<(), ImportError> {
        let path = self.relative(entry.path());
        match load(entry) {
            Ok((text, modified)) => self.cut(&path, &text, modified, sink),
            Err(reason) => {
                sink.skip(path, reason);
                Ok(())
            }
        }
    }

    fn cut(
        &self,
        path: &str,
        text: &str,
        modified: Option<DateTime<Utc>>,
        sink: &mut dyn Sink,
    ) -> Result<(), ImportError> {
        let (matter, body) = FrontMatter::split(text);
        for section in sections::sections(body) {
            let text = body[section.range.clone()].trim();
            let parts = sections::split(text, MAX_TEXT_BYTES);
            for (part, text) in parts.iter().enumerate() {
                let mut metadata = self.metadata(path, &section, &matter);
                if parts.len() > 1 {
                    metadata.insert("part".into(), json!(part + 1));
                    metadata.insert("parts".into(), json!(parts.len()));
                }
                sink.take(Item {
                    path: path.to_owned(),
                    memory_id: self.memory_id(path, &section, part),
                    text: (*text).to_owned(),
                    metadata,
                    embedding: None,
                    made_at: modified,
                })?;
            }
        }
        Ok(())
    }

    /// Returns an id that depends on where the section stands: on the names of the folder and of the
    /// one above it, and on nothing else of this machine.
    fn memory_id(&self, path: &str, section: &Section, part: usize) -> String {
        let place = json!([
            self.above,
            self.name,
            path,
            section.headings,
            section.ordinal,
            part
        ]);
        format!("md:{:.32}", content_sha256(&place.to_string()))
    }

    fn metadata(&self, path: &str, section: &Section, matter: &FrontMatter) -> Map<String, Value> {
        let mut original_id = format!("{}/{path}", self.name);
        if !section.headings.is_empty() {
            original_id.push('#');
            original_id.push_str(&section.headings.join(" > "));
        }
        let mut metadata = Map::from_iter([
            ("source".to_owned(), json!("markdown")),
            ("type".to_owned(), json!("document_section")),
            ("project".to_owned(), json!(self.name)),
            ("root".to_owned(), json!(self.name)),
            ("path".to_owned(), json!(path)),
            ("headings".to_owned(), json!(section.headings)),
            ("original_id".to_owned(), json!(original_id)),
        ]);
        let tags = matter.tags();
        if !tags.is_empty() {
            metadata.insert("tags".into(), json!(tags));
        }
        if let Some(created_at) = matter.created_at() {
            metadata.insert("created_at".into(), json!(created_at));
        }
        if let Some(value) = &matter.value {
            metadata.insert("front_matter".into(), value.clone());
        }
        metadata
    }
}

/// Reads a file as text with `\n` line ends, with the time it was last written; or says why not.
fn load(entry: &DirEntry) -> Result<(String, Option<DateTime<Utc>>), String> {
    let file = fs::metadata(entry.path()).map_err(|error| unreadable_reason(&error))?;
    if !file.is_file() {
        return Err("is no regular file".into());
    }
    if file.len() > MAX_FILE_BYTES {
        return Err(format!(
            "is {} bytes, the limit is {MAX_FILE_BYTES}",
            file.len()
        ));
    }
    let bytes = fs::read(entry.path()).map_err(|error| unreadable_reason(&error))?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        format!("is not UTF-8 text: byte {at} is none of a character")
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let modified = file.modified().ok().map(DateTime::<Utc>::from);
    Ok((
        text.replace("\r\n", "\n"),
        modified.map(time::truncate_to_micros),
    ))
}
