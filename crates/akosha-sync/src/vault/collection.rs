//! The claim of a collector of forgotten objects: `leases/gc`, which every push looks for.

use std::time::Duration;

use akosha_core::{Sources, UploadId};
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use futures::TryStreamExt;
use serde::{Deserialize, Serialize};

use super::{Created, Listed, Vault, VaultError, VaultKey};

/// How long a claim lasts that nobody ended: longer than objects are removed under it.
const TTL: TimeDelta = TimeDelta::minutes(10);

/// Largest claim in bytes.
const MAX_BYTES: u64 = 4 << 10;

/// How long a push waits for a collection to end, and how often it looks.
const WAIT: Duration = Duration::from_secs(20);
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// A collection that has begun.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Collection {
    /// When, by the storage's clock.
    pub(crate) at: DateTime<Utc>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Document {
    holder: String,
    expires_at: DateTime<Utc>,
}

fn key() -> Result<VaultKey, VaultError> {
    let upload_id: Result<UploadId, _> = "gc".parse();
    upload_id
        .map(|upload_id| VaultKey::lease(&upload_id))
        .map_err(|error| VaultError::Damaged {
            key: "leases/gc".into(),
            reason: error.to_string(),
        })
}

impl Vault {
    /// Claims the vault for a collection.
    ///
    /// # Errors
    /// Fails where another one is at work, or the vault does not answer.
    pub(crate) async fn begin_collection(
        &self,
        sources: &Sources,
    ) -> Result<Collection, VaultError> {
        let key = key()?;
        let now = sources.clock.now();
        if let Some(before) = self.claim().await? {
            if before.expires_at > now {
                return Err(VaultError::Unavailable {
                    operation: "collect in",
                    key: key.to_string(),
                    reason: format!(
                        "another collection is at work, until {} at most",
                        akosha_core::time::format(before.expires_at)
                    ),
                });
            }
            self.delete(&key).await?;
        }
        let document = Document {
            holder: sources.ulid(),
            expires_at: now + TTL,
        };
        let bytes = serde_json::to_vec(&document).map_err(|error| VaultError::Damaged {
            key: key.to_string(),
            reason: error.to_string(),
        })?;
        if self.create(&key, Bytes::from(bytes)).await? == Created::AlreadyThere {
            return Err(VaultError::Unavailable {
                operation: "collect in",
                key: key.to_string(),
                reason: "another collection has just begun".into(),
            });
        }
        let leases: Vec<Listed> = self.list_leases().try_collect().await?;
        let ours = leases.into_iter().find(|listed| listed.key == key);
        Ok(Collection {
            at: ours.map_or(now, |listed| listed.last_modified),
        })
    }

    /// Ends a collection.
    pub(crate) async fn end_collection(&self) -> Result<(), VaultError> {
        self.delete(&key()?).await
    }

    /// Waits until no collection is at work.
    ///
    /// # Errors
    /// Fails where one goes on, or the vault does not answer.
    pub(crate) async fn outwait_collection(&self, sources: &Sources) -> Result<(), VaultError> {
        let mut waited = Duration::ZERO;
        while let Some(claim) = self.claim().await? {
            if claim.expires_at <= sources.clock.now() {
                return Ok(());
            }
            if waited > WAIT {
                return Err(VaultError::Unavailable {
                    operation: "finish an upload to",
                    key: self.url(),
                    reason: "forgotten objects are being removed from it".into(),
                });
            }
            tokio::time::sleep(LOOK_AGAIN).await;
            waited += LOOK_AGAIN;
        }
        Ok(())
    }

    async fn claim(&self) -> Result<Option<Document>, VaultError> {
        let key = key()?;
        let bytes = match self.get(&key, MAX_BYTES).await {
            Ok(bytes) => bytes,
            Err(VaultError::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        // A claim that cannot be read holds nobody up.
        Ok(serde_json::from_slice(&bytes).ok())
    }
}
