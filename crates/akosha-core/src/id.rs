//! Ids as validated newtypes: a value of one of these types cannot hold a bad id.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::error::quote;
use crate::{Invalid, Sources};

macro_rules! string_id {
    ($name:ident) => {
        impl $name {
            /// Returns the id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = Invalid;

            fn from_str(value: &str) -> Result<Self, Invalid> {
                Self::try_from(value.to_owned())
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }
    };
}

/// The id of a machine or node: 1 to 100 of `A-Z`, `a-z`, `0-9`, `_`, `-`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SystemId(String);
string_id!(SystemId);

impl SystemId {
    /// Longest system id in bytes.
    pub const MAX_LEN: usize = 100;

    /// Returns the id that stands for no machine, for where there is none yet.
    pub(crate) fn unnamed() -> Self {
        Self("unnamed".to_owned())
    }

    /// Makes a valid id of any name: every run of other characters becomes one `-`, the ends are
    /// trimmed, the length is cut. Returns `None` where nothing usable is left.
    pub fn from_name(name: &str) -> Option<Self> {
        let mut id = String::with_capacity(name.len());
        for c in name.trim().chars() {
            if c.is_ascii_alphanumeric() || c == '_' || c == '-' {
                id.push(c);
            } else if !id.ends_with('-') {
                id.push('-');
            }
            if id.len() == Self::MAX_LEN {
                break;
            }
        }
        let id = id.trim_matches('-');
        (!id.is_empty()).then(|| Self(id.to_owned()))
    }
}

impl TryFrom<String> for SystemId {
    type Error = Invalid;

    fn try_from(value: String) -> Result<Self, Invalid> {
        let valid = (1..=Self::MAX_LEN).contains(&value.len())
            && value
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
        if valid {
            Ok(Self(value))
        } else {
            Err(Invalid::new(
                "system_id",
                format!(
                    "is {}, expected 1 to {} letters, digits, `_` or `-`",
                    quote(&value),
                    Self::MAX_LEN
                ),
            ))
        }
    }
}

/// The id of a memory within its system: 1 to 256 bytes, no control characters, no white space
/// at the ends.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MemoryId(String);
string_id!(MemoryId);

impl MemoryId {
    /// Longest memory id in bytes.
    pub const MAX_LEN: usize = 256;

    /// Makes a new ULID.
    pub fn generate(sources: &Sources) -> Self {
        Self(sources.ulid())
    }
}

impl TryFrom<String> for MemoryId {
    type Error = Invalid;

    fn try_from(value: String) -> Result<Self, Invalid> {
        let valid = (1..=Self::MAX_LEN).contains(&value.len())
            && !value.chars().any(char::is_control)
            && value.trim() == value;
        if valid {
            Ok(Self(value))
        } else {
            Err(Invalid::new(
                "memory_id",
                format!(
                    "is {}, expected 1 to {} bytes without control characters or white space at \
                     the ends",
                    quote(&value),
                    Self::MAX_LEN
                ),
            ))
        }
    }
}

/// The id of one upload: `YYYYMMDD_HHMMSS_{system_id}_{6 hex}`, which sorts by time.
///
/// Readers accept any `^[A-Za-z0-9_.-]{1,160}$` without `..`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UploadId(String);
string_id!(UploadId);

impl UploadId {
    /// Longest upload id in bytes.
    pub const MAX_LEN: usize = 160;

    /// Makes the id of an upload that starts now.
    pub fn generate(system_id: &SystemId, sources: &Sources) -> Self {
        Self::at(sources.clock.now(), system_id, sources.random.next_u32())
    }

    fn at(time: DateTime<Utc>, system_id: &SystemId, random: u32) -> Self {
        Self(format!(
            "{}_{system_id}_{:06x}",
            time.format("%Y%m%d_%H%M%S"),
            random & 0x00ff_ffff
        ))
    }

    /// Returns the system that the id names, where it has the form that Akosha writes.
    pub fn system_id(&self) -> Option<SystemId> {
        let bytes = self.0.as_bytes();
        let digits = |range: std::ops::Range<usize>| {
            bytes
                .get(range)
                .is_some_and(|part| part.iter().all(u8::is_ascii_digit))
        };
        let separators = bytes.get(8) == Some(&b'_') && bytes.get(15) == Some(&b'_');
        if !(digits(0..8) && digits(9..15) && separators) {
            return None;
        }
        let (system, suffix) = self.0.get(16..)?.rsplit_once('_')?;
        let hex = suffix.len() == 6 && suffix.bytes().all(|b| b.is_ascii_hexdigit());
        if hex { system.parse().ok() } else { None }
    }
}

impl TryFrom<String> for UploadId {
    type Error = Invalid;

    fn try_from(value: String) -> Result<Self, Invalid> {
        let valid = (1..=Self::MAX_LEN).contains(&value.len())
            && value
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
            && !value.contains("..");
        if valid {
            Ok(Self(value))
        } else {
            Err(Invalid::new(
                "upload_id",
                format!(
                    "is {}, expected 1 to {} of letters, digits, `_`, `.`, `-`, without `..`",
                    quote(&value),
                    Self::MAX_LEN
                ),
            ))
        }
    }
}

macro_rules! ulid_id {
    ($(#[$doc:meta])* $name:ident, $field:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);
        string_id!($name);

        impl $name {
            /// Makes a new ULID.
            pub fn generate(sources: &Sources) -> Self {
                Self(sources.ulid())
            }
        }

        impl TryFrom<String> for $name {
            type Error = Invalid;

            fn try_from(value: String) -> Result<Self, Invalid> {
                match ulid::Ulid::from_string(&value) {
                    Ok(_) => Ok(Self(value)),
                    Err(_) => Err(Invalid::new(
                        $field,
                        format!("is {}, expected a ULID of 26 characters", quote(&value)),
                    )),
                }
            }
        }
    };
}

ulid_id!(
    /// The id of one home's store as a writer of a vault; made once per home.
    WriterId,
    "writer_id"
);
ulid_id!(
    /// The id of a queued job.
    JobId,
    "job_id"
);
ulid_id!(
    /// The id of one push to another node.
    PushId,
    "push_id"
);

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::{FixedClock, SeededRandom};

    proptest! {
        #[test]
        fn upload_ids_come_back_and_sort_by_time(
            system in "[A-Za-z0-9_-]{1,100}",
            seconds in 0..4_000_000_000_i64,
            later in 1..4_000_000_000_i64,
            seed: u64,
        ) {
            let system: SystemId = system.parse().unwrap();
            let made = |seconds| {
                let time = DateTime::from_timestamp(seconds, 0).unwrap();
                UploadId::generate(&system, &Sources {
                    clock: Arc::new(FixedClock::new(time)),
                    random: Arc::new(SeededRandom::new(seed)),
                })
            };
            let id = made(seconds);
            prop_assert_eq!(&id.to_string().parse::<UploadId>().unwrap(), &id);
            prop_assert_eq!(id.system_id(), Some(system.clone()));
            prop_assert!(id < made(seconds + later));
        }

        #[test]
        fn ids_are_taken_by_their_rules_alone(text in "[A-Za-z0-9_.\\-/ \\n\u{e9}]{0,8}|.{0,170}") {
            let plain = |also: &str| {
                !text.is_empty()
                    && text.chars().all(|c| c.is_ascii_alphanumeric() || also.contains(c))
            };
            let is_system = plain("_-") && text.len() <= 100;
            let is_upload = plain("_-.") && text.len() <= 160 && !text.contains("..");
            prop_assert_eq!(text.parse::<SystemId>().is_ok(), is_system);
            prop_assert_eq!(text.parse::<UploadId>().is_ok(), is_upload);
        }

        #[test]
        fn any_name_makes_a_valid_id_or_none(name in "\\PC{0,120}") {
            if let Some(id) = SystemId::from_name(&name) {
                prop_assert_eq!(id.as_str().parse::<SystemId>().unwrap(), id.clone());
            } else {
                prop_assert!(!name.chars().any(|c| c.is_ascii_alphanumeric()));
            }
        }
    }

    #[test]
    fn system_ids_are_whole_string_matches() {
        for good in ["a", "macbook-pro_les", &"x".repeat(100)] {
            assert!(good.parse::<SystemId>().is_ok(), "{good}");
        }
        for bad in ["", "a b", "a.b", "a\n", "../x", "é", &"x".repeat(101)] {
            assert!(bad.parse::<SystemId>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn host_names_become_valid_system_ids() {
        let made = |name| SystemId::from_name(name).map(String::from);
        assert_eq!(made("les.local"), Some("les-local".into()));
        assert_eq!(
            made(" Les’s MacBook Pro "),
            Some("Les-s-MacBook-Pro".into())
        );
        assert_eq!(made("..."), None);
        assert_eq!(made(&"a.".repeat(200)).map(|id| id.len()), Some(99));
    }

    #[test]
    fn upload_ids_carry_their_system() {
        let system: SystemId = "a_b-1".parse().unwrap();
        let time = crate::time::parse("2026-01-02T03:04:05Z").unwrap();
        let id = UploadId::at(time, &system, 0xff00_000a);
        assert_eq!(id.as_str(), "20260102_030405_a_b-1_00000a");
        assert_eq!(id.system_id(), Some(system));
        for other in [
            "x",
            "20260102_030405__00000a",
            "20260102_030405_a_00000",
            "20260102",
        ] {
            assert_eq!(
                other.parse::<UploadId>().unwrap().system_id(),
                None,
                "{other}"
            );
        }
        for bad in ["", "a..b", "a/b", "a\n", &"x".repeat(161)] {
            assert!(bad.parse::<UploadId>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn memory_ids_refuse_what_cannot_be_typed_back() {
        for good in ["1", "kg:Entity one", "a/b#c", "日本"] {
            assert!(good.parse::<MemoryId>().is_ok(), "{good}");
        }
        for bad in ["", " a", "a ", "a\nb", "a\0", &"x".repeat(257)] {
            assert!(bad.parse::<MemoryId>().is_err(), "{bad:?}");
        }
    }
}
