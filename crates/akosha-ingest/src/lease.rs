//! Claims on uploads, so that of several replicas one works on each.
//!
//! A claim is the object `leases/{upload_id}`, created where there is none. It expires by the
//! storage's clock, which all replicas share: [`TTL`] after it was written last. A worker renews
//! its own while it works and removes it at the end. Where a storage has no conditional writes,
//! two replicas may claim at the same instant; the vault warns of that, and the transaction that
//! merges an upload lets one of them in.
//!
//! A lease shares out work, it does not protect data: where none can be written, because the
//! worker may only read the vault, or where a server with a store of its own has the claim, whose
//! work says nothing of this store, the worker works without.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use akosha_core::{ErrorKind, UploadId, time};
use akosha_store::Store;
use akosha_sync::vault::{Created, Vault, VaultError, VaultKey};
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::presence::Presence;

/// How long a claim lasts without renewal.
pub(crate) const TTL: Duration = Duration::from_secs(90);

/// Largest lease in bytes that is read.
const MAX_BYTES: u64 = 4 << 10;

/// Tries to claim one upload before it counts as taken.
const MAX_TRIES: u32 = 3;

/// How long no lease is written after the vault refused one.
pub(crate) const REFUSAL_HOLDS: Duration = Duration::from_mins(10);

/// How long the storage's clock is not asked again.
const CLOCK_HOLDS: Duration = Duration::from_mins(1);

/// A lease as it is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Document {
    version: String,
    /// The replica.
    holder: String,
    /// The store that it merges into.
    store: String,
    /// Tells this claim from others of the holder.
    claim: u64,
    #[serde(with = "time::serde_utc")]
    claimed_at: DateTime<Utc>,
    /// By the holder's clock; for people. What counts is when the object was written last.
    #[serde(with = "time::serde_utc")]
    expires_at: DateTime<Utc>,
}

/// How it stands with a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// There is none.
    Free,
    /// A replica that merges into this store has it, or somebody unknown.
    Held,
    /// A replica that merges into another store has it.
    Foreign,
    /// Somebody had it, and died or lost it to time.
    Over,
}

/// Makes claims for one replica.
#[derive(Debug)]
pub(crate) struct Leases {
    vault: Vault,
    store: Store,
    holder: String,
    presence: Presence,
    pub(crate) ttl: Duration,
    claims: AtomicU64,
    /// When the vault did not let this replica write a lease.
    refused: Mutex<Option<Instant>>,
    /// How far the storage's clock is ahead of this machine's, and when that was asked.
    ahead: Mutex<Option<(Instant, TimeDelta)>>,
}

/// What became of the wish to claim an upload.
#[derive(Debug)]
pub(crate) enum Claim {
    /// It is this replica's.
    Held(Lease),
    /// Another one has it.
    Taken,
}

/// A claim of this replica.
#[derive(Debug)]
pub(crate) struct Lease {
    upload_id: UploadId,
    number: u64,
    renewed: Instant,
    /// Whether there is an object to remove.
    is_written: bool,
}

impl Leases {
    /// Creates the claims of the replica `holder`.
    pub(crate) fn new(vault: Vault, store: Store, holder: &str) -> Self {
        Self {
            presence: Presence::show(store.home(), holder),
            vault,
            store,
            holder: holder.to_owned(),
            ttl: TTL,
            claims: AtomicU64::new(0),
            refused: Mutex::default(),
            ahead: Mutex::default(),
        }
    }

    /// Claims an upload; a claim that has expired, or whose holder has surely ended, is taken over.
    ///
    /// # Errors
    /// Fails where the vault does not answer.
    pub(crate) async fn claim(&self, upload_id: &UploadId) -> Result<Claim, VaultError> {
        let number = self.claims.fetch_add(1, Ordering::Relaxed);
        let held = |is_written| {
            Claim::Held(Lease {
                upload_id: upload_id.clone(),
                number,
                renewed: Instant::now(),
                is_written,
            })
        };
        let key = VaultKey::lease(upload_id);
        for _ in 0..MAX_TRIES {
            if !self.is_writable() {
                return Ok(held(false));
            }
            match self.vault.claim(&key, self.document(number)?).await {
                Ok(Created::Created) => return Ok(held(true)),
                Ok(Created::AlreadyThere) => {}
                Err(error) if is_refusal(&error) => {
                    *self.refusal() = Some(Instant::now());
                    tracing::warn!(
                        %error,
                        "no leases can be written: replicas may do the same work twice"
                    );
                    continue;
                }
                Err(error) => return Err(error),
            }
            match self.state(&key).await? {
                State::Held => return Ok(Claim::Taken),
                State::Foreign => return Ok(held(false)),
                State::Over => self.vault.delete(&key).await?,
                // It was given back meanwhile; what lies there next is somebody's.
                State::Free => {}
            }
        }
        Ok(Claim::Taken)
    }

