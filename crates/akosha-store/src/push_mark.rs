//! Marks of pushes to another node, by which that node tells this home from a copy of it: what the
//! uploads that a store began are in a vault.

use akosha_core::{PushId, SystemId};
use rusqlite::{Connection, OptionalExtension};
use serde_json::json;

use crate::push::Target;
use crate::{Store, StoreError, row};

/// Pushes of a system to a target that are remembered: a node that was put back from a backup may
/// know one of the earlier ones as the newest.
const KEPT: usize = 4;

/// Which push it is, and which ones of the same store came before.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PushMark {
    /// The push.
    pub id: PushId,
    /// Those before it, oldest first; at most four that count.
    pub after: Vec<PushId>,
}

impl PushMark {
    /// Returns whether the store that makes this push made `newest` too.
    pub(crate) fn follows(&self, newest: &str) -> bool {
        self.id.as_str() == newest || self.after.iter().any(|id| id.as_str() == newest)
    }
}

/// What a store remembers of its pushes to one target.
#[derive(Debug, Default)]
struct Made {
    /// The pushes, oldest first.
    ids: Vec<PushId>,
    /// Whether the newest is not answered yet: nobody knows whether it arrived.
    is_open: bool,
}

impl Made {
    fn read(db: &Connection, key: &str) -> Result<Self, StoreError> {
        let mut statement = db.prepare_cached("SELECT value FROM meta WHERE key = ?1")?;
        let text: Option<String> = statement.query_row([key], |row| row.get(0)).optional()?;
        let Some(text) = text else {
            return Ok(Self::default());
        };
        let (ids, is_open) = serde_json::from_str(&text).map_err(row::damaged)?;
        Ok(Self { ids, is_open })
    }

    fn write(&self, db: &Connection, key: &str) -> Result<(), StoreError> {
        set(db, key, &json!((&self.ids, self.is_open)).to_string())
    }
}

/// Keeps a value under a key.
pub(crate) fn set(db: &Connection, key: &str, value: &str) -> Result<(), StoreError> {
    db.prepare_cached(
        "INSERT INTO meta (key, value) VALUES (?1, ?2) \
         ON CONFLICT DO UPDATE SET value = excluded.value",
    )?
    .execute([key, value])?;
    Ok(())
}

impl Store {
    /// Returns the mark of the next push of `system_id` to `target`. It is durable when this
    /// returns, and stays the same until a push under it [is answered](Store::answered_push).
    pub fn mark_push(&self, target: &Target, system_id: &SystemId) -> Result<PushMark, StoreError> {
        let key = key(target, system_id);
        let fresh = PushId::generate(self.sources());
        self.write_claimed(|db| {
            let mut made = Made::read(db, &key)?;
            if !made.is_open {
                made.ids.push(fresh.clone());
                made.is_open = true;
                let surplus = made.ids.len().saturating_sub(KEPT + 1);
                made.ids.drain(..surplus);
                made.write(db, &key)?;
            }
            let mut after = made.ids;
            let id = after.pop().unwrap_or_else(|| fresh.clone());
            Ok(PushMark { id, after })
        })
    }

    /// Records that `target` answered a push, so that the next one has another mark. Writes only
    /// where that was not known.
    pub fn answered_push(&self, target: &Target, system_id: &SystemId) -> Result<(), StoreError> {
        let key = key(target, system_id);
        if !self.db().read(|db| Made::read(db, &key))?.is_open {
            return Ok(());
        }
        self.write_claimed(|db| {
            let mut made = Made::read(db, &key)?;
            made.is_open = false;
            made.write(db, &key)
        })
    }
}

fn key(target: &Target, system_id: &SystemId) -> String {
    format!("pushes of {system_id} to {}", target.as_str())
}
