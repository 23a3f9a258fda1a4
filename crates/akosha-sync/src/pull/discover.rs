//! Finds the uploads of a vault that this store has not merged.

use std::collections::BTreeSet;

use akosha_core::{SystemId, UploadId};
use akosha_store::{Store, UploadOutcome};
use futures::{StreamExt, TryStreamExt, stream};

use crate::SyncError;
use crate::disk::on_disk;
use crate::vault::Vault;

/// Listings that are under way at once.
const IN_FLIGHT: usize = 8;

/// What a look into a vault found.
#[derive(Default)]
pub(super) struct Found {
    /// The uploads, oldest first within each system.
    pub(super) uploads: Vec<(SystemId, UploadId)>,
    /// Why a system could not be looked into; the others were.
    pub(super) error: Option<SyncError>,
}

/// Finds the uploads of the named systems, or of all where none is named, that are not merged.
///
/// Looks into each system's own prefix, so that an upload whose inbox marker was never written is
/// found too.
pub(super) async fn uploads(
    vault: &Vault,
    store: &Store,
    named: &[SystemId],
) -> Result<Found, SyncError> {
    let systems: BTreeSet<SystemId> = if named.is_empty() {
        vault.list_systems().await?
    } else {
        named.iter().cloned().collect()
    };
    let listings = stream::iter(systems).map(async |system_id| {
        let uploads: Vec<_> = vault.list_uploads(&system_id).try_collect().await?;
        let mut ids: Vec<UploadId> = uploads.into_iter().map(|found| found.upload_id).collect();
        ids.sort_unstable();
        unmerged(store, system_id, ids).await
    });
    let mut found = Found::default();
    let mut listings = listings.buffered(IN_FLIGHT);
    while let Some(listing) = listings.next().await {
        match listing {
            Ok(uploads) => found.uploads.extend(uploads),
            Err(error @ SyncError::CloudUpload { .. }) => {
                found.error.get_or_insert(error);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

async fn unmerged(
    store: &Store,
    system_id: SystemId,
    upload_ids: Vec<UploadId>,
) -> Result<Vec<(SystemId, UploadId)>, SyncError> {
    on_disk(store, move |store| {
        let mut new = Vec::new();
        for upload_id in upload_ids {
            if store.upload_outcome(&system_id, &upload_id)? != UploadOutcome::Merged {
                new.push((system_id.clone(), upload_id));
            }
        }
        Ok(new)
    })
    .await
}
