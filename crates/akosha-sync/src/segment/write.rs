//! Writes a segment.

use std::fs::File;
use std::io::{BufWriter, Write};

use akosha_core::{EMBEDDING_DIM, SystemId, content_sha256};
use akosha_store::{Change, Op};
use arrow_array::builder::{
    ArrayBuilder, FixedSizeListBuilder, Float32Builder, Int64Builder, StringBuilder,
    TimestampMicrosecondBuilder,
};
use arrow_array::{ArrayRef, RecordBatch};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use parquet::schema::types::ColumnPath;
use sha2::{Digest, Sha256};

use super::{SEGMENT_BYTES, SEGMENT_ROWS, SegmentError, schema};
use crate::ContentHash;

/// Rows that are encoded together.
const BATCH_ROWS: usize = 1024;

/// Bytes of rows that are encoded together, where they are long.
const BATCH_BYTES: usize = 4 << 20;

/// Bytes before compression at which a row group ends: what a reader or writer holds at once.
const ROW_GROUP_BYTES: u64 = 8 << 20;

/// Rows at which a row group ends.
const ROW_GROUP_ROWS: u64 = 10_000;

/// Bytes of a row beside its text, metadata and embedding.
const ROW_OVERHEAD: usize = 256;

/// A finished segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentFile {
    /// Hash of the file.
    pub sha256: ContentHash,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// Rows in it.
    pub rows: u64,
    /// Lowest sequence number in it.
    pub min_seq: i64,
    /// Highest sequence number in it.
    pub max_seq: i64,
}

impl From<SegmentFile> for crate::manifest::SegmentEntry {
    fn from(file: SegmentFile) -> Self {
        Self {
            sha256: file.sha256,
            size_bytes: file.size_bytes,
            rows: file.rows,
            min_seq: file.min_seq,
            max_seq: file.max_seq,
        }
    }
}

/// Writes one segment, row by row. The same rows in the same order give the same bytes.
pub struct SegmentWriter {
    system_id: SystemId,
    out: ArrowWriter<Hashing<BufWriter<File>>>,
    batch: Batch,
    rows: u64,
    bytes: u64,
    group_rows: u64,
    group_bytes: u64,
    seqs: Option<(i64, i64)>,
}

impl std::fmt::Debug for SegmentWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SegmentWriter")
            .field("system_id", &self.system_id)
            .field("rows", &self.rows)
            .finish_non_exhaustive()
    }
}

impl SegmentWriter {
    /// Starts a segment of `system_id` in `file`, which must be empty.
    ///
    /// # Errors
    /// Fails where the file cannot be written.
    pub fn new(system_id: &SystemId, file: File) -> Result<Self, SegmentError> {
        let out = Hashing {
            out: BufWriter::with_capacity(256 << 10, file),
            hasher: Sha256::new(),
            size: 0,
        };
        Ok(Self {
            system_id: system_id.clone(),
            out: ArrowWriter::try_new(out, schema::written(), Some(properties()?))
                .map_err(failed)?,
            batch: Batch::default(),
            rows: 0,
            bytes: 0,
            group_rows: 0,
            group_bytes: 0,
            seqs: None,
        })
    }

    /// Adds a row. What is deleted is written without text, metadata and embedding.
    ///
    /// # Errors
    /// Fails where the change belongs to another system or the file cannot be written.
    pub fn push(&mut self, change: &Change) -> Result<(), SegmentError> {
        if change.system_id != self.system_id {
            return Err(SegmentError::WrongSystem {
                row: self.rows,
                found: change.system_id.to_string(),
                expected: self.system_id.clone(),
            });
        }
        let size = self.batch.push(change) as u64;
        self.rows += 1;
        self.bytes += size;
        self.group_rows += 1;
        self.group_bytes += size;
        self.seqs = Some(match self.seqs {
            None => (change.seq, change.seq),
            Some((min, max)) => (min.min(change.seq), max.max(change.seq)),
        });
        let ends_group = self.group_bytes >= ROW_GROUP_BYTES || self.group_rows >= ROW_GROUP_ROWS;
        if ends_group || self.batch.is_full() {
            self.write_batch()?;
        }
        if ends_group {
            self.out.flush().map_err(failed)?;
            self.group_rows = 0;
            self.group_bytes = 0;
        }
        Ok(())
    }

    /// Returns the rows so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Returns whether another segment should be begun: at [`SEGMENT_ROWS`] or [`SEGMENT_BYTES`].
    pub fn is_full(&self) -> bool {
        self.rows >= SEGMENT_ROWS || self.bytes >= SEGMENT_BYTES
    }

    /// Ends the segment. The file is complete and not yet synced to disk.
    ///
    /// # Errors
    /// Fails where there is no row or the file cannot be written.
    pub fn finish(mut self) -> Result<SegmentFile, SegmentError> {
        let Some((min_seq, max_seq)) = self.seqs else {
            return Err(SegmentError::Empty);
        };
        self.write_batch()?;
        self.out.finish().map_err(failed)?;
        let out = self.out.inner_mut();
        out.flush()?;
        Ok(SegmentFile {
            sha256: ContentHash::from_hasher(std::mem::take(&mut out.hasher)),
            size_bytes: out.size,
            rows: self.rows,
            min_seq,
            max_seq,
        })
    }

    fn write_batch(&mut self) -> Result<(), SegmentError> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let columns = self.batch.take();
        let batch = RecordBatch::try_new(schema::written(), columns)
            .map_err(|error| SegmentError::Write(error.to_string()))?;
        self.out.write(&batch).map_err(failed)
    }
}

