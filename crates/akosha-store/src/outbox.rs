//! What is still to be pushed, to which target, and how far each push has come.

use akosha_core::{MemoryId, SystemId, UploadId};
use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, params};

use crate::{Change, Store, StoreError, row};

/// Bytes of text and metadata that are read at once: 4 MiB.
const PAGE_BYTES: usize = 4 << 20;

/// Where a push goes, such as `cloud s3://bucket/prefix` or `http http://host:8682/mcp`. Each has
/// a cursor of its own.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Target(String);

impl Target {
    /// Names a target by the method and the address; no credentials belong in it.
    pub fn new(method: &str, address: &str) -> Self {
        Self(format!("{method} {address}"))
    }

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An upload that was begun and not acknowledged: written before its first object, so that a
/// later push finishes it instead of making another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushIntent {
    /// The upload.
    pub upload_id: UploadId,
    /// The last change that it holds.
    pub to_seq: i64,
    /// When it was begun: `uploaded_at` of its manifest.
    pub at: DateTime<Utc>,
}

/// How far the pushes of one system to one target have come.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PushState {
    /// Every local change up to here is acknowledged.
    pub acked_seq: i64,
    /// The epoch under which this store writes.
    pub epoch: i64,
    /// The newest acknowledged upload.
    pub last_upload_id: Option<UploadId>,
    /// When it was read back and found right.
    pub verified_at: Option<DateTime<Utc>>,
    /// The upload that is begun.
    pub intent: Option<PushIntent>,
}

/// What a target has not acknowledged yet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Unsynced {
    /// Changes.
    pub changes: u64,
    /// When the oldest of them was stored.
    pub oldest_at: Option<DateTime<Utc>>,
    /// The newest of them; 0 where there is none.
    pub last_seq: i64,
}

/// A memory that a target refused while it took others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// The memory.
    pub memory_id: MemoryId,
    /// The change that was refused.
    pub seq: i64,
    /// How often it was tried.
    pub attempts: u32,
    /// What the target said.
    pub error: String,
}

impl Store {
    /// Returns the systems under whose ids memories were made here, this node's first.
    pub fn local_systems(&self) -> Result<Vec<SystemId>, StoreError> {
        let mut systems = vec![self.system_id().clone()];
        let found = self.db().read(|db| {
            let mut found: Vec<SystemId> = Vec::new();
            // Jumps from one system to the next along the index instead of reading every row.
            let mut statement = db.prepare_cached(
                "SELECT system_id FROM changes INDEXED BY changes_local \
                 WHERE is_local = 1 AND system_id > ?1 ORDER BY system_id LIMIT 1",
            )?;
            loop {
                let after = found.last().map_or("", SystemId::as_str);
                let next: Option<String> =
                    statement.query_row([after], |row| row.get(0)).optional()?;
                match next {
                    Some(system) => found.push(SystemId::try_from(system).map_err(row::damaged)?),
                    None => return Ok(found),
                }
            }
        })?;
        systems.extend(
            found
                .into_iter()
                .filter(|system| system != self.system_id()),
        );
        Ok(systems)
    }

    /// Returns how far pushes of `system_id` to `target` have come.
    pub fn push_state(
        &self,
        target: &Target,
        system_id: &SystemId,
    ) -> Result<PushState, StoreError> {
        self.db().read(|db| push_state(db, target, system_id))
    }

    /// Records that an upload is begun, before anything of it is sent.
    pub fn begin_push(
        &self,
        target: &Target,
        system_id: &SystemId,
        intent: &PushIntent,
    ) -> Result<(), StoreError> {
        self.db().write(|db| {
            db.execute(
                "INSERT INTO pushes (target, system_id, intent_upload_id, intent_to_seq, intent_at) \
                 VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO UPDATE SET \
                 intent_upload_id = excluded.intent_upload_id, \
                 intent_to_seq = excluded.intent_to_seq, intent_at = excluded.intent_at",
                params![
                    target.as_str(),
                    system_id.as_str(),
                    intent.upload_id.as_str(),
                    intent.to_seq,
                    intent.at.timestamp_micros()
                ],
            )?;
            Ok(())
        })
    }

    /// Gives up a begun upload that never became visible; its changes stay unacknowledged.
    pub fn abandon_push(&self, target: &Target, system_id: &SystemId) -> Result<(), StoreError> {
        self.db().write(|db| {
            db.execute(
                "UPDATE pushes SET intent_upload_id = NULL, intent_to_seq = NULL, \
                 intent_at = NULL WHERE target = ?1 AND system_id = ?2",
                [target.as_str(), system_id.as_str()],
            )?;
            Ok(())
        })
    }

