//! Bounds a Parquet footer before it is decoded, and what it announces afterwards.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use parquet::file::metadata::ParquetMetaData;

use super::thrift::{Malformed, Reader, Wire};
use super::{MAX_DECODED_BYTES, MAX_SEGMENT_BYTES, SegmentError};

/// Largest footer in bytes: 8 MiB.
const MAX_FOOTER_BYTES: u64 = 8 << 20;

/// Most columns, those of nested types and their groups included. It also bounds how deep the
/// schema is nested.
const MAX_SCHEMA_ELEMENTS: usize = 256;

/// Most elements of all lists in a footer.
const MAX_ELEMENTS: usize = 500_000;

/// Most row groups.
const MAX_ROW_GROUPS: usize = 20_000;

/// Most bytes of one row group after decompression: 256 MiB.
const MAX_GROUP_BYTES: i64 = 256 << 20;

/// Checks the footer's size, its lists and the size of its schema.
///
/// # Errors
/// Fails where the file has no footer or it is larger than it may be.
pub(super) fn check(file: &File) -> Result<(), SegmentError> {
    let size = file.metadata()?.len();
    limited("size in bytes", size, MAX_SEGMENT_BYTES)?;
    if size < 12 {
        return Err(damaged("it is too short"));
    }
    let mut file = file;
    let mut tail = [0; 8];
    file.seek(SeekFrom::Start(size - 8))?;
    file.read_exact(&mut tail)?;
    let [a, b, c, d, magic @ ..] = tail;
    if magic != *b"PAR1" {
        return Err(damaged("it has no Parquet footer"));
    }
    let footer_size = u64::from(u32::from_le_bytes([a, b, c, d]));
    limited("footer in bytes", footer_size, MAX_FOOTER_BYTES)?;
    let start = (size - 8).checked_sub(footer_size);
    let start = start.ok_or_else(|| damaged("its footer is longer than the file"))?;
    let mut footer = vec![0; footer_size as usize];
    file.seek(SeekFrom::Start(start))?;
    file.read_exact(&mut footer)?;
    check_lists(&footer).map_err(|_| damaged("its footer is malformed or too large"))
}

fn check_lists(footer: &[u8]) -> Result<(), Malformed> {
    /// Field of a Parquet footer that lists the schema.
    const SCHEMA: i16 = 2;
    let mut has_schema = false;
    Reader::new(footer, MAX_ELEMENTS).read_struct(|reader, id, wire| {
        if id != SCHEMA {
            return Ok(false);
        }
        let list = if wire == Wire::List {
            reader.list()?
        } else {
            return Err(Malformed);
        };
        if has_schema || list.element != Wire::Struct || list.len > MAX_SCHEMA_ELEMENTS {
            return Err(Malformed);
        }
        has_schema = true;
        for _ in 0..list.len {
            reader.pass_over(Wire::Struct, 8)?;
        }
        Ok(true)
    })?;
    if has_schema { Ok(()) } else { Err(Malformed) }
}

/// Checks what a decoded footer announces against what the manifest says.
///
/// # Errors
/// Names what differs or is too large.
pub(super) fn check_announced(footer: &ParquetMetaData, rows: u64) -> Result<(), SegmentError> {
    limited(
        "row groups",
        footer.num_row_groups() as u64,
        MAX_ROW_GROUPS as u64,
    )?;
    let mut found: u64 = 0;
    let mut bytes: u64 = 0;
    for group in footer.row_groups() {
        let group_rows = u64::try_from(group.num_rows());
        let group_rows = group_rows.map_err(|_| damaged("a row group has negative rows"))?;
        let mut group_bytes: i64 = 0;
        for column in group.columns() {
            if column.uncompressed_size() < 0 || column.compressed_size() < 0 {
                return Err(damaged("a column has a negative size"));
            }
            group_bytes = group_bytes.saturating_add(column.uncompressed_size());
        }
        limited(
            "row group in bytes",
            group_bytes.unsigned_abs(),
            MAX_GROUP_BYTES.unsigned_abs(),
        )?;
        found = found.saturating_add(group_rows);
        bytes = bytes.saturating_add(group_bytes.unsigned_abs());
    }
    limited("decoded size in bytes", bytes, MAX_DECODED_BYTES)?;
    let total = u64::try_from(footer.file_metadata().num_rows()).unwrap_or(u64::MAX);
    if found != rows || total != rows {
        return Err(SegmentError::Rows {
            found: if found == rows { total } else { found },
            expected: rows,
        });
    }
    Ok(())
}

fn limited(what: &'static str, size: u64, limit: u64) -> Result<(), SegmentError> {
    if size <= limit {
        return Ok(());
    }
    Err(SegmentError::TooLarge { what, size, limit })
}

fn damaged(reason: &str) -> SegmentError {
    SegmentError::Damaged(reason.into())
}
