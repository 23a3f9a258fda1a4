//! A piece of a file from a vault, plain and sealed.

#![no_main]

akosha_fuzz::target!(akosha_sync::fuzz::chunk, 64);