    /// Records that `target` has every local change up to `to_seq`; call it only after what was
    /// sent has been read back and found right. `upload_id` is the upload that brought them,
    /// `None` for targets without uploads.
    pub fn ack_push(
        &self,
        target: &Target,
        system_id: &SystemId,
        upload_id: Option<&UploadId>,
        to_seq: i64,
    ) -> Result<(), StoreError> {
        let now = self.now().timestamp_micros();
        self.db().write(|db| {
            db.execute(
                "INSERT INTO pushes (target, system_id, acked_seq, last_upload_id, verified_at) \
                 VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO UPDATE SET \
                 acked_seq = max(acked_seq, excluded.acked_seq), \
                 last_upload_id = coalesce(excluded.last_upload_id, last_upload_id), \
                 verified_at = excluded.verified_at, intent_upload_id = NULL, \
                 intent_to_seq = NULL, intent_at = NULL",
                params![
                    target.as_str(),
                    system_id.as_str(),
                    to_seq,
                    upload_id.map(UploadId::as_str),
                    now
                ],
            )?;
            Ok(())
        })
    }

    /// Records that this store took `system_id` over in `target`: it writes under `epoch` from
    /// now on, after `upload_id`, which is the newest upload there. What it had begun is given up.
    /// Unless `keeps_cursor`, everything counts as not acknowledged.
    pub fn adopt(
        &self,
        target: &Target,
        system_id: &SystemId,
        upload_id: &UploadId,
        epoch: i64,
        keeps_cursor: bool,
    ) -> Result<(), StoreError> {
        self.db().write(|db| {
            db.execute(
                "INSERT INTO pushes (target, system_id, epoch, last_upload_id) \
                 VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE SET epoch = excluded.epoch, \
                 last_upload_id = excluded.last_upload_id, \
                 acked_seq = CASE WHEN ?5 THEN acked_seq ELSE 0 END, \
                 intent_upload_id = NULL, intent_to_seq = NULL, intent_at = NULL",
                params![
                    target.as_str(),
                    system_id.as_str(),
                    epoch,
                    upload_id.as_str(),
                    keeps_cursor
                ],
            )?;
            Ok(())
        })
    }

    /// Records that `target` has lost what was pushed of `system_id`: nothing is acknowledged.
    pub fn reset_push(&self, target: &Target, system_id: &SystemId) -> Result<(), StoreError> {
        self.db().write(|db| {
            db.execute(
                "DELETE FROM pushes WHERE target = ?1 AND system_id = ?2",
                [target.as_str(), system_id.as_str()],
            )?;
            Ok(())
        })
    }

    /// Returns what `target` has not acknowledged of `system_id`.
    pub fn unsynced(&self, target: &Target, system_id: &SystemId) -> Result<Unsynced, StoreError> {
        self.db().read(|db| {
            let acked = push_state(db, target, system_id)?.acked_seq;
            let (changes, oldest, last_seq): (i64, Option<i64>, Option<i64>) = db
                .prepare_cached(
                    "SELECT count(*), min(stored_at), max(seq) FROM changes \
                     WHERE seq > ?1 AND system_id = ?2 AND is_local = 1",
                )?
                .query_row(params![acked, system_id.as_str()], |row| {
                    Ok((row.get(0)?, row.get(1)?, row.get(2)?))
                })?;
            Ok(Unsynced {
                changes: changes.unsigned_abs(),
                oldest_at: oldest.map(row::from_micros).transpose()?,
                last_seq: last_seq.unwrap_or(0),
            })
        })
    }

    /// Returns local changes of `system_id` with `after < seq <= up_to`, oldest first: at most
    /// `limit`, and no more once they have 4 MiB of text and metadata, but at least one. With `heads_only` superseded revisions are left out.
    pub fn changes(
        &self,
        system_id: &SystemId,
        after: i64,
        up_to: i64,
        limit: usize,
        heads_only: bool,
    ) -> Result<Vec<Change>, StoreError> {
        let heads = if heads_only { " AND c.is_head = 1" } else { "" };
        self.db().read(|db| {
            let mut statement = db.prepare_cached(&format!(
                "SELECT {} FROM {} WHERE c.seq > ?1 AND c.seq <= ?2 AND c.system_id = ?3 \
                 AND c.is_local = 1{heads} ORDER BY c.seq LIMIT ?4",
                row::COLUMNS,
                row::TABLES
            ))?;
            let mut rows =
                statement.query(params![after, up_to, system_id.as_str(), limit as i64])?;
            let mut changes = Vec::new();
            let mut size = 0;
            while size < PAGE_BYTES
                && let Some(row) = rows.next()?
            {
                let change = row::change(row)?;
                size += change.text.len() + row.get_ref(6)?.as_str().map_or(0, str::len);
                changes.push(change);
            }
            Ok(changes)
        })
    }

