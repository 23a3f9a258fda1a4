//! Where everything lies in a vault.
//!
//! A key is made of validated ids and hashes only, so a key that leaves its system's prefix
//! cannot be written down.

use std::fmt;
use std::str::FromStr;

use akosha_core::{Invalid, SystemId, UploadId};

use crate::ContentHash;

/// The key of one object, below the vault's prefix.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum VaultKey {
    /// `systems/{system_id}/uploads/{upload_id}/manifest.json`: makes an upload visible.
    Manifest {
        /// Whose upload.
        system_id: SystemId,
        /// Which upload.
        upload_id: UploadId,
    },
    /// `systems/{system_id}/segments/{sha256}.parquet`: changed rows.
    Segment {
        /// Whose rows.
        system_id: SystemId,
        /// Hash of the object's bytes.
        sha256: ContentHash,
    },
    /// `systems/{system_id}/chunks/{first two hex}/{sha256}`: a piece of a file.
    Chunk {
        /// Whose file.
        system_id: SystemId,
        /// Hash of the piece before compression.
        sha256: ContentHash,
    },
    /// `systems/{system_id}/head.json`: names the newest upload.
    Head {
        /// Whose head.
        system_id: SystemId,
    },
    /// `inbox/{upload_id}`: an empty marker.
    Inbox {
        /// The upload that is new.
        upload_id: UploadId,
    },
    /// `leases/{upload_id}`: a replica's claim.
    Lease {
        /// The upload that is claimed.
        upload_id: UploadId,
    },
    /// `cold/v1/shard={000}/month={YYYY-MM}/{sha256}.parquet`: rows of the cold tier.
    Cold {
        /// The shard.
        shard: Shard,
        /// The month in which the rows were made.
        month: Month,
        /// Hash of the object's bytes.
        sha256: ContentHash,
    },
}

/// A shard number as it stands in a key: 0 to 999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Shard(u16);

impl Shard {
    /// Creates the number; `None` above 999.
    pub fn new(number: u16) -> Option<Self> {
        (number <= 999).then_some(Self(number))
    }

    /// Returns the number.
    pub fn number(self) -> u16 {
        self.0
    }
}

/// A month of a year from 0 to 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Month {
    year: u16,
    month: u8,
}

impl Month {
    /// Creates the month; `None` where there is no such month.
    pub fn new(year: u16, month: u8) -> Option<Self> {
        (year <= 9999 && (1..=12).contains(&month)).then_some(Self { year, month })
    }
}

impl VaultKey {
    /// Returns the key of an upload's manifest.
    pub fn manifest(system_id: &SystemId, upload_id: &UploadId) -> Self {
        Self::Manifest {
            system_id: system_id.clone(),
            upload_id: upload_id.clone(),
        }
    }

    /// Returns the key of a segment.
    pub fn segment(system_id: &SystemId, sha256: ContentHash) -> Self {
        Self::Segment {
            system_id: system_id.clone(),
            sha256,
        }
    }

    /// Returns the key of a piece of a file.
    pub fn chunk(system_id: &SystemId, sha256: ContentHash) -> Self {
        Self::Chunk {
            system_id: system_id.clone(),
            sha256,
        }
    }

    /// Returns the key of a system's head.
    pub fn head(system_id: &SystemId) -> Self {
        Self::Head {
            system_id: system_id.clone(),
        }
    }

    /// Returns the key of an upload's inbox marker.
    pub fn inbox(upload_id: &UploadId) -> Self {
        Self::Inbox {
            upload_id: upload_id.clone(),
        }
    }

    /// Returns the key of the claim to an upload.
    pub fn lease(upload_id: &UploadId) -> Self {
        Self::Lease {
            upload_id: upload_id.clone(),
        }
    }

