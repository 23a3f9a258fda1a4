//! Whether a store honours the conditions of conditional writes.

use std::sync::atomic::{AtomicU8, Ordering};

/// What is known of a store's conditional writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Support {
    /// Nothing yet.
    Unknown,
    /// It honours the conditions.
    Honoured,
    /// It refuses or ignores them.
    Missing,
}

/// What is known so far; shared by all that use the vault.
#[derive(Debug)]
pub(super) struct Conditional(AtomicU8);

impl Conditional {
    pub(super) fn unknown() -> Self {
        Self(AtomicU8::new(0))
    }

    pub(super) fn honoured() -> Self {
        Self(AtomicU8::new(1))
    }

    pub(super) fn get(&self) -> Support {
        match self.0.load(Ordering::Relaxed) {
            0 => Support::Unknown,
            1 => Support::Honoured,
            _ => Support::Missing,
        }
    }

    pub(super) fn found(&self, is_honoured: bool) {
        self.0
            .store(if is_honoured { 1 } else { 2 }, Ordering::Relaxed);
    }
}
