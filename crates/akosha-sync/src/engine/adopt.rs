//! Takes over a system id that another writer has.

use akosha_core::SystemId;
use akosha_store::{Dispute, Store};
use tokio_util::sync::CancellationToken;

use super::Syncer;
use crate::disk::on_disk;
use crate::{HttpSync, SyncError, epoch};

/// What became of the wish to take a system id over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Adoption {
    /// The epoch under which this home writes.
    pub epoch: i64,
    /// Whether anybody else had the id.
    pub adopted: bool,
}

impl Syncer {
    /// Takes over a system id of this node that another writer has, in the vault or on the Akosha
    /// at `akosha_url`: this home becomes the writer and the epoch is raised, so that the other
    /// machine's next push is told. Does nothing where nobody else has the id.
    ///
    /// # Errors
    /// Fails where this node does not write as the system, no vault is set, it cannot be reached,
    /// or another home adopts at the same time.
    pub async fn adopt(&self, system_id: &SystemId) -> Result<Adoption, SyncError> {
        self.check_config()?;
        let cancel = CancellationToken::new();
        self.claimed(&cancel, async |claimed, _| {
            self.adopt_claimed(claimed, system_id).await
        })
        .await
    }

    async fn adopt_claimed(
        &self,
        claimed: &Store,
        system_id: &SystemId,
    ) -> Result<Adoption, SyncError> {
        let config = &self.config.config;
        let server = HttpSync::target(&config.akosha_url);
        let (own, disputes) = on_disk(claimed, {
            let server = server.clone();
            move |store| Ok((store.local_systems()?, store.disputes(&server)?))
        })
        .await?;
        if !own.contains(system_id) {
            let own: Vec<String> = own.iter().map(|id| format!("`{id}`")).collect();
            return Err(SyncError::Config {
                message: format!(
                    "`{system_id}` is no system id of this machine, which writes as {}",
                    own.join(", ")
                ),
                hint: "to take over the id of a machine that is gone, set `system_id` to it first"
                    .into(),
            });
        }
        let rival = disputes
            .into_iter()
            .find(|dispute| dispute.system_id == *system_id);
        let mut in_vault = None;
        if !config.cloud_bucket.is_empty() || rival.is_none() {
            in_vault = Some(self.cloud(claimed)?.adopt(system_id).await?);
        }
        let Some(Dispute {
            epoch,
            hint,
            message,
            ..
        }) = rival
        else {
            return Ok(in_vault.unwrap_or_default());
        };
        let Some(epoch) = epoch.and_then(epoch::after) else {
            let taken = SyncError::Conflict {
                method: "http",
                epoch,
                message,
                hint,
            };
            return in_vault.filter(|found| found.adopted).ok_or(taken);
        };
        let system_id = system_id.clone();
        on_disk(claimed, move |store| {
            store.outbid(&server, &system_id, epoch)
        })
        .await?;
        Ok(Adoption {
            epoch,
            adopted: true,
        })
    }
}
