//! The embedded store.

mod change;

pub use change::{Change, Op};
