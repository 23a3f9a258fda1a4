//! A manifest from a vault.

#![no_main]

akosha_fuzz::target!(akosha_sync::fuzz::manifest, 512);
