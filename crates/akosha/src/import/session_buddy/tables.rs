//! Which of Session-Buddy's tables a database has, and the statements that read them.
//!
//! Tables and columns differ between its versions, so both are asked for, never assumed.

use serde::Deserialize;

use super::command::{identifier, quote};

/// Largest row in bytes that is read; a text may have 1 MiB, its metadata 256 KiB.
pub(super) const MAX_ROW: u64 = 4 << 20;

/// Rows that are asked for at a time: the command holds what one statement answers.
const PAGE: u64 = 2000;

/// Longest part of an id that is read, in characters.
const ID_CHARS: usize = 300;

/// What a table holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Conversation,
    Reflection,
    Entity,
    Relation,
}

impl Kind {
    /// Returns the type of the memories.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Conversation => "conversation",
            Self::Reflection => "reflection",
            Self::Entity => "entity",
            Self::Relation => "relation",
        }
    }

    /// Returns the kind of a table and its rank: where two hold the same row, the one with the
    /// lower rank is read.
    fn of(table: &str) -> Option<(Self, u8)> {
        // Before the tables ending in `_v2` each collection had its own, most often `default`.
        Some(match table {
            "conversations_v2" => (Self::Conversation, 0),
            "conversations" => (Self::Conversation, 1),
            "reflections_v2" => (Self::Reflection, 0),
            "reflections" => (Self::Reflection, 1),
            "kg_entities" => (Self::Entity, 0),
            "kg_relationships" => (Self::Relation, 0),
            _ if table.ends_with("_conversations") => (Self::Conversation, 2),
            _ if table.ends_with("_reflections") => (Self::Reflection, 2),
            _ => return None,
        })
    }

    /// Returns the columns without which a table says nothing.
    fn needed(self) -> &'static [&'static str] {
        match self {
            Self::Conversation | Self::Reflection => &["id", "content"],
            Self::Entity => &["id", "name"],
            Self::Relation => &["id", "from_entity", "to_entity", "relation_type"],
        }
    }
}

/// Columns that are not read: copies of others, and counts of reads, which change although the
/// memory does not.
const LEFT_OUT: [&str; 6] = [
    "fingerprint",
    "searchable_content",
    "access_count",
    "last_accessed",
    "usage_count",
    "last_used_at",
];

/// How a column is read, by its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// As it is: text, whole numbers, truth, lists of text.
    Plain,
    /// A number with a fraction, as text: it may be none that JSON knows.
    Number,
    /// JSON, as text: it may be nested too deep.
    Json,
    /// A time, as text.
    Time,
    /// Anything else, as text; vectors too.
    Text,
}

impl Form {
    fn of(sql_type: &str) -> Option<Self> {
        let plain = [
            "VARCHAR",
            "VARCHAR[]",
            "BOOLEAN",
            "TINYINT",
            "SMALLINT",
            "INTEGER",
            "BIGINT",
            "UTINYINT",
            "USMALLINT",
            "UINTEGER",
        ];
        Some(match sql_type {
            "BLOB" => return None,
            "FLOAT" | "DOUBLE" => Self::Number,
            "JSON" => Self::Json,
            _ if plain.contains(&sql_type) => Self::Plain,
            _ if sql_type.starts_with("TIMESTAMP") || sql_type == "DATE" => Self::Time,
            _ => Self::Text,
        })
    }
}

/// A column as DuckDB's catalogue tells it.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Described {
    pub(super) table: String,
    pub(super) column: String,
    #[serde(rename = "type")]
    pub(super) sql_type: String,
}

/// A table that is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) columns: Vec<(String, Form)>,
    rank: u8,
}

/// Returns the statement that describes all tables of the database, a [`Described`] each line.
pub(super) fn describe() -> String {
    "SELECT json_object('table', table_name, 'column', column_name, 'type', data_type) \
     FROM duckdb_columns() WHERE database_name = 'sb' AND schema_name = 'main' \
     AND table_name IN (SELECT table_name FROM duckdb_tables() \
     WHERE database_name = 'sb' AND schema_name = 'main') ORDER BY table_name, column_index"
        .into()
}

