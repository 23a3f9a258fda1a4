//! What the tests share: homes, processes, an MCP client, servers, vaults.

mod home;
mod mcp;
mod process;
mod s3;
mod seed;
mod server;
mod vault;

use std::fmt::Debug;
use std::time::{Duration, Instant};

pub(crate) use home::{Home, Run};
pub(crate) use mcp::{Answer, Mcp};
pub(crate) use process::{is_running, wait};
#[cfg(unix)]
pub(crate) use process::{kill_group, terminate};
pub(crate) use s3::{Moment, S3};
pub(crate) use seed::Seed;
pub(crate) use server::Server;
pub(crate) use vault::{Upload, Vault};

/// Looks again and again until `look` returns something, at most for `limit`.
pub(crate) fn eventually<T>(what: &str, limit: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(
            Instant::now() < deadline,
            "{what} did not happen within {limit:?}"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A port on which nothing listens: only the superuser may, and the service that it was reserved
/// for is long gone. A free port would sooner or later be another test's.
pub(crate) const DEAD_PORT: u16 = 1;

/// Compares two collections that may be long: says only what is in one and not in the other.
pub(crate) fn assert_same<T: Debug + PartialEq>(what: &str, left: &[T], right: &[T]) {
    let only_left: Vec<&T> = left
        .iter()
        .filter(|item| !right.contains(item))
        .take(3)
        .collect();
    let only_right: Vec<&T> = right
        .iter()
        .filter(|item| !left.contains(item))
        .take(3)
        .collect();
    assert!(
        left == right,
        "{what}: {} against {} rows; only left: {only_left:#?}, only right: {only_right:#?}",
        left.len(),
        right.len()
    );
}
