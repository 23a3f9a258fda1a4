//! The key that the fuzz targets seal with.

use chrono::DateTime;
use zeroize::Zeroizing;

use super::{HeldKey, KeyRing, MasterKey, Sealer, VaultKeys};

/// Returns the key of everything that is sealed in a fuzz target.
pub(crate) fn sealer() -> Option<Sealer> {
    Sealer::new(&master()).ok()
}

/// Returns a home that holds the key and encrypts with it, if it is to.
pub(crate) fn keys(encrypts: bool) -> VaultKeys {
    let mut ring = KeyRing::default();
    if let Some(sealer) = sealer() {
        ring.push(HeldKey::new(master(), sealer, DateTime::default()));
    }
    VaultKeys::new(ring, encrypts, false, Vec::new())
}

fn master() -> MasterKey {
    MasterKey::from_bytes(Zeroizing::new([7; 32]))
}
