//! The metadata of a memory: any JSON object, kept whole, with a few keys that are indexed.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{Invalid, MAX_METADATA_BYTES, time};

/// The type of a memory that names none.
const DEFAULT_TYPE: &str = "session_memory";

/// Deepest nesting of objects and arrays.
const MAX_DEPTH: usize = 64;

/// A JSON object that is kept whole.
///
/// Known keys are indexed and must have their type: `source`, `original_id`, `created_at`,
/// `type`, `project`, `session_id`, `correlation_id` are text (`created_at` a time), `tags` is a
/// list of text. A known key that is null counts as absent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Metadata(Map<String, Value>);

impl Metadata {
    /// Checks an object: known keys have their types, the whole is at most
    /// [`MAX_METADATA_BYTES`] as JSON and 64 levels deep.
    ///
    /// # Errors
    /// Names the first key that breaks a rule.
    pub fn new(map: Map<String, Value>) -> Result<Self, Invalid> {
        for key in [
            "source",
            "original_id",
            "created_at",
            "type",
            "project",
            "session_id",
            "correlation_id",
        ] {
            if !matches!(map.get(key), None | Some(Value::Null | Value::String(_))) {
                return Err(Invalid::new(format!("metadata.{key}"), "must be text"));
            }
        }
        let tags_are_text = match map.get("tags") {
            None | Some(Value::Null) => true,
            Some(Value::Array(tags)) => tags.iter().all(Value::is_string),
            Some(_) => false,
        };
        if !tags_are_text {
            return Err(Invalid::new("metadata.tags", "must be a list of text"));
        }
        if let Some(text) = map.get("created_at").and_then(Value::as_str) {
            time::parse(text).map_err(|error| Invalid::new("metadata.created_at", error.reason))?;
        }
        if map.values().any(|value| deeper_than(value, MAX_DEPTH)) {
            return Err(Invalid::new(
                "metadata",
                format!("is nested deeper than {MAX_DEPTH} levels"),
            ));
        }
        let metadata = Self(map);
        let size = metadata.to_json().len();
        if size > MAX_METADATA_BYTES {
            return Err(Invalid::new(
                "metadata",
                format!("is {size} bytes as JSON, the limit is {MAX_METADATA_BYTES}"),
            ));
        }
        Ok(metadata)
    }

    /// Reads metadata that was stored or sent as JSON text.
    ///
    /// # Errors
    /// Fails where the text is no JSON object or breaks a rule of [`Metadata::new`].
    pub fn from_json(text: &str) -> Result<Self, Invalid> {
        let map = serde_json::from_str(text)
            .map_err(|error| Invalid::new("metadata", format!("is no JSON object: {error}")))?;
        Self::new(map)
    }

    /// Returns the object as JSON text with sorted keys: equal metadata gives equal text.
    pub fn to_json(&self) -> String {
        // serde_json's default map is a BTreeMap, so keys are sorted at every level.
        Value::Object(self.0.clone()).to_string()
    }

    /// Returns about how many bytes of memory this takes, rather too many than too few. Short values
    /// take many times as much as their JSON.
    pub fn size_in_memory(&self) -> usize {
        size_of_map(&self.0)
    }

    /// Returns the object itself.
    pub fn as_map(&self) -> &Map<String, Value> {
        &self.0
    }

    /// Returns the object itself, consuming this.
    pub fn into_map(self) -> Map<String, Value> {
        self.0
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(Value::as_str)
    }

    /// Returns where the memory came from, such as a tool's name or a system.
    pub fn source(&self) -> Option<&str> {
        self.text("source")
    }

    /// Returns the id that the memory had where it came from.
    pub fn original_id(&self) -> Option<&str> {
        self.text("original_id")
    }

    /// Returns when the memory was made, where the metadata says so.
    pub fn created_at(&self) -> Option<DateTime<Utc>> {
        time::parse(self.text("created_at")?).ok()
    }

    /// Returns the type, `session_memory` where none is given.
    pub fn kind(&self) -> &str {
        self.text("type").unwrap_or(DEFAULT_TYPE)
    }

    /// Returns the project.
    pub fn project(&self) -> Option<&str> {
        self.text("project")
    }

    /// Returns the session.
    pub fn session_id(&self) -> Option<&str> {
        self.text("session_id")
    }

