//! Tells an upload that the vault does not give from a vault that gives nothing.
//!
//! Both look the same once. Where the vault has answered something else since an upload failed, and
//! fails at that upload again, the upload is to blame: it is no reason to leave the vault alone.

use std::collections::HashMap;

use akosha_core::{SystemId, UploadId};
use akosha_sync::intake::Candidate;

/// Failures of an upload between answers of the vault after which it is set aside.
const ENOUGH: u32 = 2;

/// Most uploads that are remembered; further ones count as the vault's failures.
const MOST: usize = 10_000;

/// Who is to blame for a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Blame {
    /// The vault, as far as is known.
    Vault,
    /// The upload, which is to be read once more.
    Upload,
    /// The upload, which has failed often enough.
    UploadForLong,
}

/// Uploads at which the vault failed.
#[derive(Debug, Default)]
pub(crate) struct Suspects {
    /// What the vault has answered.
    answers: u64,
    failed: HashMap<(SystemId, UploadId), Failed>,
}

/// How an upload failed.
#[derive(Debug)]
struct Failed {
    /// What the vault had answered when it failed last.
    answers: u64,
    /// How often it failed though the vault had answered since.
    alone: u32,
}

impl Suspects {
    /// Notes that the vault answered.
    pub(crate) fn answered(&mut self) {
        self.answers += 1;
    }

    /// Notes that the vault failed at an upload.
    pub(crate) fn failed(&mut self, candidate: &Candidate) -> Blame {
        let key = key(candidate);
        let answers = self.answers;
        let Some(failed) = self.failed.get_mut(&key) else {
            if self.failed.len() < MOST {
                self.failed.insert(key, Failed { answers, alone: 0 });
            }
            return Blame::Vault;
        };
        if failed.answers < answers {
            failed.answers = answers;
            failed.alone = failed.alone.saturating_add(1);
        } else if failed.alone < ENOUGH {
            return Blame::Vault;
        }
        if failed.alone < ENOUGH {
            Blame::Upload
        } else {
            Blame::UploadForLong
        }
    }

    /// Forgets an upload that the vault gave, or that is gone.
    pub(crate) fn clear(&mut self, candidate: &Candidate) {
        // Mostly there is none.
        if !self.failed.is_empty() {
            self.failed.remove(&key(candidate));
        }
    }
}

fn key(candidate: &Candidate) -> (SystemId, UploadId) {
    (candidate.system_id.clone(), candidate.upload_id.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upload() -> Candidate {
        Candidate {
            system_id: "laptop".parse().unwrap(),
            upload_id: "20260102_030405_laptop_00000a".parse().unwrap(),
            at: chrono::DateTime::from_timestamp(0, 0).unwrap(),
            seen: None,
        }
    }

    #[test]
    fn a_vault_that_answers_nothing_is_to_blame() {
        let mut suspects = Suspects::default();
        suspects.answered();
        for _ in 0..10 {
            assert_eq!(suspects.failed(&upload()), Blame::Vault);
        }
    }

    #[test]
    fn an_upload_that_fails_between_answers_is_to_blame_until_it_is_given() {
        let mut suspects = Suspects::default();
        assert_eq!(suspects.failed(&upload()), Blame::Vault);
        suspects.answered();
        assert_eq!(suspects.failed(&upload()), Blame::Upload);
        suspects.answered();
        assert_eq!(suspects.failed(&upload()), Blame::UploadForLong);
        assert_eq!(suspects.failed(&upload()), Blame::UploadForLong);
        suspects.clear(&upload());
        suspects.answered();
        assert_eq!(suspects.failed(&upload()), Blame::Vault);
    }
}
