//! A configuration file.

#![no_main]

akosha_fuzz::target!(akosha_core::config::fuzz::config, 64);
