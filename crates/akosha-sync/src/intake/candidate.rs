//! Uploads that were found, and what is to be done about them.

use akosha_core::{SystemId, UploadId};
use akosha_store::{Sighting, Triage};
use chrono::{DateTime, Utc};

use super::Intake;
use crate::SyncError;
use crate::disk::on_disk;
use crate::vault::{Listed, UploadListed};

/// An upload that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The system under which it lies.
    pub system_id: SystemId,
    /// Its id.
    pub upload_id: UploadId,
    /// When its manifest, or its marker, was written, by the storage's clock.
    pub at: DateTime<Utc>,
    /// Tells this state of its manifest, and this program, from others; `None` where its marker
    /// alone was seen.
    pub seen: Option<String>,
}

/// Candidates by what is to be done about them.
#[derive(Debug, Default)]
pub struct Sorted {
    /// To be read.
    pub new: Vec<Candidate>,
    /// Merged already, or dismissed by a person.
    pub merged: Vec<Candidate>,
    /// Set aside, to be tried again: when, and why they were set aside.
    pub later: Vec<(Candidate, DateTime<Utc>, String)>,
    /// As they were when they were set aside for good, with the reason.
    pub hopeless: Vec<(Candidate, String)>,
}

impl Candidate {
    /// Creates the candidate that a listing found.
    pub(crate) fn listed(system_id: &SystemId, listed: UploadListed) -> Self {
        Self {
            system_id: system_id.clone(),
            seen: Some(state_of(listed.manifest_bytes, listed.last_modified)),
            at: listed.last_modified,
            upload_id: listed.upload_id,
        }
    }

    pub(super) fn of_manifest(
        system_id: &SystemId,
        upload_id: &UploadId,
        manifest: &Listed,
    ) -> Self {
        Self {
            system_id: system_id.clone(),
            upload_id: upload_id.clone(),
            at: manifest.last_modified,
            seen: Some(state_of(manifest.size_bytes, manifest.last_modified)),
        }
    }
}

impl Intake {
    /// Sorts candidates by what the store knows of them.
    ///
    /// # Errors
    /// Fails where the store cannot be read.
    pub async fn sort(&self, candidates: Vec<Candidate>) -> Result<Sorted, SyncError> {
        on_disk(&self.store, move |store| {
            let sightings: Vec<Sighting<'_>> = candidates
                .iter()
                .map(|it| Sighting {
                    system_id: &it.system_id,
                    upload_id: &it.upload_id,
                    seen: it.seen.as_deref(),
                })
                .collect();
            let triage = store.triage(&sightings)?;
            let mut sorted = Sorted::default();
            for (candidate, triage) in candidates.into_iter().zip(triage) {
                match triage {
                    Triage::New => sorted.new.push(candidate),
                    Triage::Merged | Triage::Released => sorted.merged.push(candidate),
                    Triage::Later { not_before, reason } => {
                        sorted.later.push((candidate, not_before, reason));
                    }
                    Triage::Hopeless(reason) => sorted.hopeless.push((candidate, reason)),
                }
            }
            Ok(sorted)
        })
        .await
    }
}

/// Returns what tells a manifest that was replaced from the one before. Manifests never change,
/// so this is for those that somebody mends by hand.
fn state_of(manifest_bytes: u64, last_modified: DateTime<Utc>) -> String {
    let program = env!("CARGO_PKG_VERSION");
    let modified = last_modified.timestamp_micros();
    format!("{program} {manifest_bytes} {modified}")
}