    /// Returns the system whose prefix the key lies in, where it lies in one.
    pub fn system_id(&self) -> Option<&SystemId> {
        match self {
            Self::Manifest { system_id, .. }
            | Self::Segment { system_id, .. }
            | Self::Chunk { system_id, .. }
            | Self::Head { system_id } => Some(system_id),
            Self::Inbox { .. } | Self::Lease { .. } | Self::Cold { .. } => None,
        }
    }
}

impl fmt::Display for VaultKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Manifest {
                system_id,
                upload_id,
            } => write!(f, "systems/{system_id}/uploads/{upload_id}/manifest.json"),
            Self::Segment { system_id, sha256 } => {
                write!(f, "systems/{system_id}/segments/{sha256}.parquet")
            }
            Self::Chunk { system_id, sha256 } => {
                let first = sha256.as_bytes()[0];
                write!(f, "systems/{system_id}/chunks/{first:02x}/{sha256}")
            }
            Self::Head { system_id } => write!(f, "systems/{system_id}/head.json"),
            Self::Inbox { upload_id } => write!(f, "inbox/{upload_id}"),
            Self::Lease { upload_id } => write!(f, "leases/{upload_id}"),
            Self::Cold {
                shard: Shard(shard),
                month: Month { year, month },
                sha256,
            } => write!(
                f,
                "cold/v1/shard={shard:03}/month={year:04}-{month:02}/{sha256}.parquet"
            ),
        }
    }
}

impl FromStr for VaultKey {
    type Err = Invalid;

    /// Reads a key below the vault's prefix. What is read shows as the same text again.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        parse(text)
            .filter(|key| key.to_string() == text)
            .ok_or_else(|| {
                let shown: String = text.chars().take(200).collect();
                Invalid::new(
                    "key",
                    format!("`{}` is no key of a vault", shown.escape_debug()),
                )
            })
    }
}