    /// Returns whether leases can be written, as far as is known. Rights are given and taken.
    fn is_writable(&self) -> bool {
        self.refusal()
            .is_none_or(|refused| refused.elapsed() >= REFUSAL_HOLDS)
    }

    fn refusal(&self) -> MutexGuard<'_, Option<Instant>> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a claim for another [`TTL`]. One that has expired meanwhile stays as it is: another
    /// replica may have it.
    pub(crate) async fn renew(&self, lease: &mut Lease) {
        if !lease.is_written || lease.renewed.elapsed() >= self.ttl {
            return;
        }
        let Ok(document) = self.document(lease.number) else {
            return;
        };
        let key = VaultKey::lease(&lease.upload_id);
        match self.vault.put(&key, document).await {
            Ok(()) => lease.renewed = Instant::now(),
            // It is tried again before the claim expires.
            Err(error) => tracing::info!(%error, "a lease was not renewed"),
        }
    }

    /// Returns how long a claim may wait for its renewal.
    pub(crate) fn renewal(&self) -> Duration {
        self.ttl / 3
    }

    /// Gives a claim back, where it is still this replica's.
    pub(crate) async fn release(&self, lease: Lease) {
        if !lease.is_written || lease.renewed.elapsed() >= self.ttl {
            return;
        }
        let key = VaultKey::lease(&lease.upload_id);
        if let Err(error) = self.vault.delete(&key).await {
            tracing::info!(%error, "a lease was not given back and expires");
        }
    }

    /// Returns the time by the storage's clock, or by this machine's where the storage does not
    /// tell.
    pub(crate) async fn storage_time(&self) -> DateTime<Utc> {
        let known = *self.ahead.lock().unwrap_or_else(PoisonError::into_inner);
        let ahead = match known {
            Some((at, ahead)) if at.elapsed() < CLOCK_HOLDS => ahead,
            _ => {
                let told = self.vault.time().await;
                let now = self.store.sources().clock.now();
                let ahead = told.map_or_else(TimeDelta::zero, |told| told - now);
                let mut known = self.ahead.lock().unwrap_or_else(PoisonError::into_inner);
                *known = Some((Instant::now(), ahead));
                ahead
            }
        };
        self.store.sources().clock.now() + ahead
    }

    /// Returns how it stands with a claim of somebody.
    async fn state(&self, key: &VaultKey) -> Result<State, VaultError> {
        let Some(found) = self.vault.look_up(key).await? else {
            return Ok(State::Free);
        };
        let document: Option<Document> = match self.vault.get(key, MAX_BYTES).await {
            Ok(bytes) => serde_json::from_slice(&bytes).ok(),
            Err(error) if error.is_not_found() => return Ok(State::Free),
            Err(VaultError::TooLarge { .. }) => None,
            Err(error) => return Err(error),
        };
        let own = self.store.writer_id().as_str();
        let is_foreign = document.as_ref().is_some_and(|it| it.store != own);
        if let Some(document) = document
            && !is_foreign
            && document.holder != self.holder
            && self.presence.has_ended(&document.holder)
        {
            tracing::info!(
                holder = document.holder,
                "took over from a worker that ended"
            );
            return Ok(State::Over);
        }
        let age = self.storage_time().await - found.last_modified;
        if age >= TimeDelta::from_std(self.ttl).unwrap_or(TimeDelta::MAX) {
            Ok(State::Over)
        } else if is_foreign {
            Ok(State::Foreign)
        } else {
            Ok(State::Held)
        }
    }

    fn document(&self, number: u64) -> Result<Bytes, VaultError> {
        let now = self.store.sources().clock.now();
        let document = Document {
            version: "1.0".into(),
            holder: self.holder.clone(),
            store: self.store.writer_id().to_string(),
            claim: number,
            claimed_at: now,
            expires_at: now + self.ttl,
        };
        let bytes = serde_json::to_vec(&document).map_err(|error| VaultError::Config {
            setting: "cloud_bucket",
            message: format!("cannot hold leases: {error}"),
            hint: "this is a defect: report it".into(),
        })?;
        Ok(bytes.into())
    }
}

/// Returns whether a vault refused for good what others may be allowed.
fn is_refusal(error: &VaultError) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Auth | ErrorKind::Config | ErrorKind::Storage
    )
}
