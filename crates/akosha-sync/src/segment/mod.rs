//! Segments: changed rows as Parquet with zstd. The one writer and the one reader of those bytes.
//!
//! Both block on the disk: call them on a blocking thread. Neither's memory use grows with the
//! segment. The reader trusts nothing: a segment that is not what its manifest says ends with an
//! error, a row that breaks a rule stops only itself.

mod error;
mod footer;
#[cfg(any(fuzzing, test))]
pub(crate) mod fuzz;
mod pages;
mod read;
mod row;
mod schema;
mod thrift;
mod write;

pub use error::{RowError, SegmentError};
pub use read::{SegmentReader, read, size_in_memory};
pub use write::{SegmentFile, SegmentWriter};

/// Largest revision that a row may have: 2^53.
pub const MAX_REVISION: i64 = 1 << 53;

/// Rows at which a writer should begin another segment.
pub const SEGMENT_ROWS: u64 = 100_000;

/// Bytes before compression at which a writer should begin another segment: 16 MiB. A segment is
/// one download, which a slow line has to finish in time.
pub const SEGMENT_BYTES: u64 = 16 << 20;

/// Largest segment that is read, in bytes of its object: 512 MiB.
pub const MAX_SEGMENT_BYTES: u64 = 512 << 20;

/// Most bytes that a segment may have after decompression: 2 GiB.
pub const MAX_DECODED_BYTES: u64 = 2 << 30;

#[cfg(test)]
mod tests;
