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
        match vault.read_head(system_id).await {
            Ok(Some(_)) => return Ok(()),
            Ok(None) | Err(VaultError::Damaged { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        let state = self.publication.state().await?;
        let Some(last) = state.last_upload_id.clone() else {
            return Ok(());
        };
        let survey = self.survey().await?;
        let uploads = survey.uploads.keys().cloned();
        let unreadable = survey
            .unreadable
            .iter()
            .map(|found| found.upload_id.clone());
        let all: Vec<UploadId> = uploads.chain(unreadable).collect();
        let begun = self.begun(all.iter().cloned()).await?;
        // Another machine may have taken the id over: its uploads are the later ones.
        if all.iter().any(|id| !begun.contains_key(id) && *id > last) {
            return Ok(());
        }
        on_disk(store, Store::check_claim).await?;
        // Where the last one is gone too, pushes go on from the newest that is left.
        let newest = if survey.has(&last) {
            Some(last)
        } else {
            let left = begun
                .iter()
                .filter(|(id, _)| survey.uploads.contains_key(*id));
            let newest = left.max_by_key(|(_, begun)| (begun.intent.to_seq, begun.intent.at));
            newest.map(|(id, _)| id.clone())
        };
        let Some(upload_id) = newest else {
            // Nothing is left that can be read: the sync that follows begins anew.
            vault.delete(&VaultKey::head(system_id)).await?;
            return Ok(());
        };
        let head = Head {
            upload_id,
            system_id: system_id.clone(),
            writer_id: store.writer_id().clone(),
            epoch: state.epoch,
            updated_at: store.sources().clock.now(),
        };
        if vault.mend_head(&head).await? == Swap::Swapped {
            report.heads_restored += 1;
        }
        Ok(())
    }
}
