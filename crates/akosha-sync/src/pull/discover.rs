//! Finds the uploads of a vault that this store has not merged.

use std::collections::BTreeSet;

use akosha_core::SystemId;
use futures::{StreamExt, stream};

use crate::SyncError;
use crate::intake::{Candidate, Intake};

/// Listings that are under way at once.
const IN_FLIGHT: usize = 8;

/// What a look into a vault found.
#[derive(Default)]
pub(super) struct Found {
    /// The uploads to be tried, oldest first within each system.
    pub(super) uploads: Vec<Candidate>,
    /// The uploads that are as they were when they were set aside for good, with the reason.
    pub(super) hopeless: Vec<(Candidate, String)>,
    /// Why a system could not be looked into; the others were.
    pub(super) error: Option<SyncError>,
}

/// Finds the uploads of the named systems, or of all where none is named, that are not merged.
pub(super) async fn uploads(intake: &Intake, named: &[SystemId]) -> Result<Found, SyncError> {
    let systems: BTreeSet<SystemId> = if named.is_empty() {
        intake.systems().await?
    } else {
        named.iter().cloned().collect()
    };
    let listings = stream::iter(systems).map(async |system_id| {
        let candidates = intake.uploads(&system_id).await?;
        intake.sort(candidates).await
    });
    let mut found = Found::default();
    let mut listings = listings.buffered(IN_FLIGHT);
    while let Some(listing) = listings.next().await {
        match listing {
            Ok(sorted) => {
                // Who asks for a pull does not wait for the time of the next try.
                let later = sorted.later.into_iter().map(|(candidate, ..)| candidate);
                let mut uploads: Vec<Candidate> = sorted.new.into_iter().chain(later).collect();
                uploads.sort_unstable_by(|one, other| one.upload_id.cmp(&other.upload_id));
                found.uploads.extend(uploads);
                found.hopeless.extend(sorted.hopeless);
            }
            Err(error @ SyncError::CloudUpload { .. }) => {
                found.error.get_or_insert(error);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}
