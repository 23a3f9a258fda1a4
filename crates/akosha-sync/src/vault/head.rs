//! `head.json`: the one object that changes, by compare-and-swap.

mod in_bucket;
mod in_folder;

use akosha_core::{SystemId, UploadId, WriterId, excerpt, time};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use object_store::UpdateVersion;
use serde::{Deserialize, Serialize};

use super::{Backend, Vault, VaultError, VaultKey};
use crate::{ContentHash, epoch};

/// Largest head in bytes.
const MAX_HEAD_BYTES: u64 = 16 << 10;

/// The version that this program writes; it reads every minor version of it.
const VERSION: &str = "1.0";

/// The newest upload of a system and who writes there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The newest upload.
    pub upload_id: UploadId,
    /// Whose head it is.
    pub system_id: SystemId,
    /// The store that writes under this system id.
    pub writer_id: WriterId,
    /// Raised each time another store adopts the system id.
    pub epoch: i64,
    /// When the head was written.
    pub updated_at: DateTime<Utc>,
}

/// A state of a head that a swap can be conditional on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeadVersion(Tag);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Tag {
    /// What a service calls the object's state: ETag, generation or both.
    Bucket(UpdateVersion),
    /// Hash of the bytes in a folder.
    Folder(ContentHash),
}

/// A head as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CurrentHead {
    /// The head.
    pub head: Head,
    /// Its state.
    pub version: HeadVersion,
}

/// What became of a swap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Swap {
    /// The head is what was to be written.
    Swapped,
    /// Somebody else was there before; nothing was changed.
    Lost {
        /// The head as it is, `None` where there is none.
        current: Option<CurrentHead>,
    },
}

/// The bytes of a head and their state.
struct Raw {
    bytes: Bytes,
    version: HeadVersion,
}

#[derive(Serialize, Deserialize)]
struct Document {
    version: String,
    upload_id: UploadId,
    system_id: SystemId,
    writer_id: WriterId,
    epoch: i64,
    #[serde(with = "time::serde_utc")]
    updated_at: DateTime<Utc>,
}

impl Head {
    /// Returns the object's bytes.
    fn to_bytes(&self) -> Result<Bytes, serde_json::Error> {
        let document = Document {
            version: VERSION.into(),
            upload_id: self.upload_id.clone(),
            system_id: self.system_id.clone(),
            writer_id: self.writer_id.clone(),
            epoch: self.epoch,
            updated_at: self.updated_at,
        };
        serde_json::to_vec(&document).map(Bytes::from)
    }

    /// Reads the head of `system_id`; the error says what is wrong.
    fn from_bytes(bytes: &[u8], system_id: &SystemId) -> Result<Self, String> {
        let document: Document =
            serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        if !is_known(&document.version) {
            return Err(format!("its version is `{}`", excerpt(&document.version)));
        }
        if document.system_id != *system_id {
            return Err(format!("it names the system `{}`", document.system_id));
        }
        if epoch::checked(document.epoch).is_none() {
            return Err(format!("its epoch is {}", document.epoch));
        }
        Ok(Self {
            upload_id: document.upload_id,
            system_id: document.system_id,
            writer_id: document.writer_id,
            epoch: document.epoch,
            updated_at: document.updated_at,
        })
    }
}

impl Vault {
    /// Returns the head of a system, `None` where it has none.
    ///
    /// # Errors
    /// Fails where the head is damaged, or the vault does not answer or refuses.
    pub async fn read_head(&self, system_id: &SystemId) -> Result<Option<CurrentHead>, VaultError> {
        let raw = self.raw_head(system_id).await?;
        raw.map(|raw| current(&raw, system_id)).transpose()
    }

    /// Writes a head where there is none, or one that cannot be read; any other one stays.
    ///
    /// # Errors
    /// Fails where a newer program wrote the head, or the vault does not answer or refuses.
    pub(crate) async fn mend_head(&self, head: &Head) -> Result<Swap, VaultError> {
        let Some(raw) = self.raw_head(&head.system_id).await? else {
            return self.swap_head(None, head).await;
        };
        match current(&raw, &head.system_id) {
            Err(VaultError::Damaged { .. }) => self.swap_head(Some(&raw.version), head).await,
            current => Ok(Swap::Lost {
                current: Some(current?),
            }),
        }
    }

    async fn raw_head(&self, system_id: &SystemId) -> Result<Option<Raw>, VaultError> {
        let read = async || match &self.inner.backend {
            Backend::Bucket(_) => self.raw_head_in_bucket(system_id).await,
            Backend::Folder(_) => self.raw_head_in_folder(system_id).await,
        };
        self.inner.retry.run(read).await
    }

