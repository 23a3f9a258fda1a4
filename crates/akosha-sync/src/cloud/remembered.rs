//! What a home remembers of a vault between pushes: whether its service honours conditional
//! writes, and which objects have parts there and are not finished.

use akosha_core::time;
use akosha_store::{Store, Target, TargetNote};
use async_trait::async_trait;
use chrono::TimeDelta;

use crate::SyncError;
use crate::disk::on_disk;
use crate::vault::{Journal, Unfinished, Vault, VaultError};

/// Kind of the notes of unfinished objects: named by the id of their parts.
const PARTS: &str = "unfinished parts";

/// Kind of the note on conditional writes.
const CONDITIONS: &str = "conditional writes";

/// How long what was found of conditional writes counts: a service may be replaced or learn.
const CONDITIONS_LAST: TimeDelta = TimeDelta::days(7);

/// The memory of one vault.
pub(super) struct Remembered<'a> {
    pub(super) store: &'a Store,
    pub(super) target: &'a Target,
}

impl Remembered<'_> {
    /// Tells the vault what an earlier push found of its conditional writes.
    pub(super) async fn recall_conditions(&self, vault: &Vault) -> Result<(), SyncError> {
        if vault.conditions().is_some() {
            return Ok(());
        }
        let notes = self.notes(CONDITIONS).await?;
        let now = self.store.sources().clock.now();
        let found = notes.iter().find_map(|note| {
            let (since, found) = note.value.split_once(' ')?;
            let age = now - time::parse(since).ok()?;
            (TimeDelta::zero() <= age && age < CONDITIONS_LAST).then_some(found)
        });
        match found {
            Some("honoured") => vault.assume_conditions(true),
            Some("missing") => vault.assume_conditions(false),
            _ => {}
        }
        Ok(())
    }

    /// Notes what this push found, where it was not known before.
    pub(super) async fn note_conditions(
        &self,
        vault: &Vault,
        before: Option<bool>,
    ) -> Result<(), SyncError> {
        let found = match vault.conditions() {
            found if found == before => return Ok(()),
            Some(true) => "honoured",
            Some(false) => "missing",
            None => return Ok(()),
        };
        let now = time::format(self.store.sources().clock.now());
        let note = TargetNote {
            name: String::new(),
            value: format!("{now} {found}"),
        };
        let target = self.target.clone();
        on_disk(self.store, move |store| {
            store.keep_target_note(&target, CONDITIONS, &note)
        })
        .await
    }

    /// Drops the parts that earlier pushes left behind. What cannot be dropped now is tried again
    /// by the next push, and keeps nothing from being sent.
    ///
    /// # Errors
    /// Fails where another process pushes from this home now: the parts may be its own.
    pub(super) async fn drop_parts(&self, vault: &Vault) -> Result<(), SyncError> {
        on_disk(self.store, Store::check_claim).await?;
        for note in self.notes(PARTS).await? {
            let object = note.value.parse().map(|key| Unfinished {
                key,
                id: note.name.clone(),
            });
            match object {
                Ok(object) => match vault.drop_parts(&object).await {
                    Ok(()) => self.forget(&object.id).await?,
                    Err(error) => tracing::warn!(%error, "parts stay behind"),
                },
                Err(_) => self.forget(&note.name).await?,
            }
        }
        Ok(())
    }

    async fn notes(&self, kind: &'static str) -> Result<Vec<TargetNote>, SyncError> {
        let target = self.target.clone();
        on_disk(self.store, move |store| store.target_notes(&target, kind)).await
    }

    async fn forget(&self, id: &str) -> Result<(), SyncError> {
        let (target, id) = (self.target.clone(), id.to_owned());
        on_disk(self.store, move |store| {
            store.drop_target_note(&target, PARTS, &id)
        })
        .await
    }
}

#[async_trait]
impl Journal for Remembered<'_> {
    async fn begun(&self, object: &Unfinished) -> Result<(), VaultError> {
        let target = self.target.clone();
        let note = TargetNote {
            name: object.id.clone(),
            value: object.key.to_string(),
        };
        let noted = on_disk(self.store, move |store| {
            store.keep_target_note(&target, PARTS, &note)
        });
        noted.await.map_err(|error| VaultError::Storage {
            operation: "note an upload in",
            path: self.store.home().root().to_owned(),
            reason: error.to_string(),
        })
    }

    async fn ended(&self, object: &Unfinished) {
        if let Err(error) = self.forget(&object.id).await {
            tracing::debug!(%error, "an upload that ended stays noted");
        }
    }
}
