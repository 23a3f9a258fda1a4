//! Checks what a source found and stores it in batches.

use akosha_core::redact::Redactor;
use akosha_core::{Embedding, IngestionMethod, Memory, MemoryInput, NewMemory, SystemId, time};
use akosha_store::{Store, StoreError};
use serde_json::Value;

use super::{ImportError, ImportReport, Item, Sink, Skipped};

/// Memories in one transaction.
const BATCH: usize = 500;

/// Bytes of text in one transaction, so that large sections do not fill the memory.
const BATCH_BYTES: usize = 8 << 20;

/// Collects memories and stores them a batch at a time.
pub(super) struct Batcher<'a> {
    store: &'a Store,
    redactor: &'a Redactor,
    progress: &'a mut dyn FnMut(u64),
    waiting: Vec<(SystemId, NewMemory)>,
    waiting_bytes: usize,
    report: ImportReport,
}

impl<'a> Batcher<'a> {
    pub(super) fn new(
        store: &'a Store,
        redactor: &'a Redactor,
        progress: &'a mut dyn FnMut(u64),
    ) -> Self {
        Self {
            store,
            redactor,
            progress,
            waiting: Vec::new(),
            waiting_bytes: 0,
            report: ImportReport::default(),
        }
    }

    /// Stores what is left and returns what was done.
    pub(super) fn finish(mut self) -> Result<ImportReport, ImportError> {
        self.flush()?;
        Ok(self.report)
    }

    fn flush(&mut self) -> Result<(), ImportError> {
        if !self.waiting.is_empty() {
            let outcome = self
                .store
                .put_batch(&self.waiting, IngestionMethod::Import)?;
            for stored in outcome {
                self.report.redactions += stored.redactions as u64;
                match (stored.deduplicated, stored.revision) {
                    (true, _) => self.report.duplicates += 1,
                    (false, 1) => self.report.stored += 1,
                    (false, _) => self.report.updated += 1,
                }
            }
            self.waiting.clear();
            self.waiting_bytes = 0;
        }
        (self.progress)(self.report.read);
        Ok(())
    }

    /// Says when the memory was made: as it is stored already, else as the source supposes.
    fn date(&self, item: &mut Item) -> Result<(), StoreError> {
        if item.metadata.contains_key("created_at") {
            return Ok(());
        }
        let known = self
            .stored(&item.memory_id)?
            .and_then(|memory| memory.metadata.created_at());
        if let Some(made_at) = known.or(item.made_at) {
            let text = Value::String(time::format(made_at));
            item.metadata.insert("created_at".into(), text);
        }
        Ok(())
    }

    fn stored(&self, memory_id: &str) -> Result<Option<Memory>, StoreError> {
        // What is no id is refused with the rest of its memory.
        let Ok(memory_id) = memory_id.parse() else {
            return Ok(None);
        };
        self.store.get(&memory_id, Some(self.store.system_id()))
    }
}

impl Sink for Batcher<'_> {
    fn take(&mut self, mut item: Item) -> Result<(), ImportError> {
        self.report.read += 1;
        self.date(&mut item)?;
        let embedding = match item.embedding.map(Embedding::try_from) {
            None => None,
            Some(Ok(embedding)) => Some(embedding.as_slice().to_vec()),
            Some(Err(_)) => {
                self.report.vectors_left_out += 1;
                None
            }
        };
        let input = MemoryInput {
            memory_id: Some(item.memory_id),
            text: item.text,
            embedding,
            metadata: Some(item.metadata),
        };
        match NewMemory::check(input, self.redactor) {
            Ok(memory) => {
                self.waiting_bytes += memory.text.len();
                self.waiting.push((self.store.system_id().clone(), memory));
            }
            Err(invalid) => self.skip(item.path, invalid.to_string()),
        }
        if self.waiting.len() >= BATCH || self.waiting_bytes >= BATCH_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    fn skip(&mut self, path: String, reason: String) {
        tracing::warn!(path, reason, "not imported");
        self.report.skipped.push(Skipped { path, reason });
    }
}
