//! Merges uploads that are verified whole.

use akosha_core::{IngestionMethod, SystemId, UploadId};
use akosha_store::{Change, IncomingUpload, Merged, Settled, Store, StoreError};
use tokio_util::sync::CancellationToken;

use super::upload::{Content, each_batch};
use super::{Fault, Intake, Verified};
use crate::SyncError;

/// What became of an upload that was merged.
#[derive(Debug)]
pub struct Intaken {
    /// The system under which it lies.
    pub system_id: SystemId,
    /// Its id.
    pub upload_id: UploadId,
    /// Rows that it has.
    pub rows: u64,
    /// Bytes that were received for it.
    pub bytes: u64,
    /// Memories that could not be merged and are set aside, with the reason.
    pub refused: Vec<(String, String)>,
    /// What the merge did; nothing where somebody else merged it meanwhile, which `is_known` tells.
    pub merged: Merged,
    /// Whether somebody else merged it meanwhile.
    pub is_known: bool,
}

/// What became of uploads that were to be merged.
#[derive(Debug, Default)]
pub struct Merging {
    /// Those that are merged now, or were already.
    pub done: Vec<Intaken>,
    /// Those that cannot be merged while others can, with the reason.
    pub failed: Vec<(SystemId, UploadId, Fault)>,
    /// Those that wait because the store refused, and why.
    pub refused: Option<(Vec<Verified>, SyncError)>,
}

impl Intake {
    /// Merges uploads to their end, in their order, and notes them in the ledger in the
    /// transaction that ends each: those whose rows are in memory in one for all of them, each of
    /// the others in several. Counts by what was here at the change `since`, or where it is `None`
    /// by what was here before each. Blocks on the disk.
    ///
    /// An upload that is not merged leaves nothing, but for rows that are the same when it is
    /// merged again. Once `stop` is cancelled, one that takes several transactions ends
    /// between two of them and is refused as cancelled.
    #[tracing::instrument(name = "merge_uploads", skip_all, fields(uploads = uploads.len()))]
    pub fn merge(
        &self,
        uploads: Vec<Verified>,
        since: Option<i64>,
        stop: &CancellationToken,
    ) -> Merging {
        let mut merging = Merging::default();
        let mut waiting = uploads.into_iter().peekable();
        while let Some(upload) = waiting.next() {
            let mut group = vec![upload];
            let is_kept = group.iter().all(Verified::is_kept);
            while is_kept && let Some(next) = waiting.next_if(Verified::is_kept) {
                group.push(next);
            }
            let merged = if is_kept {
                merge_group(self.store(), group, since, &mut merging)
            } else {
                merge_large(self.store(), group, since, stop, &mut merging)
            };
            if let Err((mut left, error)) = merged {
                left.extend(waiting);
                merging.refused = Some((left, error));
                break;
            }
        }
        merging
    }
}

type Refused = (Vec<Verified>, SyncError);

fn merge_group(
    store: &Store,
    group: Vec<Verified>,
    since: Option<i64>,
    merging: &mut Merging,
) -> Result<(), Refused> {
    let incoming: Vec<IncomingUpload<'_>> = group
        .iter()
        .map(|upload| match &upload.content {
            Content::Kept(changes) => upload.incoming(changes, Merged::default()),
            Content::Files(_) => upload.incoming(&[], Merged::default()),
        })
        .collect();
    match store.merge_uploads(&incoming, IngestionMethod::CloudPull, since) {
        Ok(settled) => {
            for (upload, settled) in group.into_iter().zip(settled) {
                merging.take(upload, settled);
            }
            Ok(())
        }
        Err(error) => Err((group, error.into())),
    }
}

/// Merges uploads one by one that are each too large for one transaction.
fn merge_large(
    store: &Store,
    group: Vec<Verified>,
    since: Option<i64>,
    stop: &CancellationToken,
    merging: &mut Merging,
) -> Result<(), Refused> {
    let mut waiting = group.into_iter();
    while let Some(mut upload) = waiting.next() {
        match merge_files(store, &mut upload, since, stop) {
            Ok(Some(settled)) => merging.take(upload, settled),
            Ok(None) => {}
            Err(Fault::Store(error)) => {
                return Err((std::iter::once(upload).chain(waiting).collect(), error));
            }
            Err(fault) => merging.fail(&upload, fault),
        }
    }
    Ok(())
}

/// Merges an upload batch by batch. It remembers how far it came: what is merged already would count
/// as nothing new when it is merged again.
fn merge_files(
    store: &Store,
    upload: &mut Verified,
    since: Option<i64>,
    stop: &CancellationToken,
) -> Result<Option<Result<Settled, StoreError>>, Fault> {
    let Verified {
        manifest,
        content: Content::Files(files),
        begun,
        ..
    } = upload
    else {
        return Ok(None);
    };
    let since = match since.or(begun.since) {
        Some(since) => since,
        None => store.newest_seq()?,
    };
    begun.since = Some(since);
    let mut at = 0;
    each_batch(manifest, files, |batch| {
        at += 1;
        if at <= begun.batches {
            return Ok(());
        }
        if stop.is_cancelled() {
            return Err(Fault::Store(SyncError::Cancelled));
        }
        let changes: Vec<Change> = batch.into_iter().flatten().collect();
        begun.merged += store.merge_since(&changes, IngestionMethod::CloudPull, since)?;
        begun.batches = at;
        Ok(())
    })?;
    let end = [upload.incoming(&[], upload.begun.merged)];
    let settled = store.merge_uploads(&end, IngestionMethod::CloudPull, Some(since))?;
    Ok(settled.into_iter().next())
}

impl Merging {
    fn take(&mut self, upload: Verified, settled: Result<Settled, StoreError>) {
        match settled {
            Ok(settled) => self.done.push(upload.taken_in(settled)),
            Err(error) => {
                // Its rows, or those that they meet in the store.
                let reason = format!("its rows cannot be merged: {error}");
                self.fail(&upload, Fault::Upload(reason));
            }
        }
    }

    fn fail(&mut self, upload: &Verified, fault: Fault) {
        let (system_id, upload_id) = (upload.system_id().clone(), upload.upload_id().clone());
        self.failed.push((system_id, upload_id, fault));
    }
}

impl Verified {
    fn incoming<'a>(&'a self, changes: &'a [Change], before: Merged) -> IncomingUpload<'a> {
        IncomingUpload {
            system_id: self.system_id(),
            upload_id: self.upload_id(),
            changes,
            before,
            rows: self.rows(),
            bytes: self.bytes,
            refused: &self.refused,
        }
    }

    fn taken_in(self, settled: Settled) -> Intaken {
        let (merged, is_known) = match settled {
            Settled::Merged(merged) => (merged, false),
            Settled::Known => (Merged::default(), true),
        };
        Intaken {
            system_id: self.system_id().clone(),
            upload_id: self.upload_id().clone(),
            rows: self.rows(),
            bytes: self.bytes,
            refused: self.refused,
            merged,
            is_known,
        }
    }
}
