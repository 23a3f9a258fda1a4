//! Cloud sync: pushes to a vault.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use akosha_core::SystemId;
use akosha_core::config::Config;
use akosha_store::{Store, Target, Trigger};
use async_trait::async_trait;
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

use crate::crypt::VaultKeys;
use crate::disk::on_disk;
use crate::vault::{CurrentHead, Head, Swap, Vault, VaultError, VaultKey};
use crate::{
    Adoption, Availability, MethodReport, Progress, SyncError, SyncMethod, SyncRequest, dispute,
    epoch,
};

mod changes;
mod files;
mod new_segment;
mod publication;
mod remembered;
mod upload;

pub(crate) use changes::Segments;
use files::Plan;
pub(crate) use files::listed;
pub(crate) use new_segment::NewSegment;
pub(crate) use publication::Publication;
use remembered::Remembered;
use upload::Upload;
pub(crate) use upload::{UPLOAD_ROWS, UPLOAD_SEGMENTS};

/// Longest time in which a cancelled push cleans up; a second is what cancelling may take.
const CLEAN_UP: Duration = Duration::from_millis(500);

/// Pushes to a vault.
#[derive(Debug)]
pub struct CloudSync {
    store: Store,
    config: Arc<Config>,
    vault: OnceLock<Vault>,
    keys: OnceCell<VaultKeys>,
}

impl CloudSync {
    /// Creates the method for the configured bucket; nothing is opened or contacted.
    pub fn new(store: Store, config: &Config) -> Self {
        Self {
            store,
            config: Arc::new(config.clone()),
            vault: OnceLock::new(),
            keys: OnceCell::new(),
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

    /// Returns the keys that the vault is read and written with.
    ///
    /// # Errors
    /// Fails where the home lacks a key that the configuration asks for, or its keys cannot be
    /// read.
    pub(crate) async fn keys(&self) -> Result<&VaultKeys, SyncError> {
        let load = async || {
            let (home, config) = (self.store.home().clone(), Arc::clone(&self.config));
            tokio::task::spawn_blocking(move || VaultKeys::load(&home, &config))
                .await
                .map_err(|error| SyncError::of_join(&error))?
                .map_err(SyncError::from)
        };
        self.keys.get_or_try_init(load).await
    }

    /// Returns the uploads of a system to the vault, which `target` names.
    pub(crate) async fn publication<'a>(
        &'a self,
        target: &'a Target,
        system_id: &'a SystemId,
    ) -> Result<Publication<'a>, SyncError> {
        Ok(Publication {
            store: &self.store,
            vault: self.vault()?,
            keys: self.keys().await?,
            target,
            system_id,
        })
    }

    /// Takes over a system id: see [`Syncer::adopt`](crate::Syncer::adopt).
    pub(crate) async fn adopt(&self, system_id: &SystemId) -> Result<Adoption, SyncError> {
        let vault = self.vault()?;
        let target = Self::target(vault);
        let adopted = self.adopt_in(vault, &target, system_id).await;
        let settled = adopted.as_ref().map(drop).map_err(|_| SyncError::Cancelled);
        dispute::record(&self.store, &target, system_id, &settled).await?;
        adopted
    }

    async fn adopt_in(
        &self,
        vault: &Vault,
        target: &Target,
        system_id: &SystemId,
    ) -> Result<Adoption, SyncError> {
        let Some(CurrentHead { head, version }) = vault.read_head(system_id).await? else {
            // Nobody writes under the id: the next push makes it this store's.
            return Ok(Adoption::default());
        };
        let publication = self.publication(target, system_id).await?;
        let state = publication.state().await?;
        if publication.is_expected(&head, &state) || publication.resume(&head, false).await? {
            return Ok(Adoption {
                epoch: head.epoch,
                adopted: false,
            });
        }
        // The cursor holds only where the vault still has what was acknowledged last.
        let keeps_cursor = match &state.last_upload_id {
            Some(last) => vault
                .size_of(&VaultKey::manifest(system_id, last))
                .await?
                .is_some(),
            None => false,
        };
        let Some(epoch) = epoch::after(head.epoch) else {
            let message = format!(
                "`{system_id}` cannot be taken over any more: its epoch is {}, the highest",
                head.epoch
            );
            return Err(SyncError::taken("cloud", system_id, None, message));
        };
        let head = Head {
            writer_id: self.store.writer_id().clone(),
            epoch,
            updated_at: self.store.sources().clock.now(),
            ..head
        };
        if let Swap::Lost { .. } = vault.swap_head(Some(&version), &head).await? {
            return Err(SyncError::Conflict {
                method: "cloud",
                epoch: Some(epoch - 1),
                message: format!("another machine wrote `{system_id}` at the same moment"),
                hint: "stop akosha on the other machine, then repeat the command".into(),
            });
        }
        let (target, system_id) = (target.clone(), system_id.clone());
        on_disk(&self.store, move |store| {
            store.adopt(&target, &system_id, &head.upload_id, epoch, keeps_cursor)
        })
        .await?;
        Ok(Adoption {
            epoch,
            adopted: true,
        })
    }
}