/// Returns Session-Buddy's tables in the order in which they are read, and what is wrong with
/// those that lack a column.
pub(super) fn known(described: &[Described]) -> (Vec<Table>, Vec<(String, String)>) {
    let mut tables: Vec<Table> = Vec::new();
    for column in described {
        let Some((kind, rank)) = Kind::of(&column.table) else {
            continue;
        };
        if tables.last().is_none_or(|table| table.name != column.table) {
            tables.push(Table {
                name: column.table.clone(),
                kind,
                columns: Vec::new(),
                rank,
            });
        }
        let form = Form::of(&column.sql_type).filter(|_| !LEFT_OUT.contains(&&*column.column));
        if let (Some(form), Some(table)) = (form, tables.last_mut()) {
            table.columns.push((column.column.clone(), form));
        }
    }
    let mut faults = Vec::new();
    tables.retain(|table| {
        let lacks = |needed: &&&str| !table.columns.iter().any(|(name, _)| name == *needed);
        match table.kind.needed().iter().find(lacks) {
            Some(column) => {
                faults.push((table.name.clone(), format!("has no column `{column}`")));
                false
            }
            None => true,
        }
    });
    tables.sort_by(|a, b| (a.kind, a.rank, &a.name).cmp(&(b.kind, b.rank, &b.name)));
    (tables, faults)
}

impl Table {
    /// Returns the statement that tells below which number all rows are: one number.
    pub(super) fn end(&self) -> String {
        format!("SELECT coalesce(max(rowid) + 1, 0) FROM {}", self.path())
    }

    /// Returns the statements that read the table page by page, where its rows have numbers below
    /// `end`. Each line of the answer is a [`Row`](super::row::Row). `all` are the tables in
    /// their order: a row that one of the same kind before this has is left out.
    pub(super) fn pages(&self, end: u64, all: &[Self]) -> impl Iterator<Item = String> + use<> {
        let select = self.select(all);
        let before = self.before(all).filter(|table| table.kind == self.kind);
        let known: Vec<String> = before.map(|table| table.holds("t.id")).collect();
        let not_known = if known.is_empty() {
            String::new()
        } else {
            format!(" AND NOT ({})", known.join(" OR "))
        };
        (0..end).step_by(PAGE as usize).map(move |start| {
            let end = start + PAGE;
            format!("{select} WHERE t.rowid >= {start} AND t.rowid < {end}{not_known}) p")
        })
    }

    /// Returns the statement of a page up to the range of its rows.
    fn select(&self, all: &[Self]) -> String {
        let size = self.columns.iter().map(|(name, _)| {
            let column = identifier(name);
            format!("coalesce(strlen(CAST(t.{column} AS VARCHAR)), 0)")
        });
        let values = self.columns.iter().map(|(name, form)| {
            let column = format!("p.{}", identifier(name));
            match form {
                Form::Plain => format!("{}, {column}", quote(name)),
                _ => format!("{}, CAST({column} AS VARCHAR)", quote(name)),
            }
        });
        let others = self.before(all).filter(|table| table.kind != self.kind);
        let taken: Vec<String> = others.map(|table| table.holds("p.id")).collect();
        let taken = if taken.is_empty() {
            "false".to_owned()
        } else {
            taken.join(" OR ")
        };
        format!(
            "SELECT json_object('id', substr(CAST(p.id AS VARCHAR), 1, {ID_CHARS}), \
             'bytes', p.row_bytes, 'is_taken', {taken}, {names}\
             'columns', CASE WHEN p.row_bytes <= {MAX_ROW} THEN json_object({values}) END) \
             FROM (SELECT t.*, {size} AS row_bytes FROM {path} t",
            names = self.names(all),
            values = values.collect::<Vec<_>>().join(", "),
            size = size.collect::<Vec<_>>().join(" + "),
            path = self.path(),
        )
    }

    /// Returns what adds the names of the two entities of a relation.
    fn names(&self, all: &[Self]) -> String {
        let entities = all.iter().find(|table| table.kind == Kind::Entity);
        let (Kind::Relation, Some(entities)) = (self.kind, entities) else {
            return String::new();
        };
        let name = |key: &str, column: &str| {
            let path = entities.path();
            format!("'{key}', (SELECT min(e.name) FROM {path} e WHERE e.id = p.{column}), ")
        };
        name("from", "from_entity") + &name("to", "to_entity")
    }

