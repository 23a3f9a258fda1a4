//! Who pushes to this store over HTTP as which system: the part of a vault's head, for a node that
//! takes pushes itself.

use akosha_core::{SystemId, WriterId};
use rusqlite::{Connection, OptionalExtension, params};

use crate::push_mark::{self, PushMark};
use crate::{Store, StoreError};

/// Whether a writer may push as a system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// It may.
    Granted,
    /// Another writer does.
    Taken {
        /// The epoch that has to be exceeded to take the system over.
        epoch: i64,
    },
    /// A copy of the writer's home does: its newest push is none that the writer made.
    Copied {
        /// The epoch that has to be exceeded to take the system over.
        epoch: i64,
    },
    /// This node writes as that system itself.
    Own,
}

/// What is known of a system that is pushed to this store.
struct Known {
    writer_id: String,
    epoch: i64,
    /// The newest push, where the writer marks them.
    newest: Option<String>,
}

/// What is to be done about a claim.
enum Verdict {
    Settled(Claim),
    /// It is granted, and the writer is new.
    Take,
    /// It is granted, and the push is new.
    Advance,
}

impl Store {
    /// Claims `system_id` for a writer that pushes to this store under `epoch`: the first one gets
    /// it, another one only under a higher epoch, and a copy of the writer's home counts as another
    /// one where pushes are marked. A writer that does not say who it is may push where this node
    /// does not write itself. Writes only where something changes.
    pub fn claim_system(
        &self,
        system_id: &SystemId,
        writer: Option<(&WriterId, i64)>,
        mark: Option<&PushMark>,
    ) -> Result<Claim, StoreError> {
        if self.local_systems()?.contains(system_id) {
            return Ok(Claim::Own);
        }
        let Some((writer_id, epoch)) = writer else {
            return Ok(Claim::Granted);
        };
        let judge = |known: Option<Known>| judge(known, writer_id, epoch, mark);
        if let Verdict::Settled(claim) = judge(self.db().read(|db| known(db, system_id))?) {
            return Ok(claim);
        }
        let now = self.now().timestamp_micros();
        self.db().write(|db| {
            match judge(known(db, system_id)?) {
                Verdict::Settled(claim) => return Ok(claim),
                Verdict::Advance => {}
                Verdict::Take => {
                    db.execute(
                        "INSERT OR REPLACE INTO writers (system_id, writer_id, epoch, since) \
                         VALUES (?1, ?2, ?3, ?4)",
                        params![system_id.as_str(), writer_id.as_str(), epoch, now],
                    )?;
                    db.execute("DELETE FROM meta WHERE key = ?1", [key(system_id)])?;
                }
            }
            if let Some(mark) = mark {
                push_mark::set(db, &key(system_id), mark.id.as_str())?;
            }
            Ok(Claim::Granted)
        })
    }
}

fn judge(
    known: Option<Known>,
    writer_id: &WriterId,
    epoch: i64,
    mark: Option<&PushMark>,
) -> Verdict {
    let Some(known) = known else {
        return Verdict::Take;
    };
    if known.epoch < epoch {
        return Verdict::Take;
    }
    if known.epoch > epoch || known.writer_id != writer_id.as_str() {
        return Verdict::Settled(Claim::Taken { epoch: known.epoch });
    }
    match (mark, known.newest) {
        (None, _) => Verdict::Settled(Claim::Granted),
        (Some(_), None) => Verdict::Advance,
        (Some(mark), Some(newest)) if mark.id.as_str() == newest => {
            Verdict::Settled(Claim::Granted)
        }
        (Some(mark), Some(newest)) if mark.follows(&newest) => Verdict::Advance,
        (Some(_), Some(_)) => Verdict::Settled(Claim::Copied { epoch }),
    }
}

fn known(db: &Connection, system_id: &SystemId) -> Result<Option<Known>, StoreError> {
    Ok(db
        .prepare_cached(
            "SELECT writer_id, epoch, (SELECT value FROM meta WHERE key = ?2) \
             FROM writers WHERE system_id = ?1",
        )?
        .query_row([system_id.as_str(), &key(system_id)], |row| {
            Ok(Known {
                writer_id: row.get(0)?,
                epoch: row.get(1)?,
                newest: row.get(2)?,
            })
        })
        .optional()?)
}

fn key(system_id: &SystemId) -> String {
    format!("newest push as {system_id}")
}
