//! Memories to store.

#![allow(
    unreachable_pub,
    reason = "each test binary includes this file as a module of its own"
)]

use akosha_core::redact::Redactor;
use akosha_core::{IngestionMethod, MemoryInput, NewMemory};
use akosha_store::Store;

/// Stores a text under an id as this node's own memory.
pub fn put(store: &Store, id: &str, text: &str) {
    let input = MemoryInput {
        memory_id: Some(id.into()),
        text: text.into(),
        ..MemoryInput::default()
    };
    let memory = NewMemory::check(input, &Redactor::built_in()).unwrap();
    store
        .put(store.system_id(), &memory, IngestionMethod::Local)
        .unwrap();
}
