//! Checks the headers of a column's pages before any page is decompressed.
//!
//! The decoder makes room for as many bytes and values as a page's header says. So every header
//! is read here first: pages are bounded one by one and by what the footer announced, values by
//! the rows. Encodings in which a few bytes stand for many long texts are refused.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};

use super::SegmentError;
use super::thrift::{Malformed, Reader, Wire};

/// Largest page in bytes after decompression: 64 MiB.
const MAX_PAGE_BYTES: i64 = 64 << 20;

/// Largest header of a page in bytes. Statistics with long texts make them large.
const MAX_HEADER_BYTES: u64 = 64 << 10;

/// Most pages of one column in one row group.
const MAX_PAGES: usize = 100_000;

/// The encoding of Parquet that writes texts as differences to the text before.
const DELTA_BYTE_ARRAY: i64 = 7;

/// What a page's header announces.
#[derive(Debug, Default)]
struct Header {
    kind: i64,
    decoded_bytes: i64,
    stored_bytes: i64,
    values: i64,
    has_delta_texts: bool,
}

/// Most values of one column in one row group.
const MAX_VALUES: i64 = 40_000_000;

/// A column whose pages are checked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Leaf {
    /// Its place among the leaves of the schema.
    pub(super) at: usize,
    /// How many values it has at most for each row.
    pub(super) values_per_row: i64,
}

/// Checks the pages of the `leaves` of every row group.
///
/// # Errors
/// Says which column breaks which rule.
pub(super) fn check(
    file: &File,
    footer: &ParquetMetaData,
    leaves: &[Leaf],
) -> Result<(), SegmentError> {
    for group in footer.row_groups() {
        for leaf in leaves {
            let column = group.columns().get(leaf.at);
            let column =
                column.ok_or_else(|| SegmentError::Damaged("a column is missing".into()))?;
            let most_values = group.num_rows().saturating_mul(leaf.values_per_row);
            let most_values = most_values.min(MAX_VALUES);
            check_column(file, column, most_values).map_err(|error| match error {
                Wrong::Io(error) => SegmentError::Io(error),
                Wrong::Rule(rule) => SegmentError::Damaged(format!(
                    "the pages of column `{}` are malformed: {rule}",
                    column.column_path()
                )),
            })?;
        }
    }
    Ok(())
}

