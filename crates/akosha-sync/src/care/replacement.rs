//! An upload that stands for others.

use akosha_core::UploadId;
use akosha_store::{PushIntent, PushState, Trigger};

use crate::cloud::Publication;
use crate::manifest::{FileEntry, Replaced, SegmentEntry};
use crate::vault::CurrentHead;
use crate::{MethodReport, SyncError};

/// What an upload stands for others for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// It holds what they hold, and nothing else.
    Compaction,
    /// They are broken or gone, and it holds what may have been in them.
    Repair,
}

impl Purpose {
    /// Returns the name in manifests: `compaction`, `repair`.
    fn as_str(self) -> &'static str {
        match self {
            Self::Compaction => "compaction",
            Self::Repair => "repair",
        }
    }
}

/// How it tells which files the system has.
#[derive(Debug, Clone)]
pub(super) enum Files {
    /// By the upload that lists them, where there is one.
    From(Option<UploadId>),
    /// By listing them.
    Listed(Vec<FileEntry>),
}

/// An upload that was begun and will hold what others hold, or held.
pub(super) struct Replacement<'a> {
    publication: Publication<'a>,
    intent: PushIntent,
    current: CurrentHead,
}

impl<'a> Replacement<'a> {
    /// Begins the upload after the head `current`, which was read before anything else of the
    /// vault: see [`Held`](super::held::Held).
    pub(super) async fn begin(
        publication: Publication<'a>,
        (state, current): (PushState, CurrentHead),
    ) -> Result<Self, SyncError> {
        // It holds nothing that is not acknowledged.
        let intent = publication.intend(state.acked_seq);
        publication.begin(&intent).await?;
        Ok(Self {
            publication,
            intent,
            current,
        })
    }

    /// Makes it visible, as the newest upload of the system. Returns the upload once it is read back
    /// and right.
    pub(super) async fn publish(
        self,
        segments: Vec<SegmentEntry>,
        (replaces, files): (Vec<Replaced>, Files),
        purpose: Purpose,
        report: &mut MethodReport,
    ) -> Result<UploadId, SyncError> {
        let Self {
            publication,
            intent,
            current,
        } = self;
        let mut draft = publication.draft(&intent, Some(&current), Trigger::Manual);
        purpose.as_str().clone_into(&mut draft.metadata.trigger);
        draft.holds_more = purpose == Purpose::Repair;
        draft.segments = segments;
        draft.replaces = replaces;
        match files {
            Files::From(upload_id) => draft.files_from = upload_id,
            Files::Listed(files) => {
                draft.compression = files.iter().find_map(|file| file.compression);
                draft.files = files;
            }
        }
        publication.create(&draft, &intent, report).await?;
        publication.publish(&intent, Some(current), report).await?;
        Ok(intent.upload_id)
    }

    /// Gives it up before it was visible.
    pub(super) async fn abandon(self) -> Result<(), SyncError> {
        self.publication.abandon().await
    }
}
