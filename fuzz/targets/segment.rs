//! A segment from a vault. Its decoder is of another crate and may panic, which the reader
//! contains: only what reaches the caller counts.

#![no_main]

akosha_fuzz::target!(akosha_sync::fuzz::segment, 512);
