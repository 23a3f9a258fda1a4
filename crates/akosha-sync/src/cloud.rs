//! Cloud sync: pushes to a vault.

use std::sync::{Arc, OnceLock};

use akosha_core::config::Config;
use akosha_core::{ErrorKind, SystemId, time};
use akosha_store::{PushIntent, PushState, Store, Target, Trigger};
use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use crate::disk::on_disk;
use crate::vault::{CurrentHead, Head, Swap, Vault, VaultError, VaultKey};
use crate::{Availability, MethodReport, Progress, SyncError, SyncMethod, SyncRequest};

mod changes;
mod upload;

use upload::{Publication, Upload};

/// Pushes to a vault.
#[derive(Debug)]
pub struct CloudSync {
    store: Store,
    config: Arc<Config>,
    vault: OnceLock<Vault>,
}

impl CloudSync {
    /// Creates the method for the configured bucket; nothing is opened or contacted.
    pub fn new(store: Store, config: &Config) -> Self {
        Self {
            store,
            config: Arc::new(config.clone()),
            vault: OnceLock::new(),
        }
    }

    /// Returns the cursor's name for a vault.
    pub(crate) fn target(vault: &Vault) -> Target {
        Target::new("cloud", &vault.address())
    }

    /// Returns the vault; opening it contacts nothing.
    pub(crate) fn vault(&self) -> Result<&Vault, VaultError> {
        if let Some(vault) = self.vault.get() {
            return Ok(vault);
        }
        let vault = Vault::open(&self.config)?;
        Ok(self.vault.get_or_init(|| vault))
    }

    /// Takes over a system id: see [`Syncer::adopt`](crate::Syncer::adopt).
    pub(crate) async fn adopt(&self, system_id: &SystemId) -> Result<i64, SyncError> {
        let vault = self.vault()?;
        let current = vault.read_head(system_id).await?;
        let epoch = current.as_ref().map_or(0, |current| current.head.epoch) + 1;
        let Some(current) = current else {
            // Nobody writes under the id: the next push makes it this store's.
            return Ok(0);
        };
        let target = Self::target(vault);
        let state = on_disk(&self.store, {
            let (target, system_id) = (target.clone(), system_id.clone());
            move |store| store.push_state(&target, &system_id)
        })
        .await?;
        // The cursor holds only where the vault still has what was acknowledged last.
        let keeps_cursor = match &state.last_upload_id {
            Some(last) => vault
                .size_of(&VaultKey::manifest(system_id, last))
                .await?
                .is_some(),
            None => false,
        };
        let head = Head {
            writer_id: self.store.writer_id().clone(),
            epoch,
            updated_at: self.store.sources().clock.now(),
            ..current.head.clone()
        };
        if let Swap::Lost { .. } = vault.swap_head(Some(&current.version), &head).await? {
            return Err(SyncError::Conflict {
                message: format!("another machine wrote `{system_id}` at the same moment"),
                hint: "stop akosha on the other machine, then repeat the command".into(),
            });
        }
        let system_id = system_id.clone();
        on_disk(&self.store, move |store| {
            store.adopt(&target, &system_id, &head.upload_id, epoch, keeps_cursor)
        })
        .await?;
        Ok(epoch)
    }
}

#[async_trait]
impl SyncMethod for CloudSync {
    fn name(&self) -> &'static str {
        "cloud"
    }

    async fn has_pending(&self) -> Result<bool, SyncError> {
        let target = Self::target(self.vault()?);
        on_disk(&self.store, move |store| {
            for system_id in store.local_systems()? {
                let has_begun = store.push_state(&target, &system_id)?.intent.is_some();
                if has_begun || store.unsynced(&target, &system_id)?.changes > 0 {
                    return Ok(true);
                }
            }
            Ok(false)
        })
        .await
    }

    async fn is_available(&self) -> Availability {
        match self.vault() {
            Ok(vault) => vault.availability().await,
            Err(error) => Availability::Unavailable(error.to_string()),
        }
    }

    async fn sync(
        &self,
        _request: &SyncRequest,
        trigger: Trigger,
        progress: &dyn Progress,
        cancel: &CancellationToken,
    ) -> MethodReport {
        let mut report = MethodReport::default();
        let result = tokio::select! {
            result = self.push_all(trigger, progress, &mut report) => result,
            () = cancel.cancelled() => Err(SyncError::Cancelled),
        };
        report.error = result.err();
        report
    }
}

impl CloudSync {
    async fn push_all(
        &self,
        trigger: Trigger,
        progress: &dyn Progress,
        report: &mut MethodReport,
    ) -> Result<(), SyncError> {
        let mut result = Ok(());
        for system_id in on_disk(&self.store, Store::local_systems).await? {
            // A conflict over one id does not keep the others from being synced.
            let pushed = self.push(&system_id, trigger, progress, report).await;
            result = result.and(pushed);
        }
        result
    }

