use akosha_core::SystemId;
use zeroize::Zeroizing;

use super::{MasterKey, Sealer};

mod home;
mod known_answers;
mod objects;
mod signatures;

/// Returns the key whose bytes count up from `first`.
fn key(first: u8) -> MasterKey {
    let mut bytes = Zeroizing::new([0; 32]);
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = first.wrapping_add(at as u8);
    }
    MasterKey::from_bytes(bytes)
}

fn sealer(first: u8) -> Sealer {
    Sealer::new(&key(first)).unwrap()
}

fn system() -> SystemId {
    "laptop".parse().unwrap()
}
