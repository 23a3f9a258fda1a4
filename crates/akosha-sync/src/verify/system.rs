//! Checks one system: its head, its manifests, and that what they name is there.

use std::collections::HashSet;

use akosha_core::SystemId;

use super::{Check, VerifyReport};
use crate::SyncError;
use crate::received::ReceiveError;
use crate::survey::{Survey, Unreadable};
use crate::vault::VaultKey;

impl Check<'_> {
    /// Checks one system and adds what is found to the report.
    pub(super) async fn system(
        &self,
        system_id: &SystemId,
        report: &mut VerifyReport,
    ) -> Result<(), SyncError> {
        let survey = Survey::of(self.vault, self.keys, self.store, system_id).await?;
        report.systems += 1;
        report.uploads += survey.uploads.len() as u64;
        self.head(&survey, report).await?;
        self.uploads(&survey, report);
        count_objects(&survey, report);
        if self.deep {
            self.contents(&survey, report).await?;
        }
        Ok(())
    }

    /// Checks that the head names an upload that is there.
    async fn head(&self, survey: &Survey, report: &mut VerifyReport) -> Result<(), SyncError> {
        let id = &survey.system_id;
        let key = VaultKey::head(id);
        let head = match self.vault.read_head(id).await {
            Ok(current) => current.map(|current| current.head),
            Err(error) => {
                let fault = ReceiveError::from(error).into_fault()?;
                report.note(id, None, &key, fault);
                return Ok(());
            }
        };
        match head {
            Some(head) if !survey.has(&head.upload_id) => {
                let problem = "it names an upload that is not there";
                report.note(id, Some(&head.upload_id), &key, problem);
            }
            None if !survey.uploads.is_empty() || !survey.unreadable.is_empty() => {
                let problem = "it is not there although the system has uploads";
                report.note(id, None, &key, problem);
            }
            _ => {}
        }
        Ok(())
    }

    /// Checks that no upload is missing or cannot be read.
    fn uploads(&self, survey: &Survey, report: &mut VerifyReport) {
        let id = &survey.system_id;
        for Unreadable {
            upload_id, fault, ..
        } in &survey.unreadable
        {
            let key = VaultKey::manifest(id, upload_id);
            report.note(id, Some(upload_id), &key, fault.as_str());
        }
        let pushed = self.pushed.get(id).into_iter().flatten();
        for (upload_id, by) in survey.missing(pushed) {
            let key = VaultKey::manifest(id, upload_id);
            let problem = match by {
                None => "this home pushed it, and it is not there".to_owned(),
                Some(by) => format!("it is not there, and `{by}` follows it"),
            };
            report.note(id, Some(upload_id), &key, problem);
        }
    }
}

/// Checks what manifests name against what is there.
fn count_objects(survey: &Survey, report: &mut VerifyReport) {
    let mut named = HashSet::new();
    for ((key, object), origin) in &survey.named {
        if named.insert(key) {
            report.objects += 1;
            report.bytes += object.size();
        }
        if let Some(problem) = survey.fault_of(key, object) {
            report.note(&survey.system_id, Some(&origin.upload_id), key, problem);
        }
    }
    if survey.unreadable.is_empty() {
        for (_, object) in survey.unnamed() {
            report.unreferenced += 1;
            report.unreferenced_bytes += object.size_bytes;
        }
    }
}