    /// Pushes what the vault lacks of one system: finishes the upload that was begun before, if
    /// any, then makes new ones until nothing is left.
    async fn push(
        &self,
        system_id: &SystemId,
        trigger: Trigger,
        progress: &dyn Progress,
        report: &mut MethodReport,
    ) -> Result<(), SyncError> {
        let vault = self.vault()?;
        let target = Self::target(vault);
        let read_state = async || {
            let (target, system_id) = (target.clone(), system_id.clone());
            on_disk(&self.store, move |store| {
                Ok((
                    store.push_state(&target, &system_id)?,
                    store.unsynced(&target, &system_id)?,
                ))
            })
            .await
        };
        let (mut state, mut unsynced) = read_state().await?;
        if unsynced.changes == 0 && state.intent.is_none() {
            return Ok(());
        }
        loop {
            let current = vault.read_head(system_id).await?;
            self.check_writer(system_id, &state, current.as_ref())?;
            if current.is_none() && state.acked_seq > 0 && state.intent.is_none() {
                // A vault without a head has lost its uploads: everything is sent again.
                let (target, system_id) = (target.clone(), system_id.clone());
                on_disk(&self.store, move |store| {
                    store.reset_push(&target, &system_id)
                })
                .await?;
            } else if let Some(intent) = &state.intent {
                let publication = Publication {
                    store: &self.store,
                    vault,
                    target: &target,
                    system_id,
                };
                self.finish(publication, intent, current, report).await?;
            } else if unsynced.changes == 0 {
                return Ok(());
            } else {
                let upload = Upload {
                    store: &self.store,
                    vault,
                    target: &target,
                    system_id,
                    trigger,
                    progress,
                };
                upload
                    .run(state.acked_seq, unsynced.last_seq, current, report)
                    .await?;
            }
            (state, unsynced) = read_state().await?;
        }
    }

    /// Refuses to go on where somebody else writes under this id.
    fn check_writer(
        &self,
        system_id: &SystemId,
        state: &PushState,
        current: Option<&CurrentHead>,
    ) -> Result<(), SyncError> {
        let Some(CurrentHead { head, .. }) = current else {
            return Ok(());
        };
        let known = state.last_upload_id.as_ref() == Some(&head.upload_id)
            || state
                .intent
                .as_ref()
                .is_some_and(|intent| intent.upload_id == head.upload_id);
        let who = if &head.writer_id != self.store.writer_id() {
            "another machine"
        } else if head.epoch > state.epoch {
            "a machine that adopted the id"
        } else if !known {
            "a copy of this home"
        } else {
            return Ok(());
        };
        Err(SyncError::Conflict {
            message: format!(
                "{who} writes as `{system_id}` in this vault, last at {}, upload `{}`, epoch {}; \
                 nothing was overwritten",
                time::format(head.updated_at),
                head.upload_id,
                head.epoch
            ),
            hint: format!(
                "set another `system_id` on one of the machines, or take the id over on this one: \
                 `akosha machines adopt {system_id}`"
            ),
        })
    }

    /// Finishes an upload that was begun, from the step at which it stopped, or gives it up where
    /// its manifest was never written.
    async fn finish(
        &self,
        publication: Publication<'_>,
        intent: &PushIntent,
        current: Option<CurrentHead>,
        report: &mut MethodReport,
    ) -> Result<(), SyncError> {
        let key = VaultKey::manifest(publication.system_id, &intent.upload_id);
        let announced = current
            .as_ref()
            .filter(|current| current.head.upload_id == intent.upload_id)
            .map(|current| current.head.epoch);
        if publication.vault.size_of(&key).await?.is_some() {
            tracing::info!(upload = %intent.upload_id, "finishes an upload that was begun before");
            let published = publication.publish(intent, current, report).await;
            let is_damaged = |error: &SyncError| error.kind() == ErrorKind::Data;
            if !published.as_ref().is_err_and(is_damaged) {
                return published;
            }
            // Taken back, so that its changes are sent anew.
            tracing::warn!(upload = %intent.upload_id, "takes back a damaged upload");
            publication.vault.delete(&key).await?;
            if let Some(epoch) = announced {
                let (target, system_id) =
                    (publication.target.clone(), publication.system_id.clone());
                let upload_id = intent.upload_id.clone();
                return on_disk(&self.store, move |store| {
                    store.adopt(&target, &system_id, &upload_id, epoch, true)
                })
                .await;
            }
        }
        publication.abandon().await
    }
}
