//! Proof that a vault holds what its manifests say: every manifest is checked, each object that one
//! names is there with its size, and, where asked, every byte is right.

mod content;
mod system;

use std::collections::{BTreeSet, HashMap};
use std::time::Instant;

use akosha_core::{SystemId, UploadId};
use akosha_store::Store;
use serde::Serialize;

use crate::crypt::VaultKeys;
use crate::vault::{Vault, VaultKey};
use crate::{Progress, SyncError};

/// What a check of a vault found.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct VerifyReport {
    /// Whether nothing is wrong.
    pub success: bool,
    /// Systems that were looked at.
    pub systems: u64,
    /// Uploads whose manifest is right.
    pub uploads: u64,
    /// Objects that manifests name.
    pub objects: u64,
    /// Their sizes together in bytes.
    pub bytes: u64,
    /// Bytes that were read and hashed; 0 unless every byte was to be checked.
    pub bytes_read: u64,
    /// Objects that no manifest names: left by pushes that were interrupted. 0 for a system with a
    /// manifest that cannot be read.
    pub unreferenced: u64,
    /// Their sizes together in bytes.
    pub unreferenced_bytes: u64,
    /// What is wrong.
    pub problems: Vec<Problem>,
    /// Seconds that it took.
    pub duration_seconds: f64,
}

/// Something in a vault that is not as it has to be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Problem {
    /// Whose upload.
    pub system_id: String,
    /// The upload that is affected; null for what belongs to none.
    pub upload_id: Option<String>,
    /// The object.
    pub key: String,
    /// What is wrong with it.
    pub problem: String,
}

impl VerifyReport {
    fn note(
        &mut self,
        system_id: &SystemId,
        upload_id: Option<&UploadId>,
        key: &VaultKey,
        problem: impl Into<String>,
    ) {
        self.problems.push(Problem {
            system_id: system_id.to_string(),
            upload_id: upload_id.map(ToString::to_string),
            key: key.to_string(),
            problem: problem.into(),
        });
    }
}

/// What is checked, and against what.
#[derive(Clone, Copy)]
pub(crate) struct Check<'a> {
    pub(crate) vault: &'a Vault,
    pub(crate) keys: &'a VaultKeys,
    pub(crate) store: &'a Store,
    /// The uploads of each system that this home pushed: one that is gone, without another that
    /// stands for it, is a problem.
    pub(crate) pushed: &'a HashMap<SystemId, Vec<UploadId>>,
    /// Whether every object is read, hashed and decoded.
    pub(crate) deep: bool,
    pub(crate) progress: &'a dyn Progress,
}

impl Check<'_> {
    /// Checks the named systems, or all.
    ///
    /// # Errors
    /// Fails where the vault does not answer or refuses; what is wrong in it is in the report.
    pub(crate) async fn run(&self, named: &[SystemId]) -> Result<VerifyReport, SyncError> {
        let started = Instant::now();
        let mut report = VerifyReport::default();
        let systems: BTreeSet<SystemId> = if named.is_empty() {
            let found = self.vault.list_systems().await?;
            found
                .into_iter()
                .chain(self.pushed.keys().cloned())
                .collect()
        } else {
            named.iter().cloned().collect()
        };
        // What was written before signatures were required is this home's own to vouch for.
        let own_keys = self.keys.for_own_uploads();
        for system_id in systems {
            let mut check = *self;
            if self.pushed.contains_key(&system_id) {
                check.keys = &own_keys;
            }
            check.system(&system_id, &mut report).await?;
        }
        report.problems.sort();
        report.success = report.problems.is_empty();
        report.duration_seconds = started.elapsed().as_secs_f64();
        Ok(report)
    }
}
