//! End-to-end encryption and signatures of a vault: what leaves this machine can be read and
//! vouched for only by those who hold its key.
//!
//! | module | holds |
//! |---|---|
//! | `key` | the master key, its id and what is derived from it |
//! | `phrase` | a master key as 24 words |
//! | `keyring` | the keys of a home, in `keys.json` |
//! | `sealer` | seals and opens objects with one key |
//! | `segment` | seals the file of a segment |
//! | `sign` | signs manifests and checks signatures |
//! | `keys` | the keys that a vault is read and written with |
//!
//! The bytes are described in `docs/vault-format.md`.

mod error;
mod file;
#[cfg(any(fuzzing, test))]
pub(crate) mod fuzz;
mod key;
mod keyring;
mod keys;
mod phrase;
mod sealer;
mod segment;
mod sign;

pub use error::{KeyError, OpenError, SealError, SignatureError};
pub use key::{KeyId, MasterKey};
pub use keyring::{Brought, HeldKey, KeyRing};
pub use keys::VaultKeys;
pub use phrase::Phrase;
pub use sealer::{Kind, OVERHEAD, Sealer};
pub(crate) use segment::{MAX_SEALED_SEGMENT_BYTES, SegmentSealError};
pub use sign::PublicKey;

#[cfg(test)]
mod tests;
