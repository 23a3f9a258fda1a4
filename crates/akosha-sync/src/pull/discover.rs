//! Finds the uploads of a vault that this store has not merged.

use std::collections::BTreeSet;

use akosha_core::{SystemId, UploadId};
use akosha_store::{Store, UploadOutcome};
use futures::{StreamExt, TryStreamExt, stream};

use crate::SyncError;
use crate::disk::on_disk;
use crate::vault::{UploadListed, Vault};

/// Listings that are under way at once.
const IN_FLIGHT: usize = 8;

/// What a look into a vault found.
#[derive(Default)]
pub(super) struct Found {
    /// The uploads to be tried, oldest first within each system.
    pub(super) uploads: Vec<Candidate>,
    /// The uploads that are as they were when they were set aside for good, with the reason.
    pub(super) hopeless: Vec<(SystemId, UploadId, String)>,
    /// Why a system could not be looked into; the others were.
    pub(super) error: Option<SyncError>,
}

/// An upload that is not merged.
pub(super) struct Candidate {
    pub(super) system_id: SystemId,
    pub(super) upload_id: UploadId,
    /// Tells this state of its manifest, and this program, from others.
    pub(super) seen: String,
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
        let mut candidates: Vec<Candidate> = uploads
            .into_iter()
            .map(|listed| Candidate {
                system_id: system_id.clone(),
                seen: state_of(&listed),
                upload_id: listed.upload_id,
            })
            .collect();
        candidates.sort_unstable_by(|one, other| one.upload_id.cmp(&other.upload_id));
        unmerged(store, candidates).await
    });
    let mut found = Found::default();
    let mut listings = listings.buffered(IN_FLIGHT);
    while let Some(listing) = listings.next().await {
        match listing {
            Ok((uploads, hopeless)) => {
                found.uploads.extend(uploads);
                found.hopeless.extend(hopeless);
            }
            Err(error @ SyncError::CloudUpload { .. }) => {
                found.error.get_or_insert(error);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// Returns what tells a manifest that was replaced from the one before. Manifests never change,
/// so this is for those that somebody mends by hand.
fn state_of(listed: &UploadListed) -> String {
    let program = env!("CARGO_PKG_VERSION");
    let modified = listed.last_modified.timestamp_micros();
    format!("{program} {} {modified}", listed.manifest_bytes)
}

type Sorted = (Vec<Candidate>, Vec<(SystemId, UploadId, String)>);

/// Leaves out what is merged, and tells apart what is hopeless.
async fn unmerged(store: &Store, candidates: Vec<Candidate>) -> Result<Sorted, SyncError> {
    on_disk(store, move |store| {
        let (mut new, mut hopeless) = (Vec::new(), Vec::new());
        for candidate in candidates {
            let Candidate {
                system_id,
                upload_id,
                seen,
            } = &candidate;
            match store.upload_outcome(system_id, upload_id)? {
                UploadOutcome::Merged => {}
                UploadOutcome::New => new.push(candidate),
                UploadOutcome::Quarantined => {
                    match store.fault_for_good(upload_id, system_id, seen)? {
                        Some(reason) => {
                            hopeless.push((candidate.system_id, candidate.upload_id, reason));
                        }
                        None => new.push(candidate),
                    }
                }
            }
        }
        Ok((new, hopeless))
    })
    .await
}