fn properties() -> Result<WriterProperties, SegmentError> {
    let level = ZstdLevel::try_new(3).map_err(failed)?;
    let mut properties = WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_created_by("akosha version 1.0".into())
        .set_compression(Compression::ZSTD(level))
        .set_max_row_group_row_count(None)
        .set_offset_index_disabled(true)
        .set_write_batch_size(64)
        .set_statistics_enabled(EnabledStatistics::None);
    for column in ["text", "metadata", "memory_id", "content_sha256"] {
        properties = properties.set_column_dictionary_enabled(column.into(), false);
    }
    let vector = ["embedding", "list", "element"].map(str::to_owned).to_vec();
    properties = properties.set_column_dictionary_enabled(ColumnPath::new(vector), false);
    for column in ["revision", "seq", "created_at", "updated_at", "stored_at"] {
        properties = properties
            .set_column_dictionary_enabled(column.into(), false)
            .set_column_encoding(column.into(), Encoding::DELTA_BINARY_PACKED)
            .set_column_statistics_enabled(column.into(), EnabledStatistics::Chunk);
    }
    Ok(properties.build())
}

fn failed(error: ParquetError) -> SegmentError {
    match error {
        ParquetError::External(source) => match source.downcast::<std::io::Error>() {
            Ok(error) => SegmentError::Io(*error),
            Err(error) => SegmentError::Write(error.to_string()),
        },
        error => SegmentError::Write(error.to_string()),
    }
}

/// Rows that are encoded together, by column.
struct Batch {
    rows: usize,
    bytes: usize,
    system_id: StringBuilder,
    memory_id: StringBuilder,
    revision: Int64Builder,
    seq: Int64Builder,
    op: StringBuilder,
    text: StringBuilder,
    metadata: StringBuilder,
    embedding: FixedSizeListBuilder<Float32Builder>,
    embedding_model: StringBuilder,
    content_sha256: StringBuilder,
    created_at: TimestampMicrosecondBuilder,
    updated_at: TimestampMicrosecondBuilder,
    stored_at: TimestampMicrosecondBuilder,
    ingestion_method: StringBuilder,
}

impl Default for Batch {
    fn default() -> Self {
        let time = || TimestampMicrosecondBuilder::new().with_data_type(schema::time_type());
        Self {
            rows: 0,
            bytes: 0,
            system_id: StringBuilder::new(),
            memory_id: StringBuilder::new(),
            revision: Int64Builder::new(),
            seq: Int64Builder::new(),
            op: StringBuilder::new(),
            text: StringBuilder::new(),
            metadata: StringBuilder::new(),
            embedding: FixedSizeListBuilder::new(Float32Builder::new(), EMBEDDING_DIM as i32)
                .with_field(schema::vector_item()),
            embedding_model: StringBuilder::new(),
            content_sha256: StringBuilder::new(),
            created_at: time(),
            updated_at: time(),
            stored_at: time(),
            ingestion_method: StringBuilder::new(),
        }
    }
}

impl Batch {
    fn is_empty(&self) -> bool {
        self.rows == 0
    }

    fn is_full(&self) -> bool {
        self.rows >= BATCH_ROWS || self.bytes >= BATCH_BYTES
    }

    /// Adds a row and returns its rough size in bytes.
    fn push(&mut self, change: &Change) -> usize {
        let is_put = change.op == Op::Put;
        let text = if is_put { change.text.as_str() } else { "" };
        let metadata = if is_put {
            change.metadata.to_json()
        } else {
            "{}".to_owned()
        };
        let embedding = change.embedding.as_ref().filter(|_| is_put);
        self.system_id.append_value(&change.system_id);
        self.memory_id.append_value(&change.memory_id);
        self.revision.append_value(change.revision);
        self.seq.append_value(change.seq);
        self.op.append_value(change.op.as_str());
        self.text.append_value(text);
        self.metadata.append_value(&metadata);
        match embedding {
            Some(embedding) => self.embedding.values().append_slice(embedding.as_slice()),
            // A list of fixed size has its place even where it is null.
            None => self.embedding.values().append_slice(&[0.0; EMBEDDING_DIM]),
        }
        self.embedding.append(embedding.is_some());
        let model = change.embedding_model.as_deref().filter(|_| is_put);
        self.embedding_model.append_option(model);
        self.content_sha256.append_value(content_sha256(text));
        self.created_at
            .append_value(change.created_at.timestamp_micros());
        self.updated_at
            .append_value(change.updated_at.timestamp_micros());
        self.stored_at
            .append_value(change.stored_at.timestamp_micros());
        self.ingestion_method
            .append_value(change.ingestion_method.as_str());
        let vector = embedding.map_or(0, |embedding| size_of_val(embedding.as_slice()));
        let size = text.len() + metadata.len() + vector + ROW_OVERHEAD;
        self.rows += 1;
        self.bytes += size;
        size
    }

    /// Returns the rows as columns, in the order of the schema, and starts anew.
    fn take(&mut self) -> Vec<ArrayRef> {
        self.rows = 0;
        self.bytes = 0;
        let builders: [&mut dyn ArrayBuilder; 14] = [
            &mut self.system_id,
            &mut self.memory_id,
            &mut self.revision,
            &mut self.seq,
            &mut self.op,
            &mut self.text,
            &mut self.metadata,
            &mut self.embedding,
            &mut self.embedding_model,
            &mut self.content_sha256,
            &mut self.created_at,
            &mut self.updated_at,
            &mut self.stored_at,
            &mut self.ingestion_method,
        ];
        builders.map(ArrayBuilder::finish).to_vec()
    }
}

/// Hashes and counts what is written.
struct Hashing<W> {
    out: W,
    hasher: Sha256,
    size: u64,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.hasher.update(bytes.get(..written).unwrap_or(bytes));
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.out.flush()
    }
}
