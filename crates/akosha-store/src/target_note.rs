//! What a store keeps in mind of a target between pushes: small facts, by kind and name.

use rusqlite::params;

use crate::{Store, StoreError, Target};

/// A fact that is kept of a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetNote {
    /// Tells it from others of its kind.
    pub name: String,
    /// What is known.
    pub value: String,
}

impl Store {
    /// Returns the facts of a kind, by name.
    pub fn target_notes(&self, target: &Target, kind: &str) -> Result<Vec<TargetNote>, StoreError> {
        let prefix = prefix(target, kind);
        self.db().read(|db| {
            let mut statement = db.prepare_cached(
                "SELECT substr(key, length(?1) + 1), value FROM meta \
                 WHERE substr(key, 1, length(?1)) = ?1 ORDER BY key",
            )?;
            let rows = statement.query_and_then([&prefix], |row| {
                Ok(TargetNote {
                    name: row.get(0)?,
                    value: row.get(1)?,
                })
            })?;
            rows.collect()
        })
    }

    /// Keeps a fact in place of the one of its name.
    pub fn keep_target_note(
        &self,
        target: &Target,
        kind: &str,
        note: &TargetNote,
    ) -> Result<(), StoreError> {
        let key = prefix(target, kind) + &note.name;
        self.db().write(|db| {
            db.execute(
                "INSERT INTO meta (key, value) VALUES (?1, ?2) \
                 ON CONFLICT DO UPDATE SET value = excluded.value",
                params![key, note.value],
            )?;
            Ok(())
        })
    }

    /// Drops a fact; one that is not kept counts as dropped.
    pub fn drop_target_note(
        &self,
        target: &Target,
        kind: &str,
        name: &str,
    ) -> Result<(), StoreError> {
        let key = prefix(target, kind) + name;
        self.db().write(|db| {
            db.execute("DELETE FROM meta WHERE key = ?1", [&key])?;
            Ok(())
        })
    }
}

/// Neither a target nor a kind holds a line break.
fn prefix(target: &Target, kind: &str) -> String {
    format!("{kind} of {}\n", target.as_str())
}
