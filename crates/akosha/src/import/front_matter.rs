//! Front matter: the block of YAML or TOML with which a Markdown file may begin.

use akosha_core::{Metadata, time};
use serde_json::{Map, Value};

use super::scalar;

/// Longest block that counts as front matter, in bytes; a longer one is text.
const MAX_BYTES: usize = 64 << 10;

/// Keys that say when a document was made, the first that is a time wins.
const DATES: [&str; 3] = ["created_at", "created", "date"];

/// What a file says about itself.
#[derive(Debug, Default, PartialEq)]
pub(super) struct FrontMatter {
    /// The block as an object, or as its text where it cannot be parsed.
    pub(super) value: Option<Value>,
}

impl FrontMatter {
    /// Takes the front matter off `text`; returns it with the rest.
    pub(super) fn split(text: &str) -> (Self, &str) {
        let found = [("---", yaml as Read), ("+++", toml)]
            .into_iter()
            .find_map(|(fence, read)| {
                let (block, rest) = block(text, fence)?;
                // A block that is no mapping is text between two rules.
                let value = Some(read(block)?);
                Some((Self { value }, rest))
            });
        found.unwrap_or((Self::default(), text))
    }

    fn get(&self, key: &str) -> Option<&Value> {
        self.value.as_ref()?.get(key)
    }

    /// Returns the tags: a list, or words parted by commas or spaces.
    pub(super) fn tags(&self) -> Vec<String> {
        match self.get("tags") {
            Some(Value::Array(tags)) => tags
                .iter()
                .filter_map(scalar)
                .filter(|tag| !tag.trim().is_empty())
                .collect(),
            Some(Value::String(tags)) => tags
                .split(|c: char| c == ',' || c.is_whitespace())
                .filter(|tag| !tag.is_empty())
                .map(str::to_owned)
                .collect(),
            _ => Vec::new(),
        }
    }

    /// Returns when the document was made, where it says so.
    pub(super) fn created_at(&self) -> Option<String> {
        DATES.iter().find_map(|key| {
            let time = time::parse(self.get(key)?.as_str()?).ok()?;
            Some(time::format(time))
        })
    }
}

/// Reads a block as an object, or as its text where it has a fault; `None` where it is no front
/// matter.
type Read = fn(&str) -> Option<Value>;

/// Returns what lies between two lines of `fence` at the start of `text`, and what follows.
fn block<'a>(text: &'a str, fence: &str) -> Option<(&'a str, &'a str)> {
    let mut lines = text.split_inclusive('\n');
    let opening = lines.next()?;
    if opening.trim_end() != fence || !opening.ends_with('\n') {
        return None;
    }
    let mut at = opening.len();
    for line in lines {
        if line.trim_end() == fence {
            return Some((&text[opening.len()..at], &text[at + line.len()..]));
        }
        at += line.len();
        if at > MAX_BYTES {
            return None;
        }
    }
    None
}

fn yaml(block: &str) -> Option<Value> {
    match serde_saphyr::from_str::<Value>(block) {
        Ok(Value::Object(map)) => Some(kept(map, block)),
        // Text between two rules can also be broken YAML: front matter begins with a key.
        Err(_) if begins_with_key(block, ':') => Some(Value::from(block)),
        _ => None,
    }
}

fn toml(block: &str) -> Option<Value> {
    match block.parse::<toml::Table>() {
        Ok(table) => Some(kept(from_table(table), block)),
        Err(_) if begins_with_key(block, '=') => Some(Value::from(block)),
        Err(_) => None,
    }
}

fn begins_with_key(block: &str, separator: char) -> bool {
    let first = block.lines().find(|line| {
        let line = line.trim();
        !line.is_empty() && !line.starts_with('#')
    });
    first
        .and_then(|line| line.split_once(separator))
        .is_some_and(|(key, _)| {
            let key = key.trim();
            !key.is_empty()
                && key
                    .chars()
                    .all(|c| c.is_alphanumeric() || "_-.".contains(c))
        })
}

/// Returns the object, or the block as text where the object may not be metadata.
fn kept(map: Map<String, Value>, block: &str) -> Value {
    let value = Value::Object(map);
    let alone = Map::from_iter([("front_matter".to_owned(), value.clone())]);
    match Metadata::new(alone) {
        Ok(_) => value,
        Err(_) => Value::from(block),
    }
}

fn from_table(table: toml::Table) -> Map<String, Value> {
    table
        .into_iter()
        .map(|(key, value)| (key, from_toml(value)))
        .collect()
}

fn from_toml(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => Value::String(text),
        toml::Value::Integer(number) => Value::from(number),
        toml::Value::Float(number) => Value::from(number),
        toml::Value::Boolean(truth) => Value::Bool(truth),
        toml::Value::Datetime(time) => Value::String(time.to_string()),
        toml::Value::Array(items) => items.into_iter().map(from_toml).collect(),
        toml::Value::Table(table) => Value::Object(from_table(table)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn yaml_and_toml_give_the_same() {
        let yaml = "---\ntitle: \"A: b\"\ndate: 2026-01-31\ntags:\n  - x\n  - 7\n---\nrest\n";
        let toml = "+++\ntitle = 'A: b'\ndate = 2026-01-31\ntags = ['x', 7]\n+++\nrest\n";
        for text in [yaml, toml] {
            let (matter, rest) = FrontMatter::split(text);
            assert_eq!(rest, "rest\n");
            assert_eq!(
                matter.value,
                Some(json!({"title": "A: b", "date": "2026-01-31", "tags": ["x", 7]}))
            );
            assert_eq!(matter.tags(), ["x", "7"]);
            assert_eq!(matter.created_at().unwrap(), "2026-01-31T00:00:00Z");
        }
    }

    #[test]
    fn empty_tags_are_left_out() {
        for tags in ["[x, '', ' ', 7]", "'x, , 7'"] {
            let text = format!("---\ntags: {tags}\n---\n");
            assert_eq!(FrontMatter::split(&text).0.tags(), ["x", "7"], "{tags}");
        }
    }

    #[test]
    fn rules_and_unclosed_blocks_are_text() {
        for text in [
            "---\n\nA sentence between rules.\n\n---\nmore",
            "---\nkey: value\nno end",
            "text\n---\nkey: value\n---\n",
            "--- \nNote: see [this\n---x\n",
            "---",
            "",
        ] {
            assert_eq!(FrontMatter::split(text), (FrontMatter::default(), text));
        }
    }

    #[test]
    fn broken_front_matter_is_kept_as_text() {
        let (matter, rest) = FrontMatter::split("---\ntitle: [a\nx: }\n---\nrest");
        assert_eq!(matter.value, Some(json!("title: [a\nx: }\n")));
        assert_eq!(rest, "rest");
        assert_eq!(matter.tags(), Vec::<String>::new());
        let deep = format!("---\na: {}{}\n---\nrest", "[".repeat(200), "]".repeat(200));
        assert_eq!(FrontMatter::split(&deep).1, "rest");
    }

    #[test]
    fn tags_may_be_one_line() {
        let (matter, _) = FrontMatter::split("---\ntags: rust, sqlite wal\n---\n");
        assert_eq!(matter.tags(), ["rust", "sqlite", "wal"]);
    }
}
