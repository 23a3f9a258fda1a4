//! What becomes of files of which something is lost or damaged.

use std::collections::{HashMap, HashSet};

use akosha_core::SystemId;
use akosha_store::{PushedFile, Store, Target};

use super::{Broken, RepairReport};
use crate::care::Care;
use crate::cloud::{Publication, listed};
use crate::crypt::Sealer;
use crate::disk::on_disk;
use crate::files::{Group, StoredPieces};
use crate::manifest::FileEntry;
use crate::survey::{Named, Survey};
use crate::verify::Check;
use crate::{ContentHash, Progress, SyncError};

impl Care<'_> {
    /// Reads every object of this home's uploads; a damaged segment counts as missing. A damaged
    /// piece of a file as it was pushed last is removed, since it would count as there when the file
    /// is sent again. Others stay as they are: nobody has better ones.
    pub(super) async fn remove_damaged(
        &self,
        survey: &mut Survey,
        progress: &dyn Progress,
        report: &mut RepairReport,
    ) -> Result<(), SyncError> {
        let Publication { store, vault, .. } = self.publication;
        let check = Check {
            vault,
            keys: &self.keys,
            store,
            pushed: &HashMap::new(),
            deep: true,
            progress,
        };
        let begun = self.begun(survey.uploads.keys().cloned()).await?;
        let files = self.publication.on_disk(Store::pushed_files).await?;
        let current: HashSet<ContentHash> = files
            .iter()
            .filter_map(Group::of)
            .flat_map(|group| group.entries)
            .flat_map(|file| file.chunks)
            .map(|chunk| chunk.sha256)
            .collect();
        for (key, object) in check.damaged(survey).await? {
            let origin = survey.named.get(&(key.clone(), object));
            if !origin.is_some_and(|origin| begun.contains_key(&origin.upload_id)) {
                continue;
            }
            match object {
                Named::Chunk(entry) if current.contains(&entry.sha256) => {
                    on_disk(store, Store::check_claim).await?;
                    vault.delete(&key).await?;
                    report.pieces_removed += 1;
                    survey.objects.remove(&key);
                }
                Named::Chunk(_) => {}
                Named::Segment(_) => {
                    survey.objects.remove(&key);
                }
            }
        }
        Ok(())
    }

    /// Lets files of which pieces are missing count as changed. Returns what a new upload has to list
    /// where the one that lists the files is broken.
    pub(super) async fn look_at_files(
        &self,
        broken: &Broken,
        report: &mut RepairReport,
    ) -> Result<Vec<FileEntry>, SyncError> {
        let Publication {
            vault,
            system_id,
            keys,
            ..
        } = self.publication;
        let stored = StoredPieces::of(vault, system_id, []).await?;
        let key = keys.to_encrypt().map(Sealer::key_id);
        let mut rows = self.publication.on_disk(Store::pushed_files).await?;
        let is_lost = |row: &PushedFile| {
            let mut broken = broken.uploads.iter();
            broken.any(|broken| broken.upload_id == row.upload_id)
        };
        let must_list = rows.iter().any(is_lost);
        let mut groups = HashMap::new();
        for row in &mut rows {
            let group = Group::of(row)
                .filter(|group| group.is_under(key) && stored.missing(&group.entries).is_none());
            if let Some(group) = group {
                groups.insert(row.name.clone(), group);
            } else {
                row.signature.clear();
                report.files_resent.push(row.name.clone());
            }
        }
        if !report.files_resent.is_empty() {
            let record = move |store: &Store, target: &Target, system_id: &SystemId| {
                store.record_files(target, system_id, &rows)
            };
            self.publication.on_disk(record).await?;
        }
        let mut entries = groups.values().flat_map(|group| &group.entries);
        let compression = entries.find_map(|file| file.compression);
        Ok(if must_list {
            listed(&groups, compression)
        } else {
            Vec::new()
        })
    }
}
