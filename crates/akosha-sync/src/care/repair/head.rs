//! Writes a head again.

use akosha_core::UploadId;
use akosha_store::Store;

use super::RepairReport;
use crate::SyncError;
use crate::care::Care;
use crate::cloud::Publication;
use crate::disk::on_disk;
use crate::vault::{Head, Swap, VaultError, VaultKey};

impl Care<'_> {
    /// Writes a head again that is gone or cannot be read, where nobody else can have written it.
    pub(super) async fn restore_head(&self, report: &mut RepairReport) -> Result<(), SyncError> {
        let Publication {
            store,
            vault,
            system_id,
            ..
        } = self.publication;
        let is_damaged = match vault.read_head(system_id).await {
            Ok(Some(_)) => return Ok(()),
            Ok(None) => false,
            Err(VaultError::Damaged { .. }) => true,
            Err(error) => return Err(error.into()),
        };
        let state = self.publication.state().await?;
        let last = state.last_upload_id;
        if last.is_none() && !is_damaged {
            return Ok(());
        }
        let survey = self.survey().await?;
        let all: Vec<UploadId> = survey.all_uploads().collect();
        let begun = self.begun(all.iter().cloned()).await?;
        // Another machine may have taken the id over: its uploads are the later ones. In a vault
        // that lies elsewhere now, nobody knows which are.
        let is_later = |id: &UploadId| last.as_ref().is_none_or(|last| id > last);
        if all.iter().any(|id| !begun.contains_key(id) && is_later(id)) {
            return Ok(());
        }
        on_disk(store, Store::check_claim).await?;
        // Where the last one is gone too, pushes go on from the newest that is left.
        let left = begun
            .iter()
            .filter(|(id, _)| survey.uploads.contains_key(*id))
            .max_by_key(|(_, begun)| (begun.intent.to_seq, begun.intent.at))
            .map(|(id, begun)| (id.clone(), begun.epoch));
        let last = last.filter(|last| survey.has(last));
        let newest = last.map(|last| (last, state.epoch)).or(left);
        let Some((upload_id, epoch)) = newest else {
            // Nothing is left that can be read: the sync that follows begins anew.
            vault.delete(&VaultKey::head(system_id)).await?;
            return Ok(());
        };
        let head = Head {
            upload_id,
            system_id: system_id.clone(),
            writer_id: store.writer_id().clone(),
            epoch,
            updated_at: store.sources().clock.now(),
        };
        if vault.mend_head(&head).await? == Swap::Swapped {
            report.heads_restored += 1;
        }
        Ok(())
    }
}
