//! What the fuzz target of segments does.

use std::fs::File;
use std::io::Write;

use akosha_core::SystemId;
use akosha_store::Change;

use super::{RowError, SegmentError, SegmentWriter, read};
use crate::ContentHash;
use crate::manifest::{MAX_SAFE_INTEGER, SegmentEntry};

/// Bytes before the segment: the rows that its manifest says, big-endian.
const HEADER: usize = 2;

/// Reads a segment. Where every row is good, they are written again and must come back the same.
///
/// # Panics
/// Where they do not, and where the disk refuses.
pub fn segment(bytes: &[u8]) -> bool {
    let Some((rows, object)) = bytes.split_first_chunk::<HEADER>() else {
        return false;
    };
    let Ok(system_id) = "laptop".parse::<SystemId>() else {
        return false;
    };
    let entry = SegmentEntry {
        sha256: ContentHash::of(b""),
        size_bytes: object.len() as u64,
        rows: u64::from(u16::from_be_bytes(*rows)),
        min_seq: 0,
        max_seq: MAX_SAFE_INTEGER,
    };
    let file = tempfile::tempfile().and_then(|mut file| {
        file.write_all(object)?;
        Ok(file)
    });
    let Ok(rows) = rows_of(file, &system_id, &entry) else {
        return false;
    };
    assert_eq!(rows.len() as u64, entry.rows);
    let Ok(changes) = rows.into_iter().collect::<Result<Vec<Change>, RowError>>() else {
        return false;
    };
    assert_eq!(
        written_and_read(&system_id, &changes).as_ref(),
        Ok(&changes)
    );
    true
}

fn rows_of(
    file: std::io::Result<File>,
    system_id: &SystemId,
    entry: &SegmentEntry,
) -> Result<Vec<Result<Change, RowError>>, SegmentError> {
    let batches: Vec<_> = read(file?, system_id, entry)?.collect::<Result<_, _>>()?;
    Ok(batches.into_iter().flatten().collect())
}

fn written_and_read(system_id: &SystemId, changes: &[Change]) -> Result<Vec<Change>, String> {
    let said = |error: SegmentError| error.to_string();
    let file = tempfile::tempfile().map_err(|error| error.to_string())?;
    let clone = file.try_clone().map_err(|error| error.to_string())?;
    let mut writer = SegmentWriter::new(system_id, clone).map_err(said)?;
    for change in changes {
        writer.push(change).map_err(said)?;
    }
    let entry = writer.finish().map_err(said)?.into();
    let rows = rows_of(Ok(file), system_id, &entry).map_err(said)?;
    let rows: Result<_, RowError> = rows.into_iter().collect();
    rows.map_err(|error| error.to_string())
}
