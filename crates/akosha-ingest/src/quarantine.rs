//! What is set aside, for people: to try it again now, or to dismiss it. The command line and the
//! server's routes do it by this.

use std::collections::BTreeSet;

use akosha_core::{ErrorKind, SystemId, UploadId};
use akosha_store::{Quarantined, Store, StoreError, UploadOutcome};
use akosha_sync::intake::Intake;
use akosha_sync::{Progress, QuarantinedUpload, SyncError};
use futures::{StreamExt, TryStreamExt, stream};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::IngestWorker;

/// Manifests that are looked up at once.
const IN_FLIGHT: usize = 8;

/// Which uploads are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// All that are open.
    All,
    /// Those that are named, open or dismissed.
    Uploads(Vec<UploadName>),
}

/// Names an upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadName {
    /// The upload.
    pub upload_id: String,
    /// Its system; where there is none, every one that has an upload of this id.
    pub system_id: Option<String>,
}

/// An upload, as answers name it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct SetAside {
    /// The upload.
    pub upload_id: String,
    /// The system under which it lies.
    pub system_id: String,
}

/// What came of trying uploads again.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct RetryReport {
    /// Whether all of them are merged, as far as they still exist.
    pub success: bool,
    /// Those that are merged whole now.
    pub merged: Vec<SetAside>,
    /// Those that are set aside again, whole or in part, with the reason.
    pub quarantined: Vec<QuarantinedUpload>,
    /// Those that are in the vault no more: their marks are lifted.
    pub gone: Vec<SetAside>,
    /// Those that were not reached and are tried again by the next look.
    pub waiting: Vec<SetAside>,
    /// What went wrong with the whole.
    pub error: Option<String>,
}

impl IngestWorker {
    /// Forgets what is known against uploads that are set aside and takes them in now. May run
    /// beside [`IngestWorker::run`], here or in another process.
    ///
    /// # Errors
    /// Fails, with nothing changed, where none is meant by a name, no vault is set, or it cannot be
    /// reached.
    pub async fn retry(
        &self,
        which: &Selection,
        progress: &dyn Progress,
        cancel: &CancellationToken,
    ) -> Result<RetryReport, SyncError> {
        let uploads = self.selected(which, true).await?;
        if uploads.is_empty() {
            return Ok(RetryReport {
                success: true,
                ..RetryReport::default()
            });
        }
        let intake = self.intake().await?;
        intake.reach().await?;
        let mut report = RetryReport::default();
        let mut named = Vec::new();
        for upload in uploads {
            match upload.ids() {
                Some(ids) => named.push(ids),
                // Nothing lies under such a name.
                None => report.gone.push(upload),
            }
        }
        clear(intake, named.clone()).await?;
        let mut candidates = Vec::new();
        for (ids, found) in find(intake, &named).await? {
            match found {
                Some(candidate) => candidates.push(candidate),
                None => report.gone.push(SetAside::of(&ids)),
            }
        }
        lift(intake, &report.gone).await?;
        let pulled = self.take_in(candidates, progress, cancel).await?;
        report.quarantined = pulled.quarantined;
        report.error = pulled.error;
        for ids in named {
            let upload = SetAside::of(&ids);
            let is_told =
                report.gone.contains(&upload) || report.quarantined.iter().any(|it| upload.is(it));
            if is_told {
                continue;
            }
            match outcome(intake, ids).await? {
                UploadOutcome::Merged => report.merged.push(upload),
                UploadOutcome::New | UploadOutcome::Quarantined => report.waiting.push(upload),
            }
        }
        report.success =
            report.error.is_none() && report.quarantined.is_empty() && report.waiting.is_empty();
        Ok(report)
    }

    /// Dismisses uploads that are set aside: they are neither tried nor listed any more until
    /// [`IngestWorker::retry`] names them. Returns those that were open.
    ///
    /// # Errors
    /// Fails, with nothing changed, where none is meant by a name, or the store refuses.
    pub async fn release(&self, which: &Selection) -> Result<Vec<SetAside>, SyncError> {
        let uploads = self.selected(which, false).await?;
        self.on_store(move |store| {
            let mut released = Vec::new();
            for upload in uploads {
                if store.release_quarantined(&upload.system_id, &upload.upload_id)? {
                    released.push(upload);
                }
            }
            Ok(released)
        })
        .await
    }

    /// Returns the uploads that are meant, each once; with `released` also those that were dismissed
    /// and are named.
    async fn selected(
        &self,
        which: &Selection,
        released: bool,
    ) -> Result<BTreeSet<SetAside>, SyncError> {
        let mut known = self.on_store(Store::quarantined).await?;
        let Selection::Uploads(names) = which else {
            return Ok(known.iter().map(SetAside::known).collect());
        };
        if released {
            known.extend(self.on_store(Store::released).await?);
        }
        let mut selected = BTreeSet::new();
        for name in names {
            let meant = known.iter().filter(|it| name.means(it));
            let before = selected.len();
            selected.extend(meant.clone().map(SetAside::known));
            if selected.len() == before && meant.count() == 0 {
                return Err(SyncError::Local {
                    message: format!(
                        "no upload `{}` is set aside",
                        akosha_core::excerpt(&name.upload_id)
                    ),
                    hint: "see what is: `akosha quarantine list`".into(),
                    kind: ErrorKind::NotFound,
                });
            }
        }
        Ok(selected)
    }
}

type Ids = (SystemId, UploadId);

impl SetAside {
    fn known(it: &Quarantined) -> Self {
        Self {
            upload_id: it.upload_id.clone(),
            system_id: it.system_id.clone(),
        }
    }

    fn of((system_id, upload_id): &Ids) -> Self {
        Self {
            upload_id: upload_id.to_string(),
            system_id: system_id.to_string(),
        }
    }

    fn ids(&self) -> Option<Ids> {
        Some((self.system_id.parse().ok()?, self.upload_id.parse().ok()?))
    }

    fn is(&self, it: &QuarantinedUpload) -> bool {
        self.upload_id == it.upload_id && self.system_id == it.system_id
    }
}

impl UploadName {
    fn means(&self, it: &Quarantined) -> bool {
        let system_id = self.system_id.as_ref();
        self.upload_id == it.upload_id && system_id.is_none_or(|id| *id == it.system_id)
    }
}

async fn clear(intake: &Intake, uploads: Vec<Ids>) -> Result<(), SyncError> {
    let cleared = intake.on_store(move |store| {
        for (system_id, upload_id) in &uploads {
            store.retry_quarantined(system_id, upload_id)?;
        }
        Ok(())
    });
    cleared.await
}

async fn find(
    intake: &Intake,
    uploads: &[Ids],
) -> Result<Vec<(Ids, Option<akosha_sync::intake::Candidate>)>, SyncError> {
    stream::iter(uploads.to_vec())
        .map(async |ids| {
            let found = intake.find(&ids.0, &ids.1).await?;
            Ok((ids, found))
        })
        .buffered(IN_FLIGHT)
        .try_collect()
        .await
}

async fn lift(intake: &Intake, gone: &[SetAside]) -> Result<(), SyncError> {
    let gone: Vec<(String, String)> = gone
        .iter()
        .map(|it| (it.system_id.clone(), it.upload_id.clone()))
        .collect();
    intake
        .on_store(move |store| store.lift_quarantine(&gone))
        .await
}

async fn outcome(intake: &Intake, ids: Ids) -> Result<UploadOutcome, SyncError> {
    intake
        .on_store(move |store: &Store| -> Result<_, StoreError> {
            store.upload_outcome(&ids.0, &ids.1)
        })
        .await
}