    /// Returns the memories that `target` refused, oldest first.
    pub fn rejected(
        &self,
        target: &Target,
        system_id: &SystemId,
    ) -> Result<Vec<Rejected>, StoreError> {
        self.db().read(|db| {
            let mut statement = db.prepare_cached(
                "SELECT memory_id, seq, attempts, error FROM rejected \
                 WHERE target = ?1 AND system_id = ?2 ORDER BY seq",
            )?;
            let rows = statement.query_and_then([target.as_str(), system_id.as_str()], |row| {
                Ok(Rejected {
                    memory_id: MemoryId::try_from(row.get::<_, String>(0)?)
                        .map_err(row::damaged)?,
                    seq: row.get(1)?,
                    attempts: row.get(2)?,
                    error: row.get(3)?,
                })
            })?;
            rows.collect()
        })
    }

    /// Records that `target` refused a memory.
    pub fn reject(
        &self,
        target: &Target,
        system_id: &SystemId,
        memory_id: &MemoryId,
        seq: i64,
        error: &str,
    ) -> Result<(), StoreError> {
        self.db().write(|db| {
            db.execute(
                "INSERT INTO rejected (target, system_id, memory_id, seq, attempts, error) \
                 VALUES (?1, ?2, ?3, ?4, 1, ?5) ON CONFLICT DO UPDATE SET seq = excluded.seq, \
                 attempts = attempts + 1, error = excluded.error",
                params![
                    target.as_str(),
                    system_id.as_str(),
                    memory_id.as_str(),
                    seq,
                    error
                ],
            )?;
            Ok(())
        })
    }

    /// Records that `target` took a memory that it had refused.
    pub fn accept(
        &self,
        target: &Target,
        system_id: &SystemId,
        memory_id: &MemoryId,
    ) -> Result<(), StoreError> {
        self.db().write(|db| {
            db.execute(
                "DELETE FROM rejected WHERE target = ?1 AND system_id = ?2 AND memory_id = ?3",
                [target.as_str(), system_id.as_str(), memory_id.as_str()],
            )?;
            Ok(())
        })
    }

    /// Returns the newest change of a memory made here, whether content or tombstone.
    pub fn newest_change(
        &self,
        system_id: &SystemId,
        memory_id: &MemoryId,
    ) -> Result<Option<Change>, StoreError> {
        self.db()
            .read(|db| crate::memories::head(db, system_id, memory_id))
    }
}

fn push_state(
    db: &Connection,
    target: &Target,
    system_id: &SystemId,
) -> Result<PushState, StoreError> {
    let mut statement = db.prepare_cached(
        "SELECT acked_seq, epoch, last_upload_id, verified_at, intent_upload_id, intent_to_seq, \
         intent_at FROM pushes WHERE target = ?1 AND system_id = ?2",
    )?;
    let mut rows = statement.query([target.as_str(), system_id.as_str()])?;
    let Some(row) = rows.next()? else {
        return Ok(PushState::default());
    };
    let upload = |column| -> Result<Option<UploadId>, StoreError> {
        let id: Option<String> = row.get(column)?;
        id.map(UploadId::try_from).transpose().map_err(row::damaged)
    };
    let time = |column| -> Result<Option<DateTime<Utc>>, StoreError> {
        let micros: Option<i64> = row.get(column)?;
        micros.map(row::from_micros).transpose()
    };
    let intent = match (upload(4)?, row.get(5)?, time(6)?) {
        (Some(upload_id), Some(to_seq), Some(at)) => Some(PushIntent {
            upload_id,
            to_seq,
            at,
        }),
        _ => None,
    };
    Ok(PushState {
        acked_seq: row.get(0)?,
        epoch: row.get(1)?,
        last_upload_id: upload(2)?,
        verified_at: time(3)?,
        intent,
    })
}
