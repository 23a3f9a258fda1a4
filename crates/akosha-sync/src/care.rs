//! Cares for what this node has in a vault: merges small uploads into one, removes what nothing
//! needs any more, and sends again what was lost.
//!
//! All three work on the systems that this home writes, under its drain lease, and stop at a head
//! that somebody else moved. An object never becomes another than its name says: what is written is
//! a new upload that stands for others, or a lost object as it was; what is removed is what nothing
//! needs, or what is damaged and was made good.

mod collect;
mod compact;
mod held;
mod repair;
mod replacement;

use std::collections::HashMap;

use akosha_core::{SystemId, UploadId};
use akosha_store::{Begun, Store, Target};

pub use collect::{CollectOptions, CollectReport};
pub use repair::RepairReport;

use crate::SyncError;
use crate::cloud::Publication;
use crate::crypt::VaultKeys;
use crate::survey::Survey;
use crate::vault::VaultKey;
use crate::verify::Problem;

/// Uploads of a system after which a home looks whether small ones can be merged: some days of
/// work.
pub(crate) const DUE_AFTER: u64 = 32;

/// Care for one system.
pub(crate) struct Care<'a> {
    publication: Publication<'a>,
    /// What this home wrote before signatures were required is its own to vouch for.
    keys: VaultKeys,
}

impl<'a> Care<'a> {
    pub(crate) fn new(publication: Publication<'a>) -> Self {
        Self {
            keys: publication.keys.for_own_uploads(),
            publication,
        }
    }

    async fn survey(&self) -> Result<Survey, SyncError> {
        let Publication {
            vault,
            store,
            system_id,
            ..
        } = self.publication;
        Survey::of(vault, &self.keys, store, system_id).await
    }

    /// Returns why nothing may be merged or removed: what is missing, or cannot be read, may name
    /// anything.
    async fn obstacles(
        &self,
        survey: &Survey,
        newest: &UploadId,
    ) -> Result<Vec<Problem>, SyncError> {
        let pushed = self.pushed().await?;
        let missing = survey.missing(pushed.iter().chain([newest]));
        let missing = missing.into_keys().map(|id| (id, "it is not there"));
        let unreadable = survey.unreadable.iter();
        let unreadable = unreadable.map(|found| (&found.upload_id, found.fault.as_str()));
        let problem = |(upload_id, fault): (&UploadId, &str)| Problem {
            system_id: survey.system_id.to_string(),
            upload_id: Some(upload_id.to_string()),
            key: VaultKey::manifest(&survey.system_id, upload_id).to_string(),
            problem: format!("{fault}; nothing of the system was merged or removed"),
        };
        Ok(missing.chain(unreadable).map(problem).collect())
    }

    /// Returns the uploads that this home made and the vault has acknowledged.
    async fn pushed(&self) -> Result<Vec<UploadId>, SyncError> {
        self.publication.on_disk(Store::pushed_uploads).await
    }

    /// Returns those of `uploads` that this home made.
    async fn begun(
        &self,
        uploads: impl IntoIterator<Item = UploadId>,
    ) -> Result<HashMap<UploadId, Begun>, SyncError> {
        let uploads: Vec<UploadId> = uploads.into_iter().collect();
        let look = move |store: &Store, _: &Target, system_id: &SystemId| {
            let mut begun = HashMap::new();
            for upload_id in uploads {
                let known = store.begun(system_id, &upload_id)?;
                if let Some(known) = known.filter(|known| !known.is_adopted) {
                    begun.insert(upload_id, known);
                }
            }
            Ok(begun)
        };
        self.publication.on_disk(look).await
    }
}