    /// Returns the correlation id.
    pub fn correlation_id(&self) -> Option<&str> {
        self.text("correlation_id")
    }

    /// Returns the tags in their order.
    pub fn tags(&self) -> impl Iterator<Item = &str> {
        self.0
            .get("tags")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
    }
}

/// Checks a tag that is given for a memory or asked for by a filter: it is not blank.
///
/// # Errors
/// The tag is empty or white space alone.
pub fn check_tag(tag: &str) -> Result<(), Invalid> {
    if tag.trim().is_empty() {
        return Err(Invalid::new("tags", "must not hold an empty tag"));
    }
    Ok(())
}

/// What the heap adds to an allocation.
const ALLOCATION: usize = 16;

/// The least that an entry of an object takes: a node of a B-tree has room for eleven, and may be
/// half empty.
const ENTRY: usize = 2 * (size_of::<String>() + size_of::<Value>());

/// The least that an object takes which is not empty: one node.
const NODE: usize = 6 * ENTRY;

fn size_of_map(map: &Map<String, Value>) -> usize {
    let entries = map
        .iter()
        .map(|(key, value)| ENTRY + ALLOCATION + key.len() + size_of_value(value));
    entries.sum::<usize>() + if map.is_empty() { 0 } else { NODE }
}

/// Returns what a value has on the heap.
fn size_of_value(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => ALLOCATION + text.len(),
        Value::Array(items) => {
            let held: usize = items.iter().map(size_of_value).sum();
            ALLOCATION + items.capacity() * size_of::<Value>() + held
        }
        Value::Object(map) => size_of_map(map),
    }
}

fn deeper_than(value: &Value, levels: usize) -> bool {
    let Some(below) = levels.checked_sub(1) else {
        return value.is_array() || value.is_object();
    };
    match value {
        Value::Array(items) => items.iter().any(|item| deeper_than(item, below)),
        Value::Object(map) => map.values().any(|item| deeper_than(item, below)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn new(value: Value) -> Result<Metadata, Invalid> {
        match value {
            Value::Object(map) => Metadata::new(map),
            _ => panic!("not an object"),
        }
    }

    #[test]
    fn its_size_is_that_of_what_is_parsed() {
        let size = |value| new(value).unwrap().size_in_memory();
        assert_eq!(Metadata::default().size_in_memory(), 0);
        assert!((100_000..110_000).contains(&size(json!({"a": "x".repeat(100_000)}))));
        // Each takes an allocation of its own, and more than the three bytes that it has as text.
        assert!(size(json!({"a": vec![json!([1]); 1000]})) >= 1000 * 2 * size_of::<Value>());
        assert!(size(json!({"a": vec![json!({"": 1}); 1000]})) >= 1000 * 600);
    }

    #[test]
    fn known_keys_are_read_and_all_keys_are_kept() {
        let metadata = new(json!({
            "b": 1, "a": {"z": null, "y": [1]}, "type": "note", "tags": ["x", "y"],
            "created_at": "2026-01-31T09:30:00", "project": null
        }))
        .unwrap();
        assert_eq!(metadata.kind(), "note");
        assert_eq!(metadata.tags().collect::<Vec<_>>(), ["x", "y"]);
        assert_eq!(metadata.project(), None);
        assert_eq!(
            time::format(metadata.created_at().unwrap()),
            "2026-01-31T09:30:00Z"
        );
        assert_eq!(Metadata::from_json(&metadata.to_json()).unwrap(), metadata);
        assert_eq!(new(json!({})).unwrap().kind(), "session_memory");
    }

    #[test]
    fn the_key_that_breaks_a_rule_is_named() {
        let mut deep = json!(1);
        for _ in 0..70 {
            deep = json!([deep]);
        }
        for (value, field) in [
            (json!({"tags": "x"}), "metadata.tags"),
            (json!({"tags": [1]}), "metadata.tags"),
            (json!({"project": 1}), "metadata.project"),
            (json!({"created_at": "soon"}), "metadata.created_at"),
            (json!({ "deep": deep }), "metadata"),
            (json!({"big": "x".repeat(MAX_METADATA_BYTES)}), "metadata"),
        ] {
            assert_eq!(new(value).unwrap_err().field, field);
        }
    }
}
