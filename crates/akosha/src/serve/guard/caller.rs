//! Who asks, and what they may do.

use std::net::SocketAddr;

use akosha_core::{Scope, SystemId};

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::serve) struct Caller {
    /// The token; `None` where none is asked for.
    pub(in crate::serve) who: Option<Who>,
    /// What they may do.
    pub(in crate::serve) scope: Scope,
    /// The system as which alone they may write.
    pub(in crate::serve) bound: Option<SystemId>,
}

/// A token by its names, never its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::serve) struct Who {
    /// Its id.
    pub(in crate::serve) id: String,
    /// What people call it.
    pub(in crate::serve) name: String,
}

/// Where a request comes from.
#[derive(Debug, Clone, Copy)]
pub(in crate::serve) struct Peer(pub(in crate::serve) SocketAddr);

impl Caller {
    /// Returns who asks a server of this machine that has no tokens.
    pub(super) fn anyone() -> Self {
        Self {
            who: None,
            scope: Scope::Admin,
            bound: None,
        }
    }
}