    /// Makes `head` the head of its system where the present one is still `expected`; `None`
    /// expects that there is none. A swap whose answer was lost, but that happened, counts.
    ///
    /// # Errors
    /// Fails where the present head is damaged, or the vault does not answer or refuses.
    pub async fn swap_head(
        &self,
        expected: Option<&HeadVersion>,
        head: &Head,
    ) -> Result<Swap, VaultError> {
        let bytes = head.to_bytes().map_err(|error| VaultError::Damaged {
            key: VaultKey::head(&head.system_id).to_string(),
            reason: error.to_string(),
        })?;
        let swap = async || match &self.inner.backend {
            Backend::Bucket(_) => self.swap_in_bucket(expected, head, &bytes).await,
            Backend::Folder(_) => self.swap_in_folder(expected, head, &bytes).await,
        };
        self.inner.retry.run(swap).await
    }
}

fn is_known(version: &str) -> bool {
    version
        .split_once('.')
        .is_some_and(|(major, _)| major == "1")
}

/// Returns the version of a head of a format that is yet to come.
fn newer_version(bytes: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Versioned {
        version: String,
    }
    let Versioned { version } = serde_json::from_slice(bytes).ok()?;
    let (major, minor) = version.split_once('.')?;
    let (major, _): (u32, u32) = (major.parse().ok()?, minor.parse().ok()?);
    (major > 1).then_some(version)
}

fn current(raw: &Raw, system_id: &SystemId) -> Result<CurrentHead, VaultError> {
    if let Some(version) = newer_version(&raw.bytes) {
        return Err(VaultError::Newer {
            key: VaultKey::head(system_id).to_string(),
            version,
        });
    }
    match Head::from_bytes(&raw.bytes, system_id) {
        Ok(head) => Ok(CurrentHead {
            head,
            version: raw.version.clone(),
        }),
        Err(reason) => Err(VaultError::Damaged {
            key: VaultKey::head(system_id).to_string(),
            reason: format!("it is no head that can be read: {reason}"),
        }),
    }
}

/// Returns that the swap is lost to what is there.
fn lost(raw: Option<&Raw>, system_id: &SystemId) -> Result<Swap, VaultError> {
    let current = raw.map(|raw| current(raw, system_id)).transpose()?;
    Ok(Swap::Lost { current })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn head() -> Head {
        Head {
            upload_id: "20260102_030405_a_00000a".parse().unwrap(),
            system_id: "a".parse().unwrap(),
            writer_id: "01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap(),
            epoch: 3,
            updated_at: time::parse("2026-01-02T03:04:05Z").unwrap(),
        }
    }

    proptest! {
        #[test]
        fn any_head_comes_back_and_no_part_of_it_does(
            system in "[A-Za-z0-9_-]{1,100}",
            upload in "[A-Za-z0-9_-]{1,160}",
            epoch in 0..=crate::manifest::MAX_SAFE_INTEGER,
            micros in 0..4_000_000_000_000_000_i64,
            writer: u128,
            cut: prop::sample::Index,
            bit in 0_u8..8,
        ) {
            let head = Head {
                upload_id: upload.parse().unwrap(),
                system_id: system.parse().unwrap(),
                writer_id: ulid(writer).parse().unwrap(),
                epoch,
                updated_at: DateTime::from_timestamp_micros(micros).unwrap(),
            };
            let bytes = head.to_bytes().unwrap();
            prop_assert!(bytes.len() as u64 <= MAX_HEAD_BYTES);
            prop_assert_eq!(Head::from_bytes(&bytes, &head.system_id), Ok(head.clone()));
            let cut = cut.index(bytes.len());
            prop_assert!(Head::from_bytes(&bytes[..cut], &head.system_id).is_err());
            // A head has no checksum: a flipped bit may give another value, never another system.
            let mut flipped = bytes.to_vec();
            flipped[cut] ^= 1 << bit;
            if let Ok(other) = Head::from_bytes(&flipped, &head.system_id) {
                prop_assert_eq!(&other.system_id, &head.system_id);
            }
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(Head::from_bytes(&bytes, &head().system_id).is_err());
        }
    }

    /// Returns a number as a ULID writes it.
    fn ulid(number: u128) -> String {
        let digits = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
        let digit = |at: u32| digits[(number >> (5 * at) & 31) as usize] as char;
        (0..26).rev().map(digit).collect()
    }

    #[test]
    fn a_head_is_read_strictly() {
        let head = head();
        let bytes = head.to_bytes().unwrap();
        assert_eq!(Head::from_bytes(&bytes, &head.system_id), Ok(head.clone()));
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let future = text.replace("\"1.0\"", "\"1.7\",\"more\":[1]");
        assert_eq!(
            Head::from_bytes(future.as_bytes(), &head.system_id),
            Ok(head.clone())
        );
        for (from, to) in [
            ("\"1.0\"", "\"2.0\""),
            ("\"1.0\"", "1"),
            ("\"a\"", "\"b\""),
            ("\"a\"", "\"a/..\""),
            (":3", ":-1"),
            (":3", ":9007199254740992"),
            (":3", ":\"3\""),
            ("2026-01-02T03:04:05Z", "soon"),
            ("}", ""),
            ("}", ",\"epoch\":4}"),
            ("}", "}}"),
        ] {
            let changed = text.replace(from, to);
            assert_ne!(changed, text);
            assert!(
                Head::from_bytes(changed.as_bytes(), &head.system_id).is_err(),
                "{changed}"
            );
        }
    }
}
