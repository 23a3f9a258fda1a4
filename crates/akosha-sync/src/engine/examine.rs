//! A look at the vault as a push and a pull meet it: what a person is told who asks what is wrong.

use std::time::Duration;

use akosha_store::PushState;
use chrono::TimeDelta;

use super::Syncer;
use crate::disk::on_disk;
use crate::vault::{Vault, VaultKey, VaultOptions};
use crate::{CloudSync, SyncError};

/// Longest time of one request: a person waits.
const REQUEST: Duration = Duration::from_secs(10);

/// What a look at the vault found.
#[derive(Debug, Default)]
pub struct Examination {
    /// What the vault refused to who reads it, lists it or writes to it.
    pub refused: Option<SyncError>,
    /// How far this machine's clock is ahead of the storage's; `None` where that is not known.
    pub clock_ahead: Option<TimeDelta>,
    /// Whether the storage honours the conditions of conditional writes; `None` where this node
    /// has no upload there to try it on.
    pub conditional_writes: Option<bool>,
}

impl Syncer {
    /// Looks at the vault: reads this node's head, lists the systems, asks for the time, and tries
    /// a conditional write on the empty marker of the last upload, which changes nothing. Nothing
    /// is tried twice, and no request is silent for more than 10 s.
    ///
    /// # Errors
    /// Fails where no vault is set, its settings are wrong, or the store cannot be read.
    pub async fn examine_vault(&self) -> Result<Examination, SyncError> {
        let config = &self.config.config;
        self.cloud(&self.store)?;
        let vault = Vault::with_options(&VaultOptions {
            stall_timeout: REQUEST,
            max_retries: 0,
            ..VaultOptions::from_config(config)?
        })?;
        let target = CloudSync::target(&vault);
        let state = on_disk(&self.store, move |store| {
            store.push_state(&target, store.system_id())
        });
        let state = state.await?;
        let storage_time = vault.time().await;
        let now = self.store.sources().clock.now();
        let mut examination = Examination {
            clock_ahead: storage_time.map(|time| now - time),
            ..Examination::default()
        };
        match self.try_vault(&vault, &state).await {
            Ok(honoured) => examination.conditional_writes = honoured,
            Err(error) => examination.refused = Some(error),
        }
        Ok(examination)
    }

    async fn try_vault(&self, vault: &Vault, state: &PushState) -> Result<Option<bool>, SyncError> {
        vault.read_head(self.store.system_id()).await?;
        vault.list_systems().await?;
        match &state.last_upload_id {
            Some(upload_id) => Ok(vault
                .honours_conditions(&VaultKey::inbox(upload_id))
                .await?),
            None => Ok(None),
        }
    }
}
