//! One upload: segments, then the manifest; what follows is its publication.

use akosha_store::Trigger;

use super::changes::Segments;
use super::publication::Publication;
use crate::manifest::SegmentEntry;
use crate::vault::CurrentHead;
use crate::{MethodReport, Progress, ProgressState, SyncError};

/// Most rows of one upload; what is more goes into the next one.
pub(crate) const UPLOAD_ROWS: u64 = 500_000;

/// Most segments of one upload: a reader needs room for all of them at once.
pub(crate) const UPLOAD_SEGMENTS: usize = 64;

/// An upload to be made.
pub(super) struct Upload<'a> {
    pub(super) publication: Publication<'a>,
    pub(super) trigger: Trigger,
    /// Changes that are unsynced, of which this upload takes as many as it may hold.
    pub(super) changes: u64,
    pub(super) progress: &'a dyn Progress,
}

impl Upload<'_> {
    /// Makes one upload of the local changes in `after < seq <= up_to`, or of as many of them as
    /// one upload may hold, and acknowledges them.
    pub(super) async fn run(
        &self,
        after: i64,
        up_to: i64,
        current: Option<CurrentHead>,
        report: &mut MethodReport,
    ) -> Result<(), SyncError> {
        let publication = &self.publication;
        let mut intent = publication.intend(up_to);
        publication.begin(&intent).await?;
        let (entries, reached) = self.send_segments(after, up_to, report).await?;
        if entries.is_empty() {
            // Every change in the range was erased since.
            return publication.acknowledge(None, up_to).await;
        }
        if reached < up_to {
            intent.to_seq = reached;
            publication.begin(&intent).await?;
        }
        let mut draft = publication.draft(&intent, current.as_ref(), self.trigger);
        draft.segments = entries;
        draft.files_from = publication.newest_with_files().await?;
        publication.create(&draft, &intent, report).await?;
        publication.publish(&intent, current, report).await
    }

    /// Sends the changes as segments. Returns them with the last change that they hold.
    async fn send_segments(
        &self,
        after: i64,
        up_to: i64,
        report: &mut MethodReport,
    ) -> Result<(Vec<SegmentEntry>, i64), SyncError> {
        let Publication {
            store,
            keys,
            system_id,
            ..
        } = self.publication;
        let sealer = keys.to_encrypt();
        let mut segments = Segments::new(store, system_id, sealer, after, up_to);
        let mut entries: Vec<SegmentEntry> = Vec::new();
        let before = report.memories_uploaded;
        let mut rows = 0;
        while rows < UPLOAD_ROWS && entries.len() < UPLOAD_SEGMENTS {
            let Some(segment) = segments.next().await? else {
                break;
            };
            let entry = self.publication.send_segment(segment, report).await?;
            rows += entry.rows;
            self.progress.update(ProgressState {
                bytes: report.bytes_transferred,
                total_bytes: None,
                memories: before + rows,
                total_memories: Some(before + self.changes),
            });
            entries.push(entry);
        }
        Ok((entries, segments.reached()))
    }
}
