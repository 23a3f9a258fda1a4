//! Lists what a vault holds. Pages are fetched as the stream is read; order means nothing; names
//! that are no keys of a vault are passed over.

mod in_folder;

use std::collections::BTreeSet;
use std::sync::Arc;

use akosha_core::{SystemId, UploadId};
use chrono::{DateTime, Utc};
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use object_store::{ObjectMeta, ObjectStore};

use super::{Backend, Vault, VaultError, VaultKey};
use crate::ContentHash;

/// An object that a listing found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its key.
    pub key: VaultKey,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// When it was last written, by the storage's clock.
    pub last_modified: DateTime<Utc>,
}

/// A visible upload that a listing found: one that has a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadListed {
    /// Its id.
    pub upload_id: UploadId,
    /// Size of its manifest in bytes.
    pub manifest_bytes: u64,
    /// When the manifest was written, by the storage's clock.
    pub last_modified: DateTime<Utc>,
}

impl Vault {
    /// Lists the visible uploads of a system.
    pub fn list_uploads(
        &self,
        system_id: &SystemId,
    ) -> BoxStream<'static, Result<UploadListed, VaultError>> {
        let prefix = format!("systems/{system_id}/uploads");
        let uploads = self.list(&prefix).try_filter_map(async |listed: Listed| {
            Ok(match listed.key {
                VaultKey::Manifest { upload_id, .. } => Some(UploadListed {
                    upload_id,
                    manifest_bytes: listed.size_bytes,
                    last_modified: listed.last_modified,
                }),
                _ => None,
            })
        });
        uploads.boxed()
    }

    /// Lists the markers of the inbox: the uploads that they announce and when they were written,
    /// by the storage's clock.
    pub fn list_inbox(&self) -> BoxStream<'static, Result<(UploadId, DateTime<Utc>), VaultError>> {
        let markers = self.list("inbox").try_filter_map(async |listed: Listed| {
            Ok(match listed.key {
                VaultKey::Inbox { upload_id } => Some((upload_id, listed.last_modified)),
                _ => None,
            })
        });
        markers.boxed()
    }

    /// Lists the leases: the uploads that are claimed and when they were claimed last, by the
    /// storage's clock.
    pub fn list_leases(&self) -> BoxStream<'static, Result<(UploadId, DateTime<Utc>), VaultError>> {
        let leases = self.list("leases").try_filter_map(async |listed: Listed| {
            Ok(match listed.key {
                VaultKey::Lease { upload_id } => Some((upload_id, listed.last_modified)),
                _ => None,
            })
        });
        leases.boxed()
    }

    /// Lists every object of a system: manifests, segments, pieces of files and the head.
    pub(crate) fn list_objects(
        &self,
        system_id: &SystemId,
    ) -> BoxStream<'static, Result<Listed, VaultError>> {
        self.list(&format!("systems/{system_id}"))
    }

    /// Lists the pieces of files of a system, with the sizes of their objects in bytes.
    pub fn list_chunks(
        &self,
        system_id: &SystemId,
    ) -> BoxStream<'static, Result<(ContentHash, u64), VaultError>> {
        let prefix = format!("systems/{system_id}/chunks");
        let chunks = self.list(&prefix).try_filter_map(async |listed: Listed| {
            Ok(match listed.key {
                VaultKey::Chunk { sha256, .. } => Some((sha256, listed.size_bytes)),
                _ => None,
            })
        });
        chunks.boxed()
    }

    /// Returns the systems that have a prefix in the vault, sorted.
    ///
    /// # Errors
    /// Fails where the vault does not answer or refuses.
    pub async fn list_systems(&self) -> Result<BTreeSet<SystemId>, VaultError> {
        let store = match &self.inner.backend {
            Backend::Bucket(bucket) => &bucket.store,
            Backend::Folder(folder) => return self.systems_in_folder(folder).await,
        };
        let list = async || {
            let listing = store.list_with_delimiter(Some(&self.path("systems"))).await;
            let listing = listing.map_err(|error| self.failed("list", "systems/", &error))?;
            let names = listing.common_prefixes.iter().filter_map(|path| {
                let name = path.filename()?;
                name.parse().ok()
            });
            Ok(names.collect())
        };
        self.inner.retry.run(list).await
    }

    /// Lists what lies below `prefix`. The first page is retried by the policy; a failure after
    /// it ends the stream with its error.
    fn list(&self, prefix: &str) -> BoxStream<'static, Result<Listed, VaultError>> {
        let vault = self.clone();
        let prefix = format!("{prefix}/");
        let opened = async move {
            let store = match &vault.inner.backend {
                Backend::Bucket(bucket) => Arc::clone(&bucket.store),
                Backend::Folder(folder) => {
                    let listed = vault.objects_in_folder(folder, &prefix).await?;
                    return Ok(stream::iter(listed.into_iter().map(Ok)).boxed());
                }
            };
            let (first, rest) = vault
                .inner
                .retry
                .run(async || {
                    // Fused: the store's own stream must not be asked again after its end.
                    let mut rest = store.list(Some(&vault.path(&prefix))).fuse();
                    match rest.try_next().await {
                        Ok(first) => Ok((first, rest)),
                        Err(error) => Err(vault.failed("list", &prefix, &error)),
                    }
                })
                .await?;
            let found = stream::iter(first.map(Ok)).chain(rest);
            let listed = found.filter_map(move |found| {
                let listed = match found {
                    Ok(meta) => vault.listed(&meta).map(Ok),
                    Err(error) => Some(Err(vault.failed("list", &prefix, &error))),
                };
                async { listed }
            });
            Ok(listed.boxed())
        };
        stream::once(opened).try_flatten().boxed()
    }

    fn listed(&self, meta: &ObjectMeta) -> Option<Listed> {
        let key = self.below_prefix(&meta.location)?.parse().ok()?;
        Some(Listed {
            key,
            size_bytes: meta.size,
            last_modified: meta.last_modified,
        })
    }
}
