//! Filters, listing in pages, and walking through everything.

use akosha_core::{Invalid, Memory, SystemId};
use chrono::{DateTime, Utc};
use rusqlite::params_from_iter;
use rusqlite::types::Value;

use crate::{Store, StoreError, row};

/// Which memories are meant; an empty filter means all.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Filter {
    /// Of this system.
    pub system_id: Option<SystemId>,
    /// Of this project.
    pub project: Option<String>,
    /// Of this type.
    pub kind: Option<String>,
    /// With all of these tags.
    pub tags: Vec<String>,
    /// Made at this time or later.
    pub since: Option<DateTime<Utc>>,
    /// Made before this time.
    pub until: Option<DateTime<Utc>>,
}

impl Filter {
    /// Returns whether every memory passes.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Returns the conditions on `changes AS c`, each starting with ` AND `, and their values.
    pub(crate) fn conditions(&self) -> (String, Vec<Value>) {
        let mut sql = String::new();
        let mut values = Vec::new();
        let texts = [
            ("c.system_id", self.system_id.as_ref().map(SystemId::as_str)),
            ("c.project", self.project.as_deref()),
            ("c.kind", self.kind.as_deref()),
        ];
        for (column, text) in texts {
            if let Some(text) = text {
                sql.extend([" AND ", column, " = ?"]);
                values.push(Value::from(text.to_owned()));
            }
        }
        for (operator, time) in [(">=", self.since), ("<", self.until)] {
            if let Some(time) = time {
                sql.extend([" AND c.created_at ", operator, " ?"]);
                values.push(Value::from(time.timestamp_micros()));
            }
        }
        if !self.tags.is_empty() {
            // One condition however many tags: SQLite bounds the depth of an expression.
            sql.push_str(
                " AND NOT EXISTS (SELECT 1 FROM json_each(?) AS asked WHERE asked.value NOT IN \
                 (SELECT value FROM json_each(c.metadata, '$.tags') WHERE value IS NOT NULL))",
            );
            values.push(Value::from(
                serde_json::Value::from(self.tags.clone()).to_string(),
            ));
        }
        (sql, values)
    }
}

/// A page to list.
#[derive(Debug, Clone, Default)]
pub struct PageRequest {
    /// Most memories in the page, 1 to 1000.
    pub limit: usize,
    /// Where the page before ended.
    pub cursor: Option<String>,
    /// Which memories.
    pub filter: Filter,
}

/// A page of memories, newest first.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// The memories.
    pub memories: Vec<Memory>,
    /// Where the next page starts; `None` at the end.
    pub next_cursor: Option<String>,
}

impl Store {
    /// Lists memories by the time they were made, newest first.
    ///
    /// # Errors
    /// Fails where the limit is out of range or the cursor is none of ours.
    pub fn list(&self, request: &PageRequest) -> Result<Page, StoreError> {
        if !(1..=1000).contains(&request.limit) {
            return Err(Invalid::new(
                "limit",
                format!("is `{}`, expected 1 to 1000", request.limit),
            )
            .into());
        }
        let (mut conditions, mut values) = request.filter.conditions();
        if let Some(cursor) = &request.cursor {
            let (created_at, seq) = read_cursor(cursor)?;
            conditions.push_str(" AND (c.created_at, c.seq) < (?, ?)");
            values.extend([Value::from(created_at), Value::from(seq)]);
        }
        values.push(Value::from(request.limit as i64 + 1));
        let mut rows = self.db().read(|db| {
            let mut statement = db.prepare_cached(&format!(
                "SELECT {} FROM {} WHERE c.is_head = 1 AND c.op = 'put'{conditions} \
                 ORDER BY c.created_at DESC, c.seq DESC LIMIT ?",
                row::COLUMNS,
                row::TABLES
            ))?;
            statement
                .query_and_then(params_from_iter(values), |row| {
                    Ok::<_, StoreError>((row.get::<_, i64>(0)?, row::memory(row)?))
                })?
                .collect::<Result<Vec<_>, _>>()
        })?;
        let more = rows.len() > request.limit;
        rows.truncate(request.limit);
        let next_cursor = rows
            .last()
            .filter(|_| more)
            .map(|(seq, memory)| format!("{}.{seq}", memory.created_at.timestamp_micros()));
        Ok(Page {
            memories: rows.into_iter().map(|(_, memory)| memory).collect(),
            next_cursor,
        })
    }

    /// Walks through all memories that pass `filter`, by system and id, without holding more than
    /// one of them; stops at the first error that `visit` returns.
    ///
    /// # Errors
    /// Fails where the database does, or with what `visit` returned.
    pub fn for_each<E: From<StoreError>>(
        &self,
        filter: &Filter,
        mut visit: impl FnMut(Memory) -> Result<(), E>,
    ) -> Result<(), E> {
        let (conditions, values) = filter.conditions();
        let mut outcome = Ok(());
        self.db().read(|db| {
            let mut statement = db.prepare_cached(&format!(
                "SELECT {} FROM {} WHERE c.is_head = 1 AND c.op = 'put'{conditions} \
                 ORDER BY c.system_id, c.memory_id",
                row::COLUMNS,
                row::TABLES
            ))?;
            let mut rows = statement.query(params_from_iter(values))?;
            while let Some(row) = rows.next()? {
                outcome = visit(row::memory(row)?);
                if outcome.is_err() {
                    break;
                }
            }
            Ok(())
        })?;
        outcome
    }
}

fn read_cursor(cursor: &str) -> Result<(i64, i64), StoreError> {
    cursor
        .split_once('.')
        .and_then(|(time, seq)| Some((time.parse().ok()?, seq.parse().ok()?)))
        .ok_or_else(|| {
            let shown: String = cursor.chars().take(60).collect();
            Invalid::new(
                "cursor",
                format!(
                    "is `{}`, expected a `next_cursor` of an earlier answer",
                    shown.escape_debug()
                ),
            )
            .into()
        })
}