    /// Returns the tables before this one.
    fn before<'a>(&self, all: &'a [Self]) -> impl Iterator<Item = &'a Self> + use<'a> {
        let name = self.name.clone();
        all.iter().take_while(move |table| table.name != name)
    }

    /// Returns the condition that the table has a row of that id.
    fn holds(&self, id: &str) -> String {
        let path = self.path();
        format!(
            "EXISTS (SELECT 1 FROM {path} o WHERE CAST(o.id AS VARCHAR) = CAST({id} AS VARCHAR))"
        )
    }

    fn path(&self) -> String {
        format!("sb.main.{}", identifier(&self.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(columns: &[(&str, &str, &str)]) -> Vec<Described> {
        let column = |(table, column, sql_type): &(&str, &str, &str)| Described {
            table: (*table).into(),
            column: (*column).into(),
            sql_type: (*sql_type).into(),
        };
        columns.iter().map(column).collect()
    }

    #[test]
    fn tables_of_all_versions_are_known_and_ordered() {
        let (tables, faults) = known(&described(&[
            ("conversations", "id", "VARCHAR"),
            ("conversations", "content", "VARCHAR"),
            ("conversations_v2", "id", "VARCHAR"),
            ("conversations_v2", "content", "VARCHAR"),
            ("default_reflections", "id", "VARCHAR"),
            ("default_reflections", "text", "VARCHAR"),
            ("kg_entities", "name", "VARCHAR"),
            ("kg_entities", "id", "UUID"),
            ("memory_access_log", "id", "VARCHAR"),
        ]));
        let names: Vec<&str> = tables.iter().map(|table| table.name.as_str()).collect();
        assert_eq!(names, ["conversations_v2", "conversations", "kg_entities"]);
        let fault = (
            "default_reflections".into(),
            "has no column `content`".into(),
        );
        assert_eq!(faults, [fault]);
    }

    #[test]
    fn columns_are_read_by_their_type() {
        let (tables, _) = known(&described(&[
            ("reflections_v2", "id", "VARCHAR"),
            ("reflections_v2", "content", "VARCHAR"),
            ("reflections_v2", "embedding", "FLOAT[384]"),
            ("reflections_v2", "fingerprint", "BLOB"),
            ("reflections_v2", "access_count", "INTEGER"),
            ("reflections_v2", "tags", "VARCHAR[]"),
            ("reflections_v2", "metadata", "JSON"),
            ("reflections_v2", "created_at", "TIMESTAMP WITH TIME ZONE"),
            ("reflections_v2", "importance_score", "FLOAT"),
            ("reflections_v2", "odd", "STRUCT(a INTEGER)"),
        ]));
        let columns: Vec<(&str, Form)> = tables[0]
            .columns
            .iter()
            .map(|(name, form)| (name.as_str(), *form))
            .collect();
        assert_eq!(
            columns,
            [
                ("id", Form::Plain),
                ("content", Form::Plain),
                ("embedding", Form::Text),
                ("tags", Form::Plain),
                ("metadata", Form::Json),
                ("created_at", Form::Time),
                ("importance_score", Form::Number),
                ("odd", Form::Text),
            ]
        );
    }

    #[test]
    fn pages_cover_all_rows_and_names_are_quoted() {
        let (tables, _) = known(&described(&[
            ("conversations", "id", "VARCHAR"),
            ("conversations", "content", "VARCHAR"),
            ("conversations", "it's \"odd\"", "VARCHAR"),
            ("conversations_v2", "id", "VARCHAR"),
            ("conversations_v2", "content", "VARCHAR"),
            ("reflections", "id", "VARCHAR"),
            ("reflections", "content", "VARCHAR"),
        ]));
        assert_eq!(tables[0].pages(0, &tables).count(), 0);
        assert_eq!(tables[0].pages(PAGE, &tables).count(), 1);
        let pages: Vec<String> = tables[1].pages(PAGE + 1, &tables).collect();
        let [first, second] = pages.as_slice() else {
            panic!("{pages:?}");
        };
        assert!(first.contains("t.rowid >= 0 AND t.rowid < 2000 AND NOT (EXISTS"));
        assert!(second.contains("t.rowid >= 2000 AND t.rowid < 4000 AND NOT (EXISTS"));
        assert!(
            first.contains(r#"'it''s "odd"', p."it's ""odd""""#),
            "{first}"
        );
        let reflections = tables[2].pages(1, &tables).next().unwrap();
        let taken = r#"'is_taken', EXISTS (SELECT 1 FROM sb.main."conversations_v2" o"#;
        assert!(reflections.contains(taken), "{reflections}");
        assert!(!reflections.contains("AND NOT"));
    }
}