#[async_trait]
impl SyncMethod for CloudSync {
    fn name(&self) -> &'static str {
        "cloud"
    }

    async fn has_pending(&self, request: &SyncRequest) -> Result<bool, SyncError> {
        let target = Self::target(self.vault()?);
        let has_rows = on_disk(&self.store, {
            let target = target.clone();
            move |store| {
                for system_id in store.local_systems()? {
                    let has_begun = store.push_state(&target, &system_id)?.intent.is_some();
                    if has_begun || store.unsynced(&target, &system_id)?.changes > 0 {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
        })
        .await?;
        if has_rows {
            return Ok(true);
        }
        let plan = self.plan_files(&target, request).await?;
        Ok(plan.has_changes() || !plan.failures().is_empty())
    }

    async fn has_lost(&self) -> bool {
        self.lost_uploads().await.unwrap_or(false)
    }

    async fn pending_files(&self, request: &SyncRequest) -> Vec<String> {
        let Ok(vault) = self.vault() else {
            return Vec::new();
        };
        let plan = self.plan_files(&Self::target(vault), request).await;
        plan.map(Plan::names).unwrap_or_default()
    }

    async fn is_available(&self) -> Availability {
        match self.vault() {
            Ok(vault) => vault.availability().await,
            Err(error) => Availability::Unavailable(match error.hint() {
                Some(hint) => format!("{error}; {hint}"),
                None => error.to_string(),
            }),
        }
    }

    async fn sync(
        &self,
        request: &SyncRequest,
        trigger: Trigger,
        progress: &dyn Progress,
        cancel: &CancellationToken,
    ) -> MethodReport {
        let mut report = MethodReport::default();
        let result = tokio::select! {
            result = self.push_all(request, trigger, progress, &mut report) => result,
            () = cancel.cancelled() => {
                self.clean_up().await;
                Err(SyncError::Cancelled)
            }
        };
        report.error = result.err();
        report
    }
}

impl CloudSync {
    /// Pushes the memories of every system that writes here, then the files of this one: they may
    /// take long, and what follows a session is worth more soon.
    async fn push_all(
        &self,
        request: &SyncRequest,
        trigger: Trigger,
        progress: &dyn Progress,
        report: &mut MethodReport,
    ) -> Result<(), SyncError> {
        let vault = self.vault()?;
        let target = Self::target(vault);
        self.keys().await?.check_push()?;
        let remembered = self.remembered(&target);
        remembered.drop_parts(vault).await?;
        remembered.recall_conditions(vault).await?;
        let conditions = vault.conditions();
        let mut result = Ok(());
        let mut takes_files = true;
        for system_id in dispute::systems(&self.store).await? {
            // A conflict over one id does not keep the others from being synced.
            let is_own = system_id == *self.store.system_id();
            let mut pushed = self.push(&system_id, trigger, progress, report).await;
            if let Err(conflict @ SyncError::Conflict { .. }) = pushed {
                pushed = self.give_way(&system_id, conflict, report).await;
            }
            let warnings = &mut report.warnings;
            let pushed = dispute::settle(&self.store, &target, &system_id, pushed, warnings).await;
            takes_files &= pushed.is_ok() || !is_own;
            result = result.and(pushed);
        }
        if takes_files {
            let pushed = self.push_files(request, trigger, progress, report).await;
            result = result.and(pushed);
        }
        remembered.note_conditions(vault, conditions).await?;
        self.keep_warnings(target.clone(), report).await?;
        result
    }

    /// Returns what this home remembers of the vault that `target` names.
    fn remembered<'a>(&'a self, target: &'a Target) -> Remembered<'a> {
        Remembered {
            store: &self.store,
            target,
        }
    }

    /// Drops the parts that a cancelled push left behind, as far as there is time: the next push
    /// drops the rest.
    async fn clean_up(&self) {
        let Ok(vault) = self.vault() else {
            return;
        };
        let target = Self::target(vault);
        let remembered = self.remembered(&target);
        let dropping = tokio::time::timeout(CLEAN_UP, remembered.drop_parts(vault));
        if let Ok(Err(error)) = dropping.await {
            tracing::debug!(%error, "unfinished parts are left to the next push");
        }
    }

    /// Returns whether the vault's newest upload of this node is not the one that was acknowledged
    /// last: it was emptied, or put back to an earlier state.
    async fn lost_uploads(&self) -> Result<bool, SyncError> {
        let vault = self.vault()?;
        let target = Self::target(vault);
        let system_id = self.store.system_id();
        let state = on_disk(&self.store, {
            let (target, system_id) = (target.clone(), system_id.clone());
            move |store| store.push_state(&target, &system_id)
        })
        .await?;
        let Some(last) = state.last_upload_id else {
            return Ok(false);
        };
        if vault.availability().await != Availability::Available {
            return Ok(false);
        }
        let Some(CurrentHead { head, .. }) = vault.read_head(system_id).await? else {
            return Ok(true);
        };
        if head.upload_id == last || head.writer_id != *self.store.writer_id() {
            return Ok(false);
        }
        let (system_id, upload_id) = (system_id.clone(), head.upload_id);
        let begun = on_disk(&self.store, move |store| {
            store.begun(&system_id, &upload_id)
        });
        Ok(begun.await?.is_some())
    }

    /// Makes durable what the vault cannot promise, as far as this push has found out.
    async fn keep_warnings(&self, target: Target, report: &MethodReport) -> Result<(), SyncError> {
        let warnings = self.vault()?.warnings();
        // Only a push that wrote has tried everything.
        if report.upload_ids.is_empty() && warnings.is_empty() {
            return Ok(());
        }
        on_disk(&self.store, move |store| {
            store.set_warnings(&target, &warnings)
        })
        .await
    }

    /// Leaves an id that this node had before to the machine that has it now. Fails with
    /// `conflict` where the id is the present one, or something cannot leave it.
    async fn give_way(
        &self,
        system_id: &SystemId,
        conflict: SyncError,
        report: &mut MethodReport,
    ) -> Result<(), SyncError> {
        if system_id == self.store.system_id() {
            return Err(conflict);
        }
        let vault = self.vault()?;
        let target = Self::target(vault);
        let publication = self.publication(&target, system_id).await?;
        publication.close(report).await?;
        dispute::move_away(&self.store, &target, system_id, conflict).await
    }

    /// Pushes what the vault lacks of one system: finishes the upload that was begun before, if
    /// any, then makes new ones until nothing is left. Looks at the vault at least once under the
    /// present id: files may follow, or the vault may have lost what it had.
    async fn push(
        &self,
        system_id: &SystemId,
        trigger: Trigger,
        progress: &dyn Progress,
        report: &mut MethodReport,
    ) -> Result<(), SyncError> {
        let vault = self.vault()?;
        let target = Self::target(vault);
        let publication = self.publication(&target, system_id).await?;
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
        let mut looks = system_id == self.store.system_id();
        while unsynced.changes > 0 || state.intent.is_some() || looks {
            looks = false;
            let current = vault.read_head(system_id).await?;
            if let Some(CurrentHead { head, .. }) = &current
                && !publication.is_expected(head, &state)
            {
                if !publication.resume(head, false).await? {
                    return Err(publication.conflict(head, &state));
                }
            } else if current.is_none() && state.last_upload_id.is_some() && state.intent.is_none()
            {
                // A vault without a head has lost its uploads: everything is sent again.
                let (target, system_id) = (target.clone(), system_id.clone());
                on_disk(&self.store, move |store| {
                    store.reset_push(&target, &system_id)
                })
                .await?;
            } else if let Some(intent) = &state.intent {
                publication.finish(intent, current, report).await?;
            } else if unsynced.changes > 0 {
                let upload = Upload {
                    publication,
                    trigger,
                    changes: unsynced.changes,
                    progress,
                };
                upload
                    .run(state.acked_seq, unsynced.last_seq, current, report)
                    .await?;
            }
            (state, unsynced) = read_state().await?;
        }
        Ok(())
    }
}
