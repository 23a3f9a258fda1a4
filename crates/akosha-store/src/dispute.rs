//! System ids that another writer claims in a target, and what a target cannot promise: what a
//! person has to be told until it is settled.

use akosha_core::SystemId;
use chrono::{DateTime, Utc};
use rusqlite::{OptionalExtension, params};

use crate::push::Target;
use crate::{Store, StoreError, row};

/// A system id that another writer claims in a target: pushes under it are refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dispute {
    /// The id.
    pub system_id: SystemId,
    /// The epoch under which the other one writes; `None` where the id cannot be taken over.
    pub epoch: Option<i64>,
    /// Who claims it.
    pub message: String,
    /// What a person can do about it.
    pub hint: String,
    /// Since when it is known.
    pub since: DateTime<Utc>,
}

impl Store {
    /// Records that another writer claims an id in `target`; what was known of it is renewed, but
    /// for the time.
    pub fn dispute(
        &self,
        target: &Target,
        system_id: &SystemId,
        epoch: Option<i64>,
        message: &str,
        hint: &str,
    ) -> Result<(), StoreError> {
        let now = self.now().timestamp_micros();
        self.write_claimed(|db| {
            db.execute(
                "INSERT INTO disputes (target, system_id, epoch, message, hint, since) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO UPDATE SET \
                 epoch = excluded.epoch, message = excluded.message, hint = excluded.hint",
                params![
                    target.as_str(),
                    system_id.as_str(),
                    epoch,
                    message,
                    hint,
                    now
                ],
            )?;
            Ok(())
        })
    }

    /// Records that nobody else claims an id in `target`. Writes only where it was disputed.
    pub fn undispute(&self, target: &Target, system_id: &SystemId) -> Result<(), StoreError> {
        let key = [target.as_str(), system_id.as_str()];
        let sql = "SELECT 1 FROM disputes WHERE target = ?1 AND system_id = ?2";
        if !self
            .db()
            .read(|db| Ok(db.prepare_cached(sql)?.exists(key)?))?
        {
            return Ok(());
        }
        self.write_claimed(|db| {
            db.execute(
                "DELETE FROM disputes WHERE target = ?1 AND system_id = ?2",
                key,
            )?;
            Ok(())
        })
    }

    /// Takes a disputed id over in a target that decides by epochs alone: pushes go on under
    /// `epoch`.
    pub fn outbid(
        &self,
        target: &Target,
        system_id: &SystemId,
        epoch: i64,
    ) -> Result<(), StoreError> {
        self.write_claimed(|db| {
            db.execute(
                "INSERT INTO pushes (target, system_id, epoch) VALUES (?1, ?2, ?3) \
                 ON CONFLICT DO UPDATE SET epoch = excluded.epoch",
                params![target.as_str(), system_id.as_str(), epoch],
            )?;
            db.execute(
                "DELETE FROM disputes WHERE target = ?1 AND system_id = ?2",
                [target.as_str(), system_id.as_str()],
            )?;
            Ok(())
        })
    }

    /// Returns the ids that others claim in `target`, in their order.
    pub fn disputes(&self, target: &Target) -> Result<Vec<Dispute>, StoreError> {
        self.db().read(|db| {
            let mut statement = db.prepare_cached(
                "SELECT system_id, epoch, message, hint, since FROM disputes \
                 WHERE target = ?1 ORDER BY system_id",
            )?;
            let rows = statement.query_and_then([target.as_str()], |row| {
                Ok(Dispute {
                    system_id: SystemId::try_from(row.get::<_, String>(0)?)
                        .map_err(row::damaged)?,
                    epoch: row.get(1)?,
                    message: row.get(2)?,
                    hint: row.get(3)?,
                    since: row::time(row, 4)?,
                })
            })?;
            rows.collect()
        })
    }

    /// Records what `target` cannot promise, in place of what was known. Writes only where that
    /// differs.
    pub fn set_warnings(&self, target: &Target, warnings: &[String]) -> Result<(), StoreError> {
        if self.warnings(target)? == warnings {
            return Ok(());
        }
        let text = serde_json::json!(warnings).to_string();
        self.db().write(|db| {
            db.execute(
                "INSERT INTO meta (key, value) VALUES (?1, ?2) \
                 ON CONFLICT DO UPDATE SET value = excluded.value",
                [&warnings_key(target), &text],
            )?;
            Ok(())
        })
    }

    /// Returns what `target` cannot promise, as far as pushes have found out.
    pub fn warnings(&self, target: &Target) -> Result<Vec<String>, StoreError> {
        let text: Option<String> = self.db().read(|db| {
            Ok(db
                .prepare_cached("SELECT value FROM meta WHERE key = ?1")?
                .query_row([warnings_key(target)], |row| row.get(0))
                .optional()?)
        })?;
        match text {
            Some(text) => serde_json::from_str(&text).map_err(row::damaged),
            None => Ok(Vec::new()),
        }
    }
}

fn warnings_key(target: &Target) -> String {
    format!("warnings of {}", target.as_str())
}
