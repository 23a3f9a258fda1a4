//! What can be wrong with a segment, or with one row of it.

use akosha_core::{ErrorKind, Invalid, SystemId};

/// Why a segment cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum SegmentError {
    /// The local file cannot be read or written.
    #[error("the segment's file cannot be used: {0}")]
    Io(#[from] std::io::Error),
    /// The bytes are no segment, or not the one that was announced.
    #[error("the segment is damaged: {0}")]
    Damaged(String),
    /// Something in it is larger than it may be.
    #[error("the segment's {what} is {size}, the limit is {limit}")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// How large it is.
        size: u64,
        /// How large it may be.
        limit: u64,
    },
    /// A column is missing or has another type.
    #[error("the segment's column `{column}` is {found}, expected {expected}")]
    Column {
        /// The column.
        column: &'static str,
        /// What it is.
        found: String,
        /// What it must be.
        expected: &'static str,
    },
    /// It does not have the rows that its manifest says.
    #[error("the segment has {found} rows, its manifest says {expected}")]
    Rows {
        /// Rows in it.
        found: u64,
        /// Rows that the manifest says.
        expected: u64,
    },
    /// A row belongs to another system.
    #[error("row {row} of the segment belongs to `{found}`, not to `{expected}`")]
    WrongSystem {
        /// The row, from 0.
        row: u64,
        /// The system that the row names, cut.
        found: String,
        /// The system whose segment it is.
        expected: SystemId,
    },
    /// A segment needs at least one row.
    #[error("a segment needs at least one row")]
    Empty,
    /// The writer was given something that the format cannot hold.
    #[error("the segment cannot be written: {0}")]
    Write(String),
}

impl SegmentError {
    /// Returns what the caller has to do about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Io(_) => ErrorKind::Storage,
            Self::Empty | Self::Write(_) => ErrorKind::Internal,
            _ => ErrorKind::Data,
        }
    }
}

/// Why one row of a segment was set aside; the others are not affected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("row {row} (memory `{memory_id}`): {reason}")]
pub struct RowError {
    /// The row, from 0.
    pub row: u64,
    /// The memory that the row names, cut and made printable; it may be no valid id.
    pub memory_id: String,
    /// Which field breaks which rule.
    pub reason: Invalid,
}
