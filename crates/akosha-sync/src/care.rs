//! Cares for what this node has in a vault: merges small uploads into one, removes what nothing
//! needs any more, and sends again what was lost.
//!
//! All three work on the systems that this home writes, under its drain lease, and stop at a head
//! that somebody else moved. None of them changes an object that is there: what is written is a new
//! upload that stands for others, and what is removed is what nothing names.

mod collect;
mod compact;
mod held;
mod repair;
mod replacement;

use std::collections::HashMap;

use akosha_core::UploadId;
use akosha_store::{Begun, Store};

pub use collect::{CollectOptions, CollectReport};
pub use repair::RepairReport;

use crate::SyncError;
use crate::cloud::Publication;
use crate::crypt::VaultKeys;
use crate::disk::on_disk;
use crate::survey::Survey;

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

    /// Returns whether everything that has to be there is, and can be read: only then is it known
    /// what nothing needs.
    async fn is_complete(&self, survey: &Survey) -> Result<bool, SyncError> {
        let pushed = self.pushed().await?;
        Ok(survey.unreadable.is_empty() && survey.missing(&pushed).is_empty())
    }

    /// Returns the uploads that this home made and the vault has acknowledged.
    async fn pushed(&self) -> Result<Vec<UploadId>, SyncError> {
        let Publication {
            store,
            target,
            system_id,
            ..
        } = self.publication;
        let (target, system_id) = (target.clone(), system_id.clone());
        on_disk(store, move |store: &Store| {
            let mut pushed = store.pushed_uploads(&target, &system_id)?;
            pushed.extend(store.push_state(&target, &system_id)?.last_upload_id);
            Ok(pushed)
        })
        .await
    }

    /// Returns those of `uploads` that this home made.
    async fn begun(
        &self,
        uploads: impl IntoIterator<Item = UploadId>,
    ) -> Result<HashMap<UploadId, Begun>, SyncError> {
        let system_id = self.publication.system_id.clone();
        let uploads: Vec<UploadId> = uploads.into_iter().collect();
        on_disk(self.publication.store, move |store: &Store| {
            let mut begun = HashMap::new();
            for upload_id in uploads {
                let known = store.begun(&system_id, &upload_id)?;
                if let Some(known) = known.filter(|known| !known.is_adopted) {
                    begun.insert(upload_id, known);
                }
            }
            Ok(begun)
        })
        .await
    }
}