enum Wrong {
    Io(std::io::Error),
    Rule(&'static str),
}

fn check_column(file: &File, column: &ColumnChunkMetaData, most_values: i64) -> Result<(), Wrong> {
    let (start, end) = extent(file, column)?;
    let mut at = start;
    let mut values: i64 = 0;
    let mut decoded: i64 = 0;
    let mut pages = 0;
    while at < end {
        let (header, header_size) = header(file, at, end)?;
        let stored = u64::try_from(header.stored_bytes)
            .map_err(|_| Wrong::Rule("a page has a negative size"))?;
        at = at.saturating_add(header_size).saturating_add(stored);
        if at > end {
            return Err(Wrong::Rule("a page is longer than its column"));
        }
        pages += 1;
        if pages > MAX_PAGES {
            return Err(Wrong::Rule("there are too many pages"));
        }
        if !(0..=MAX_PAGE_BYTES).contains(&header.decoded_bytes) || header.values < 0 {
            return Err(Wrong::Rule("a page has an impossible size"));
        }
        decoded = decoded.saturating_add(header.decoded_bytes);
        // The announced size counts the headers too.
        if decoded > column.uncompressed_size() {
            return Err(Wrong::Rule("they are larger than announced"));
        }
        if header.has_delta_texts {
            return Err(Wrong::Rule("the encoding DELTA_BYTE_ARRAY is not allowed"));
        }
        match header.kind {
            DATA_PAGE | DATA_PAGE_V2 => values = values.saturating_add(header.values),
            // Every value of a dictionary has at least four bytes.
            DICTIONARY_PAGE if header.values > header.decoded_bytes / 4 => {
                return Err(Wrong::Rule("a dictionary has more values than bytes"));
            }
            DICTIONARY_PAGE => {}
            _ => return Err(Wrong::Rule("a page is of an unknown kind")),
        }
    }
    if values > most_values || values != column.num_values() {
        return Err(Wrong::Rule("they have other values than announced"));
    }
    Ok(())
}

const DATA_PAGE: i64 = 0;
const DICTIONARY_PAGE: i64 = 2;
const DATA_PAGE_V2: i64 = 3;

/// Returns where the column's pages begin and end, as the decoder takes them.
fn extent(file: &File, column: &ColumnChunkMetaData) -> Result<(u64, u64), Wrong> {
    let outside = || Wrong::Rule("they lie outside of the file");
    let first = column
        .dictionary_page_offset()
        .unwrap_or(column.data_page_offset());
    let start = u64::try_from(first).map_err(|_| outside())?;
    let size = u64::try_from(column.compressed_size()).map_err(|_| outside())?;
    let end = start.checked_add(size).ok_or_else(outside)?;
    let file_size = file.metadata().map_err(Wrong::Io)?.len();
    if column.file_path().is_some() || end > file_size {
        return Err(outside());
    }
    Ok((start, end))
}

/// Reads the header of the page at `at` and returns it with its size in bytes.
fn header(file: &File, at: u64, end: u64) -> Result<(Header, u64), Wrong> {
    // Most headers are short; a long one is read again.
    for most in [256, MAX_HEADER_BYTES] {
        let mut bytes = Vec::new();
        let mut file = file;
        file.seek(SeekFrom::Start(at)).map_err(Wrong::Io)?;
        let mut limited = file.take(most.min(end - at));
        limited.read_to_end(&mut bytes).map_err(Wrong::Io)?;
        if let Ok(found) = parse(&bytes) {
            return Ok(found);
        }
    }
    Err(Wrong::Rule("a page has no valid header"))
}

fn parse(bytes: &[u8]) -> Result<(Header, u64), Malformed> {
    const KIND: i16 = 1;
    const DECODED_BYTES: i16 = 2;
    const STORED_BYTES: i16 = 3;
    const DATA_HEADER: i16 = 5;
    const DICTIONARY_HEADER: i16 = 7;
    const DATA_HEADER_V2: i16 = 8;

    let mut header = Header::default();
    let mut reader = Reader::new(bytes, 1024);
    reader.read_struct(|reader, id, wire| {
        match (id, wire) {
            (KIND, Wire::Integer) => header.kind = reader.integer()?,
            (DECODED_BYTES, Wire::Integer) => header.decoded_bytes = reader.integer()?,
            (STORED_BYTES, Wire::Integer) => header.stored_bytes = reader.integer()?,
            (DATA_HEADER | DICTIONARY_HEADER, Wire::Struct) => {
                values_and_encoding(reader, 2, &mut header)?;
            }
            (DATA_HEADER_V2, Wire::Struct) => values_and_encoding(reader, 4, &mut header)?,
            (KIND..=STORED_BYTES | DATA_HEADER | DICTIONARY_HEADER | DATA_HEADER_V2, _) => {
                return Err(Malformed);
            }
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok((header, reader.position() as u64))
}

/// Reads how many values a page has and how they are encoded. Where a header has several such
/// structs, the largest number counts, whichever the decoder takes.
fn values_and_encoding(
    reader: &mut Reader<'_>,
    encoding: i16,
    header: &mut Header,
) -> Result<(), Malformed> {
    const VALUES: i16 = 1;
    reader.read_struct(|reader, id, wire| {
        if wire != Wire::Integer {
            return if id == VALUES || id == encoding {
                Err(Malformed)
            } else {
                Ok(false)
            };
        }
        let value = if id == VALUES || id == encoding {
            reader.integer()?
        } else {
            return Ok(false);
        };
        if id == VALUES {
            if value < 0 {
                return Err(Malformed);
            }
            header.values = header.values.max(value);
        } else {
            header.has_delta_texts |= value == DELTA_BYTE_ARRAY;
        }
        Ok(true)
    })
}
