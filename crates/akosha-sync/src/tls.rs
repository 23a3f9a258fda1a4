//! The cryptography behind TLS.

use std::sync::Once;

/// Makes ring the process's provider. Called before the first client that speaks TLS is built,
/// so that a process that never does pays nothing.
pub fn install_provider() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Fails only where the program that embeds this chose a provider already.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}
