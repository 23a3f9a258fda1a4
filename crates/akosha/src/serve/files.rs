//! How many files the system lets the server have open, which bounds its connections.

/// Files that the server needs beside its connections.
#[cfg(unix)]
const OTHERS: u64 = 256;

/// Raises the limit as far as `wanted` connections need, and returns how many it allows.
#[cfg(unix)]
pub(super) fn connections(wanted: usize) -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let needed = wanted as u64 + OTHERS;
    let limit = getrlimit(Resource::Nofile);
    // No limit is told as none.
    let Some(mut current) = limit.current else {
        return wanted;
    };
    if current < needed {
        let raised = limit.maximum.map_or(needed, |most| most.min(needed));
        let asked = Rlimit {
            current: Some(raised),
            maximum: limit.maximum,
        };
        if setrlimit(Resource::Nofile, asked).is_ok() {
            current = raised;
        }
    }
    let allowed = current.saturating_sub(OTHERS).max(current / 2);
    usize::try_from(allowed).map_or(wanted, |allowed| allowed.min(wanted))
}

/// The system has no such limit.
#[cfg(not(unix))]
pub(super) fn connections(wanted: usize) -> usize {
    wanted
}
