//! The uploads of one system, as a person looks at them.

use akosha_core::{Invalid, SystemId, UploadId, time};
use futures::TryStreamExt;
use serde::Serialize;

use super::{Syncer, reachable};
use crate::vault::UploadListed;
use crate::{SyncError, received};

/// An upload in the vault.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct UploadSummary {
    /// Its id.
    pub upload_id: String,
    /// What people call it; `None` where nobody gave it a name.
    pub name: Option<String>,
    /// `sync` or `snapshot`.
    pub kind: Option<&'static str>,
    /// When it was made; when it was written, where its manifest cannot be read.
    pub uploaded_at: String,
    /// Changes that it brings.
    pub memories: Option<u64>,
    /// Files that it brings.
    pub files: Option<u64>,
    /// Bytes that it holds.
    pub size_bytes: Option<u64>,
    /// Why its manifest is not believed.
    pub fault: Option<String>,
}

/// A page of uploads, the newest first.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct UploadPage {
    /// The uploads.
    pub uploads: Vec<UploadSummary>,
    /// Where the next page starts; `None` at the end.
    pub next_cursor: Option<String>,
    /// Uploads on all pages.
    pub total: u64,
}

impl Syncer {
    /// Lists the uploads of a system that can be seen in the vault by the time at which they were
    /// made, newest first; `cursor` is where the page before ended.
    ///
    /// # Errors
    /// Fails where no vault is set or it does not answer, or the limit is not 1 to 100.
    pub async fn uploads(
        &self,
        system_id: &SystemId,
        limit: usize,
        cursor: Option<&UploadId>,
    ) -> Result<UploadPage, SyncError> {
        if !(1..=100).contains(&limit) {
            let reason = format!("is `{limit}`, expected 1 to 100");
            let invalid = Invalid::new("limit", reason);
            return Err(akosha_store::StoreError::from(invalid).into());
        }
        let cloud = self.cloud(&self.store)?;
        let (vault, keys) = (cloud.vault()?, cloud.keys().await?);
        reachable(vault).await?;
        let mut listed: Vec<UploadListed> = vault.list_uploads(system_id).try_collect().await?;
        // Ids that Akosha makes begin with their time; of others the storage knows it.
        let moment = |upload: &UploadListed| {
            let id = upload.upload_id.as_str();
            let begun = id.get(..15);
            let begun = begun.filter(|_| upload.upload_id.system_id().is_some());
            let written = upload.last_modified.format("%Y%m%d_%H%M%S").to_string();
            (
                begun.map_or(written, str::to_owned),
                // Two of one second.
                upload.last_modified,
                upload.upload_id.clone(),
            )
        };
        listed.sort_by_cached_key(|upload| std::cmp::Reverse(moment(upload)));
        let total = listed.len() as u64;
        if let Some(cursor) = cursor {
            let last = listed.iter().position(|upload| upload.upload_id == *cursor);
            listed.drain(..last.map_or(listed.len(), |last| last + 1));
        }
        let more = listed.len() > limit;
        listed.truncate(limit);
        let next = listed.last().filter(|_| more);
        let next_cursor = next.map(|upload| upload.upload_id.to_string());
        let now = self.store.sources().clock.now();
        let mut uploads = Vec::with_capacity(listed.len());
        for upload in listed {
            let id = &upload.upload_id;
            uploads.push(
                match received::manifest(vault, keys, now, system_id, id).await {
                    Ok((manifest, _)) => UploadSummary {
                        upload_id: id.to_string(),
                        name: manifest.name().map(str::to_owned),
                        kind: Some(manifest.kind().as_str()),
                        uploaded_at: time::format(manifest.uploaded_at()),
                        memories: Some(manifest.conversation_count()),
                        files: Some(manifest.files().len() as u64),
                        size_bytes: Some(manifest.total_size_bytes()),
                        fault: None,
                    },
                    Err(error) => UploadSummary {
                        upload_id: id.to_string(),
                        name: None,
                        kind: None,
                        uploaded_at: time::format(upload.last_modified),
                        memories: None,
                        files: None,
                        size_bytes: None,
                        fault: Some(error.to_string()),
                    },
                },
            );
        }
        Ok(UploadPage {
            uploads,
            next_cursor,
            total,
        })
    }
}
