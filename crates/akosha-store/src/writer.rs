//! Who pushes to this store over HTTP as which system: the part of a vault's head, for a node that
//! takes pushes itself.

use akosha_core::{SystemId, WriterId};
use rusqlite::{Connection, OptionalExtension, params};

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
    /// This node writes as that system itself.
    Own,
}

impl Store {
    /// Claims `system_id` for a writer that pushes to this store under `epoch`: the first one gets
    /// it, another one only under a higher epoch. A writer that does not say who it is may push
    /// where this node does not write itself. Writes only where something changes.
    pub fn claim_system(
        &self,
        system_id: &SystemId,
        writer: Option<(&WriterId, i64)>,
    ) -> Result<Claim, StoreError> {
        if self.local_systems()?.contains(system_id) {
            return Ok(Claim::Own);
        }
        let Some((writer_id, epoch)) = writer else {
            return Ok(Claim::Granted);
        };
        let judge = |known: Option<(String, i64)>| match known {
            None => None,
            Some((known, at)) if known == writer_id.as_str() && at == epoch => Some(Claim::Granted),
            Some((_, at)) if at < epoch => None,
            Some((_, epoch)) => Some(Claim::Taken { epoch }),
        };
        if let Some(claim) = judge(self.db().read(|db| known(db, system_id))?) {
            return Ok(claim);
        }
        let now = self.now().timestamp_micros();
        self.db().write(|db| {
            if let Some(claim) = judge(known(db, system_id)?) {
                return Ok(claim);
            }
            db.execute(
                "INSERT OR REPLACE INTO writers (system_id, writer_id, epoch, since) \
                 VALUES (?1, ?2, ?3, ?4)",
                params![system_id.as_str(), writer_id.as_str(), epoch, now],
            )?;
            Ok(Claim::Granted)
        })
    }
}

fn known(db: &Connection, system_id: &SystemId) -> Result<Option<(String, i64)>, StoreError> {
    Ok(db
        .prepare_cached("SELECT writer_id, epoch FROM writers WHERE system_id = ?1")?
        .query_row([system_id.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?)
}
