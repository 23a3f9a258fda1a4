//! The server's worker: discovery of uploads, leases between replicas, quarantine, schedules.
//!
//! Empty in this version: `serve` and the command line pull through
//! [`Syncer::pull`](akosha_sync::Syncer::pull), which verifies and merges as the worker will.
