//! Reads a segment.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};

use akosha_core::{EMBEDDING_DIM, SystemId};
use akosha_store::Change;
use arrow_array::Array;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
    ParquetRecordBatchReaderBuilder,
};
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData};

use super::pages::{self, Leaf};
use super::row::{Columns, Context};
use super::{RowError, SegmentError, footer, schema};
use crate::manifest::SegmentEntry;

/// Most rows that are decoded together; fewer where they are large.
const DECODED_ROWS: usize = 1024;

/// Most rows that are given out together.
const BATCH_ROWS: usize = 1000;

/// Bytes of memory at which a batch ends.
pub(super) const BATCH_BYTES: usize = 8 << 20;

/// Bytes of a change beside its text and metadata: most of them are its embedding.
const CHANGE_BYTES: usize = 2 << 10;

/// Returns about how many bytes of memory a change takes.
pub fn size_in_memory(change: &Change) -> usize {
    CHANGE_BYTES + change.text.len() + change.metadata.size_in_memory()
}

/// Starts to read a segment of `system_id`. The caller has checked the file's hash and size.
///
/// # Errors
/// Fails where the file is not what `entry` says or not a segment.
pub fn read(
    file: File,
    system_id: &SystemId,
    entry: &SegmentEntry,
) -> Result<SegmentReader, SegmentError> {
    footer::check(&file)?;
    let decoder = guarded(|| open(file, entry.rows))?;
    Ok(SegmentReader {
        state: State::Reading(Box::new(decoder)),
        batch: None,
        row: 0,
        rows: entry.rows,
        context: Context {
            system_id: system_id.clone(),
            min_seq: entry.min_seq,
            max_seq: entry.max_seq,
        },
    })
}

/// Gives out a segment's rows in batches, in their order. It blocks on the disk.
///
/// Within a batch a row that breaks a rule is an error of its own. An error in place of a batch
/// fails the segment and ends the iteration; batches before it are good.
pub struct SegmentReader {
    state: State,
    /// What is decoded and not given out yet.
    batch: Option<(Columns, usize)>,
    row: u64,
    rows: u64,
    context: Context,
}

enum State {
    Reading(Box<ParquetRecordBatchReader>),
    Ended,
}

impl std::fmt::Debug for SegmentReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SegmentReader")
            .field("row", &self.row)
            .field("rows", &self.rows)
            .finish_non_exhaustive()
    }
}

impl Iterator for SegmentReader {
    type Item = Result<Vec<Result<Change, RowError>>, SegmentError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.next_batch().transpose();
        if !matches!(next, Some(Ok(_))) {
            self.state = State::Ended;
            self.batch = None;
        }
        next
    }
}

impl SegmentReader {
    fn next_batch(&mut self) -> Result<Option<Vec<Result<Change, RowError>>>, SegmentError> {
        let mut out = Vec::new();
        let mut size = 0;
        while out.len() < BATCH_ROWS && size < BATCH_BYTES {
            let Some((columns, at)) = &mut self.batch else {
                match self.decode()? {
                    Some(columns) => self.batch = Some((columns, 0)),
                    None => break,
                }
                continue;
            };
            if *at == columns.len() {
                self.batch = None;
                continue;
            }
            let change = columns.change(*at, self.row, &self.context)?;
            size += change.as_ref().map_or(CHANGE_BYTES, size_in_memory);
            out.push(change);
            *at += 1;
            self.row += 1;
        }
        if out.is_empty() && matches!(self.state, State::Reading(_)) && self.row != self.rows {
            return Err(SegmentError::Rows {
                found: self.row,
                expected: self.rows,
            });
        }
        Ok((!out.is_empty()).then_some(out))
    }

    fn decode(&mut self) -> Result<Option<Columns>, SegmentError> {
        let State::Reading(decoder) = &mut self.state else {
            return Ok(None);
        };
        let Some(batch) = guarded(|| decoder.next().transpose().map_err(damaged))? else {
            return Ok(None);
        };
        let is_too_long = batch.num_rows() as u64 > self.rows - self.row.min(self.rows);
        if is_too_long
            || batch
                .columns()
                .iter()
                .any(|column| column.len() != batch.num_rows())
        {
            return Err(SegmentError::Damaged(
                "it has more rows than announced".into(),
            ));
        }
        Columns::new(&batch).map(Some)
    }
}

fn open(file: File, rows: u64) -> Result<ParquetRecordBatchReader, SegmentError> {
    // The types come from the Parquet schema alone, not from what else a writer embedded.
    let options = ArrowReaderOptions::new()
        .with_skip_arrow_metadata(true)
        .with_page_index_policy(PageIndexPolicy::Skip);
    let metadata = ArrowReaderMetadata::load(&file, options.clone()).map_err(damaged)?;
    let parquet = metadata.metadata();
    footer::check_announced(parquet, rows)?;
    let schema = schema::to_read(metadata.schema())?;
    let descriptor = parquet.file_metadata().schema_descr();
    let root_name = |leaf| descriptor.get_column_root(leaf).name().to_owned();
    let leaves: Vec<Leaf> = (0..descriptor.num_columns())
        .filter(|leaf| schema::COLUMNS.contains(&root_name(*leaf).as_str()))
        .map(|at| Leaf {
            at,
            values_per_row: match root_name(at).as_str() {
                "embedding" => EMBEDDING_DIM as i64,
                _ => 1,
            },
        })
        .collect();
    pages::check(&file, parquet, &leaves)?;
    let mask = ProjectionMask::leaves(descriptor, leaves.iter().map(|leaf| leaf.at));
    let options = options.with_schema(schema);
    let metadata = ArrowReaderMetadata::try_new(parquet.clone(), options).map_err(damaged)?;
    ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata)
        .with_projection(mask)
        .with_batch_size(decoded_rows(parquet))
        .build()
        .map_err(damaged)
}

/// Returns how many rows are decoded together, so that their columns take about as much memory as a
/// batch.
fn decoded_rows(parquet: &ParquetMetaData) -> usize {
    let (mut rows, mut bytes) = (0, 0);
    for group in parquet.row_groups() {
        rows += usize::try_from(group.num_rows()).unwrap_or(0);
        bytes += usize::try_from(group.total_byte_size()).unwrap_or(0);
    }
    let fitting = (BATCH_BYTES / 1024).saturating_mul(rows) / (bytes / 1024).max(1);
    fitting.clamp(1, DECODED_ROWS)
}

fn damaged(error: impl std::fmt::Display) -> SegmentError {
    let reason: String = error.to_string().chars().take(200).collect();
    SegmentError::Damaged(reason)
}

/// Runs the decoder, which may panic on bytes that nobody wrote in good faith.
fn guarded<T>(decode: impl FnOnce() -> Result<T, SegmentError>) -> Result<T, SegmentError> {
    // Whatever the decoder left behind is dropped with the reader, which ends on an error.
    catch_unwind(AssertUnwindSafe(decode)).unwrap_or_else(|_| {
        Err(SegmentError::Damaged(
            "its contents contradict each other".into(),
        ))
    })
}
