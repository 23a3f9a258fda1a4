//! The head in a bucket: swapped on the condition that its state, by ETag or by generation, is
//! still the one that was read.

use std::time::Duration;

use akosha_core::SystemId;
use bytes::Bytes;
use futures::TryStreamExt;
use object_store::{ObjectStoreExt, PutMode, UpdateVersion};

use super::{Head, HeadVersion, MAX_HEAD_BYTES, Raw, Swap, Tag, lost};
use crate::vault::conditional::Support;
use crate::vault::write::Failed;
use crate::vault::{Vault, VaultError, VaultKey};

/// Refusals of a condition that holds, after which a service counts as too busy.
const MOST_REFUSALS: u32 = 4;

/// Pause after such a refusal.
const PAUSE: Duration = Duration::from_millis(100);

impl Vault {
    pub(super) async fn raw_head_in_bucket(
        &self,
        system_id: &SystemId,
    ) -> Result<Option<Raw>, VaultError> {
        let name = VaultKey::head(system_id).to_string();
        let Some(store) = self.reader().await? else {
            return Ok(None);
        };
        let result = match store.get(&self.path(&name)).await {
            Ok(result) => result,
            Err(error) => {
                return match self.failed("read", &name, &error) {
                    VaultError::NotFound { .. } => Ok(None),
                    error => Err(error),
                };
            }
        };
        let tag = UpdateVersion {
            e_tag: result.meta.e_tag.clone(),
            version: result.meta.version.clone(),
        };
        if tag.e_tag.is_none() && tag.version.is_none() {
            return Err(VaultError::Refused {
                operation: "read",
                key: name,
                reason: "the service gives objects no ETag".into(),
            });
        }
        let mut bytes = Vec::new();
        let mut stream = result.into_stream();
        loop {
            let piece = stream.try_next().await;
            match piece.map_err(|error| self.failed("read", &name, &error))? {
                Some(piece) => bytes.extend_from_slice(&piece),
                None => break,
            }
            if bytes.len() as u64 > MAX_HEAD_BYTES {
                return Err(VaultError::TooLarge {
                    key: name,
                    size: bytes.len() as u64,
                    limit: MAX_HEAD_BYTES,
                });
            }
        }
        Ok(Some(Raw {
            bytes: bytes.into(),
            version: HeadVersion(Tag::Bucket(tag)),
        }))
    }

    pub(super) async fn swap_in_bucket(
        &self,
        expected: Option<&HeadVersion>,
        head: &Head,
        bytes: &Bytes,
    ) -> Result<Swap, VaultError> {
        let name = VaultKey::head(&head.system_id).to_string();
        let mode = match expected {
            None => PutMode::Create,
            Some(HeadVersion(Tag::Bucket(tag))) => PutMode::Update(tag.clone()),
            // A version from another vault matches nothing here.
            Some(HeadVersion(Tag::Folder(_))) => {
                return lost(
                    self.raw_head_in_bucket(&head.system_id).await?.as_ref(),
                    &head.system_id,
                );
            }
        };
        let mut refusals = 0;
        loop {
            let support = self.inner.conditional.get();
            if support != Support::Honoured
                && let Some(swap) = self.compare(expected, head, bytes).await?
            {
                return Ok(swap);
            }
            if support == Support::Missing {
                self.overwrite(&name, bytes.clone()).await?;
                return Ok(Swap::Swapped);
            }
            match self.put_once(&name, bytes.clone(), mode.clone()).await {
                Ok(()) => return Ok(Swap::Swapped),
                Err(Failed::Exists) => {
                    if let Some(swap) = self.compare(expected, head, bytes).await? {
                        return Ok(swap);
                    }
                }
                Err(Failed::Unsupported) => self.fall_back("has no conditional writes"),
                Err(Failed::Other(error)) => return Err(error),
            }
            refusals += 1;
            if refusals == MOST_REFUSALS {
                return Err(VaultError::Unavailable {
                    operation: "write",
                    key: name,
                    reason: "others write it at the same moment".into(),
                });
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Returns how the swap ends where the present head is no longer `expected`.
    async fn compare(
        &self,
        expected: Option<&HeadVersion>,
        head: &Head,
        bytes: &Bytes,
    ) -> Result<Option<Swap>, VaultError> {
        let raw = self.raw_head_in_bucket(&head.system_id).await?;
        if raw.as_ref().is_some_and(|raw| raw.bytes == *bytes) {
            return Ok(Some(Swap::Swapped));
        }
        if raw.as_ref().map(|raw| &raw.version) == expected {
            return Ok(None);
        }
        lost(raw.as_ref(), &head.system_id).map(Some)
    }
}
