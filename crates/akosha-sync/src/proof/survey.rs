//! Lists the objects of a system and reads every manifest among them.

use std::collections::HashMap;

use akosha_core::{SystemId, UploadId};
use chrono::{DateTime, Utc};
use futures::stream::FuturesUnordered;
use futures::{StreamExt, TryStreamExt};

use super::Problem;
use crate::SyncError;
use crate::crypt::VaultKeys;
use crate::manifest::{MAX_MANIFEST_BYTES, Manifest, UnverifiedManifest, Verification};
use crate::vault::{Listed, Vault, VaultKey};

/// Manifests that are read at once.
const AT_ONCE: usize = 8;

/// What lies in a vault under one system.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// Every object by its key.
    pub(super) objects: HashMap<VaultKey, Listed>,
    /// The manifests that are right.
    pub(super) manifests: Vec<Manifest>,
    /// What is wrong with the others.
    pub(super) problems: Vec<Problem>,
}

impl Survey {
    /// Looks at a system.
    ///
    /// # Errors
    /// Fails where the vault does not answer or refuses.
    pub(super) async fn of(
        vault: &Vault,
        system_id: &SystemId,
        now: DateTime<Utc>,
        keys: &VaultKeys,
    ) -> Result<Self, SyncError> {
        let listed: Vec<Listed> = vault.list_objects(system_id).try_collect().await?;
        let mut survey = Self {
            objects: listed
                .into_iter()
                .map(|listed| (listed.key.clone(), listed))
                .collect(),
            ..Self::default()
        };
        let uploads: Vec<UploadId> = survey
            .objects
            .keys()
            .filter_map(|key| match key {
                VaultKey::Manifest { upload_id, .. } => Some(upload_id.clone()),
                _ => None,
            })
            .collect();
        let mut waiting = uploads.into_iter();
        let mut reading = FuturesUnordered::new();
        loop {
            while reading.len() < AT_ONCE
                && let Some(upload_id) = waiting.next()
            {
                reading.push(read(vault, system_id, upload_id, now, keys));
            }
            match reading.next().await {
                Some(Ok(Ok(manifest))) => survey.manifests.push(manifest),
                Some(Ok(Err(problem))) => survey.problems.push(problem),
                Some(Err(error)) => return Err(error),
                None => return Ok(survey),
            }
        }
    }
}

/// Reads a manifest; one that is at fault is a problem, a vault that does not answer an error.
async fn read(
    vault: &Vault,
    system_id: &SystemId,
    upload_id: UploadId,
    now: DateTime<Utc>,
    keys: &VaultKeys,
) -> Result<Result<Manifest, Problem>, SyncError> {
    let key = VaultKey::manifest(system_id, &upload_id);
    let problem = |problem: String| Problem {
        system_id: system_id.to_string(),
        upload_id: Some(upload_id.to_string()),
        key: key.to_string(),
        problem,
    };
    let bytes = match vault.get(&key, MAX_MANIFEST_BYTES).await {
        Ok(bytes) => bytes,
        Err(error) if error.is_retryable() => return Err(error.into()),
        Err(error) => return Ok(Err(problem(error.to_string()))),
    };
    let against = (system_id.clone(), upload_id.clone(), keys.clone());
    let verified = tokio::task::spawn_blocking(move || {
        let (system_id, upload_id, keys) = &against;
        UnverifiedManifest::parse(&bytes)?.verify(&Verification {
            system_id,
            upload_id,
            now,
            keys,
        })
    });
    let verified = verified.await.map_err(|error| SyncError::of_join(&error))?;
    Ok(verified.map_err(|error| problem(error.to_string())))
}