fn parse(text: &str) -> Option<VaultKey> {
    let parts: Vec<&str> = text.split('/').collect();
    let key = match *parts.as_slice() {
        ["systems", system, "uploads", upload, "manifest.json"] => VaultKey::Manifest {
            system_id: system.parse().ok()?,
            upload_id: upload.parse().ok()?,
        },
        ["systems", system, "segments", name] => VaultKey::Segment {
            system_id: system.parse().ok()?,
            sha256: name.strip_suffix(".parquet")?.parse().ok()?,
        },
        ["systems", system, "chunks", _, name] => VaultKey::Chunk {
            system_id: system.parse().ok()?,
            sha256: name.parse().ok()?,
        },
        ["systems", system, "head.json"] => VaultKey::Head {
            system_id: system.parse().ok()?,
        },
        ["inbox", upload] => VaultKey::Inbox {
            upload_id: upload.parse().ok()?,
        },
        ["leases", upload] => VaultKey::Lease {
            upload_id: upload.parse().ok()?,
        },
        ["cold", "v1", shard, month, name] => {
            let (year, month) = month.strip_prefix("month=")?.split_once('-')?;
            VaultKey::Cold {
                shard: Shard::new(shard.strip_prefix("shard=")?.parse().ok()?)?,
                month: Month::new(year.parse().ok()?, month.parse().ok()?)?,
                sha256: name.strip_suffix(".parquet")?.parse().ok()?,
            }
        }
        _ => return None,
    };
    Some(key)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hash() -> ContentHash {
        ContentHash::of(b"x")
    }

    #[test]
    fn keys_are_where_the_contract_says() {
        let system: SystemId = "laptop_1".parse().unwrap();
        let upload: UploadId = "20260102_030405_laptop_1_00000a".parse().unwrap();
        let hex = hash().to_string();
        let cold = VaultKey::Cold {
            shard: Shard::new(7).unwrap(),
            month: Month::new(2026, 2).unwrap(),
            sha256: hash(),
        };
        for (key, text) in [
            (
                VaultKey::manifest(&system, &upload),
                format!("systems/laptop_1/uploads/{upload}/manifest.json"),
            ),
            (
                VaultKey::segment(&system, hash()),
                format!("systems/laptop_1/segments/{hex}.parquet"),
            ),
            (
                VaultKey::chunk(&system, hash()),
                format!("systems/laptop_1/chunks/{}/{hex}", &hex[..2]),
            ),
            (VaultKey::head(&system), "systems/laptop_1/head.json".into()),
            (VaultKey::inbox(&upload), format!("inbox/{upload}")),
            (VaultKey::lease(&upload), format!("leases/{upload}")),
            (
                cold,
                format!("cold/v1/shard=007/month=2026-02/{hex}.parquet"),
            ),
        ] {
            assert_eq!(key.to_string(), text);
            assert_eq!(text.parse(), Ok(key));
        }
    }

    #[test]
    fn other_texts_are_no_keys() {
        let hex = hash().to_string();
        for bad in [
            "",
            "systems",
            "systems/a",
            "systems/a/../b/head.json",
            "systems/../head.json",
            "systems/a.b/head.json",
            "systems/a/head.json\n",
            "/systems/a/head.json",
            "systems//head.json",
            "inbox/",
            "inbox/a/b",
            "inbox/a..b",
            &format!("systems/a/segments/{}.parquet", hex.to_uppercase()),
            &format!("systems/a/segments/{hex}"),
            &format!("systems/a/chunks/00/{hex}"),
            &format!("cold/v1/shard=7/month=2026-02/{hex}.parquet"),
            &format!("cold/v1/shard=007/month=2026-13/{hex}.parquet"),
            &format!("cold/v1/shard=+07/month=2026-02/{hex}.parquet"),
        ] {
            assert!(bad.parse::<VaultKey>().is_err(), "{bad:?}");
        }
    }

    fn any_key() -> impl Strategy<Value = VaultKey> {
        let system = "[A-Za-z0-9_-]{1,100}".prop_map(|id| id.parse::<SystemId>().unwrap());
        let upload = "[A-Za-z0-9_-]{1,80}(\\.[A-Za-z0-9_-]{1,79})?"
            .prop_map(|id| id.parse::<UploadId>().unwrap());
        let hash = any::<u64>().prop_map(|seed| ContentHash::of(&seed.to_le_bytes()));
        (system, upload, hash, 0..1000_u16, 1..13_u8, 0..7_u8).prop_map(
            |(system, upload, hash, number, month, kind)| match kind {
                0 => VaultKey::manifest(&system, &upload),
                1 => VaultKey::segment(&system, hash),
                2 => VaultKey::chunk(&system, hash),
                3 => VaultKey::head(&system),
                4 => VaultKey::inbox(&upload),
                5 => VaultKey::lease(&upload),
                _ => VaultKey::Cold {
                    shard: Shard::new(number).unwrap(),
                    month: Month::new(2000 + number, month).unwrap(),
                    sha256: hash,
                },
            },
        )
    }

    proptest! {
        #[test]
        fn any_key_comes_back_and_no_part_of_it_is_one(key in any_key(), cut: prop::sample::Index) {
            let text = key.to_string();
            prop_assert_eq!(text.parse::<VaultKey>().unwrap(), key.clone());
            let start = &text[..cut.index(text.len())];
            // An id that is cut is another id; everything else has a length or an ending.
            if !matches!(key, VaultKey::Inbox { .. } | VaultKey::Lease { .. }) {
                prop_assert!(start.parse::<VaultKey>().is_err(), "{}", start);
            }
            let below = format!("{text}/more");
            prop_assert!(below.parse::<VaultKey>().is_err(), "{}", below);
        }

        #[test]
        fn reading_any_text_never_panics_and_never_escapes(text in "[a-z./=%\\\\-]{0,80}") {
            if let Ok(key) = text.parse::<VaultKey>() {
                prop_assert_eq!(key.to_string(), text.clone());
                prop_assert!(!text.contains(".."));
            }
        }
    }
}
