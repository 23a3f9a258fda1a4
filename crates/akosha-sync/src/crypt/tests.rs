use akosha_core::SystemId;
use zeroize::Zeroizing;

use super::{HeldKey, KeyRing, MasterKey, Sealer};

mod home;
mod known_answers;
mod objects;
mod signatures;
mod written_keys;

/// Returns the key whose bytes count up from `first`.
fn key(first: u8) -> MasterKey {
    let mut bytes = Zeroizing::new([0; 32]);
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = first.wrapping_add(at as u8);
    }
    MasterKey::from_bytes(bytes)
}

impl KeyRing {
    /// Returns a ring with one key, the same for the same number.
    pub(crate) fn of_test(first: u8) -> Self {
        let mut ring = Self::default();
        let at = akosha_core::time::parse("2026-01-01").unwrap();
        ring.push(HeldKey::new(key(first), sealer(first), at));
        ring
    }
}

fn sealer(first: u8) -> Sealer {
    Sealer::new(&key(first)).unwrap()
}

fn system() -> SystemId {
    "laptop".parse().unwrap()
}
