//! Leases: a claim of one process on a piece of work, which ends by itself when the process dies.

use std::time::Duration;

use rusqlite::params;

use crate::job::IS_DUE;
use crate::{Store, StoreError};

/// The claim on draining the queue of a home.
pub const DRAIN_LEASE: &str = "drain";

/// The claim on draining next, for the one process that waits.
pub const DRAIN_NEXT_LEASE: &str = "drain-next";

/// Longest lease that is believed: one that ends later was written under a wrong clock.
const LONGEST: Duration = Duration::from_mins(10);

/// A claim that this process holds until it expires.
#[derive(Debug)]
pub struct Lease {
    store: Store,
    name: &'static str,
    holder: String,
    ttl: Duration,
}

impl Store {
    /// Claims `name` for `ttl` (at most 10 minutes), or returns `None` where another holder's
    /// claim has not expired.
    pub fn try_lease(
        &self,
        name: &'static str,
        ttl: Duration,
    ) -> Result<Option<Lease>, StoreError> {
        let lease = Lease {
            store: self.clone(),
            name,
            holder: self.sources().ulid(),
            ttl: ttl.min(LONGEST),
        };
        Ok(lease.renew()?.then_some(lease))
    }
}

impl Lease {
    /// Extends the claim by its full length from now; returns false where it was lost.
    pub fn renew(&self) -> Result<bool, StoreError> {
        let now = self.store.now().timestamp_micros();
        let ttl = i64::try_from(self.ttl.as_micros()).unwrap_or(i64::MAX);
        let longest = i64::try_from(LONGEST.as_micros()).unwrap_or(i64::MAX);
        self.store.db().write(|db| {
            let taken = db.execute(
                "INSERT INTO leases (name, holder, expires_at) VALUES (?1, ?2, ?3) \
                 ON CONFLICT DO UPDATE SET holder = excluded.holder, \
                 expires_at = excluded.expires_at \
                 WHERE holder = excluded.holder OR expires_at <= ?4 OR expires_at > ?5",
                params![self.name, self.holder, now + ttl, now, now + longest],
            )?;
            Ok(taken == 1)
        })
    }

    /// Returns how long the claim lasts without renewal.
    pub fn ttl(&self) -> Duration {
        self.ttl
    }

    /// Ends the claim.
    pub fn release(self) -> Result<(), StoreError> {
        self.store.db().write(|db| {
            db.execute(
                "DELETE FROM leases WHERE name = ?1 AND holder = ?2",
                [self.name, &self.holder],
            )?;
            Ok(())
        })
    }

    /// Ends the claim unless a job is due, in one step: a job that is queued meanwhile is either
    /// seen here or finds the claim free. Returns whether it ended.
    pub fn release_if_idle(&self) -> Result<bool, StoreError> {
        let now = self.store.now().timestamp_micros();
        self.store.db().write(|db| {
            let busy = db
                .prepare_cached(&format!("SELECT 1 FROM jobs WHERE {IS_DUE}"))?
                .exists([now])?;
            if !busy {
                db.execute(
                    "DELETE FROM leases WHERE name = ?1 AND holder = ?2",
                    [self.name, &self.holder],
                )?;
            }
            Ok(!busy)
        })
    }
}
