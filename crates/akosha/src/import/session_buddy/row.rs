//! A row of Session-Buddy's tables as a memory. `docs/import.md` shows what becomes of what.

#[cfg(test)]
mod tests;

use akosha_core::time;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::tables::{Form, Kind, MAX_ROW, Table};
use crate::import::{Item, scalar};

/// Keys of a memory's metadata that mean something else here than a column of that name.
const RESERVED: [&str; 5] = ["source", "type", "original_id", "correlation_id", "table"];

/// Columns that say when a memory was made, the first that holds a time wins.
const MADE_AT: [&str; 2] = ["created_at", "timestamp"];

/// A line of the answer to [`Table::pages`].
#[derive(Debug, Deserialize)]
pub(super) struct Row {
    /// The id, cut where it is too long for one.
    id: Option<String>,
    /// Bytes of all its columns.
    bytes: u64,
    /// Whether a table of another kind has a row of the same id.
    is_taken: bool,
    /// The name of the entity that a relation comes from.
    from: Option<String>,
    /// The name of the entity that a relation goes to.
    to: Option<String>,
    /// The columns; `None` where they are too large.
    columns: Option<Map<String, Value>>,
}

impl Row {
    /// Returns the memory that the row is; `place` is how messages name the row.
    ///
    /// # Errors
    /// Says why it can be none.
    pub(super) fn item(self, table: &Table, place: String) -> Result<Item, String> {
        let Some(id) = self.id.filter(|id| !id.is_empty()) else {
            return Err("has no id".into());
        };
        let Some(columns) = self.columns else {
            return Err(format!(
                "is {} bytes, more than the {MAX_ROW} that are read",
                self.bytes
            ));
        };
        let mut columns = Columns {
            values: columns,
            table,
        };
        let text = match table.kind {
            Kind::Conversation | Kind::Reflection => columns.text("content").unwrap_or_default(),
            Kind::Entity => columns.entity(),
            Kind::Relation => columns.relation(self.from.as_deref(), self.to.as_deref()),
        };
        let embedding = columns.text("embedding").map(|text| vector(&text));
        let mut metadata = columns.metadata();
        for (key, name) in [("from_name", self.from), ("to_name", self.to)] {
            if let Some(name) = name {
                metadata.insert(key.into(), name.into());
            }
        }
        metadata.insert("original_id".into(), id.as_str().into());
        let kind = table.kind.as_str();
        Ok(Item {
            path: place,
            memory_id: if self.is_taken {
                format!("{kind}:{id}")
            } else {
                id
            },
            text,
            metadata,
            embedding,
            made_at: None,
        })
    }

    /// Returns the id as messages name it.
    pub(super) fn shown_id(&self) -> String {
        let id = self.id.as_deref().filter(|id| !id.is_empty());
        let id = id.unwrap_or("without id");
        id.chars().filter(|c| !c.is_control()).take(60).collect()
    }
}

/// The columns of a row that are not used yet.
struct Columns<'a> {
    values: Map<String, Value>,
    table: &'a Table,
}

impl Columns<'_> {
    /// Takes a column as text.
    fn text(&mut self, name: &str) -> Option<String> {
        self.values.remove(name).as_ref().and_then(scalar)
    }

    /// Returns the text of an entity: its name and type, then its observations.
    fn entity(&mut self) -> String {
        let value = |name: &str| self.values.get(name).and_then(scalar).unwrap_or_default();
        let (name, kind) = (value("name"), value("entity_type"));
        let mut lines = match kind.as_str() {
            "" => vec![name],
            kind => vec![format!("{name} ({kind})")],
        };
        lines.extend(self.list("observations"));
        lines.join("\n")
    }

    /// Returns the text of a relation: the two entities and between them what connects them.
    fn relation(&self, from: Option<&str>, to: Option<&str>) -> String {
        let value = |name: &str| self.values.get(name).and_then(scalar).unwrap_or_default();
        let from = from.map_or_else(|| value("from_entity"), str::to_owned);
        let to = to.map_or_else(|| value("to_entity"), str::to_owned);
        format!("{from} {} {to}", value("relation_type"))
    }

    /// Takes a list of texts, which may also be JSON or one text alone. Empty ones are dropped.
    fn list(&mut self, name: &str) -> Vec<String> {
        let items = match self.values.remove(name) {
            Some(Value::Array(items)) => items,
            Some(Value::String(text)) => match serde_json::from_str(&text) {
                Ok(Value::Array(items)) => items,
                _ => vec![Value::String(text)],
            },
            _ => Vec::new(),
        };
        let texts = items.iter().filter_map(scalar);
        texts.filter(|text| !text.trim().is_empty()).collect()
    }

    /// Returns all that is left as metadata.
    fn metadata(mut self) -> Map<String, Value> {
        let mut metadata = Map::from_iter([
            ("source".to_owned(), "session-buddy".into()),
            ("type".to_owned(), self.table.kind.as_str().into()),
            ("table".to_owned(), self.table.name.as_str().into()),
        ]);
        self.values.remove("id");
        if let Some(made_at) = self.made_at() {
            metadata.insert("created_at".into(), made_at.into());
        }
        let tags = self.list("tags");
        if !tags.is_empty() {
            metadata.insert("tags".into(), tags.into());
        }
        let session = self
            .text("session_id")
            .or_else(|| self.text("source_session_id"));
        for (name, text) in [("session_id", session), ("project", self.text("project"))] {
            if let Some(text) = text.filter(|text| !text.is_empty()) {
                metadata.insert(name.into(), text.into());
            }
        }
        for (name, form) in &self.table.columns {
            let value = self
                .values
                .remove(name)
                .and_then(|value| read(value, *form));
            let key = if RESERVED.contains(&name.as_str()) {
                format!("session_buddy_{name}")
            } else {
                name.clone()
            };
            if let Some(value) = value.filter(|value| !is_empty(value)) {
                metadata.entry(key).or_insert(value);
            }
        }
        metadata
    }

    /// Takes the time at which the memory was made.
    fn made_at(&mut self) -> Option<String> {
        let (name, time) = MADE_AT.iter().find_map(|name| {
            let text = self.values.get(*name)?.as_str()?;
            Some((*name, time::format(time::parse(text).ok()?)))
        })?;
        let taken = self.values.remove(name);
        // Session-Buddy writes both columns at once.
        self.values.retain(|other, value| {
            !MADE_AT.contains(&other.as_str()) || Some(&*value) != taken.as_ref()
        });
        Some(time)
    }
}

/// Returns a column's value as metadata; a column that is not as its type says stays text.
fn read(value: Value, form: Form) -> Option<Value> {
    let Value::String(text) = &value else {
        return Some(value);
    };
    match form {
        Form::Json => Some(serde_json::from_str(text).unwrap_or(value)),
        Form::Time => Some(time::parse(text).map_or(value, |time| time::format(time).into())),
        Form::Number => text
            .parse::<f64>()
            .ok()
            .filter(|n| n.is_finite())
            .map(Value::from),
        // Before version 2 of the tables, metadata was JSON in a column of text.
        Form::Plain if text.starts_with('{') => Some(serde_json::from_str(text).unwrap_or(value)),
        Form::Plain | Form::Text => Some(value),
    }
}

/// Returns the numbers of a vector as DuckDB writes it; none where it is no vector, so that it is
/// counted as one that cannot be kept.
fn vector(text: &str) -> Vec<f32> {
    let inner = text
        .trim()
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let numbers = inner.unwrap_or_default().split(',');
    let numbers = numbers.map(|number| number.trim().parse::<f32>());
    numbers.collect::<Result<_, _>>().unwrap_or_default()
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}
