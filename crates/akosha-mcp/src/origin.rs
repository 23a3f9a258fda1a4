//! Where a call came from, and whose a memory is that it brings.

use akosha_core::{ErrorKind, IngestionMethod, SystemId};

use crate::Failure;

/// Where calls come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The assistant on this machine, over standard input and output.
    Stdio,
    /// A client over HTTP.
    Http {
        /// The system that the client's token is bound to; it cannot write as another.
        bound: Option<SystemId>,
    },
}

impl Origin {
    /// Returns how a memory comes in by this way.
    pub(crate) fn ingestion_method(&self) -> IngestionMethod {
        match self {
            Self::Stdio => IngestionMethod::Local,
            Self::Http { .. } => IngestionMethod::HttpPush,
        }
    }

    /// Returns whether calls come from another machine, or may.
    pub(crate) fn is_http(&self) -> bool {
        matches!(self, Self::Http { .. })
    }

    /// Returns whose a memory is: over stdio `node`'s; over HTTP the system that the token is
    /// bound to, else `source` made a valid id, else `node`'s.
    ///
    /// # Errors
    /// Fails where a bound client names another system.
    pub(crate) fn owner(&self, source: Option<&str>, node: &SystemId) -> Result<SystemId, Failure> {
        let Self::Http { bound } = self else {
            return Ok(node.clone());
        };
        let named = source.and_then(SystemId::from_name);
        match (bound, named) {
            (Some(bound), Some(named)) if *bound != named => Err(foreign(bound, &named)),
            (Some(bound), _) => Ok(bound.clone()),
            (None, Some(named)) => Ok(named),
            (None, None) => Ok(node.clone()),
        }
    }

    /// Checks that the caller may do what concerns this node as a whole, such as a sync of it.
    ///
    /// # Errors
    /// Fails where a client is bound to another system than `node`.
    pub fn check_node(&self, node: &SystemId) -> Result<(), Failure> {
        match self {
            Self::Http { bound: Some(bound) } if bound != node => Err(Failure::new(
                ErrorKind::Auth,
                format!("the token is bound to system `{bound}`, and this concerns `{node}`"),
            )
            .with_hint("use a token that is bound to no system")),
            _ => Ok(()),
        }
    }

    /// Checks that the caller may change memories of `system`, and returns whose are meant: the
    /// system named, else the one that the token is bound to.
    ///
    /// # Errors
    /// Fails where a bound client names another system.
    pub(crate) fn target(&self, system: Option<SystemId>) -> Result<Option<SystemId>, Failure> {
        match (self, system) {
            (Self::Http { bound: Some(bound) }, Some(named)) if *bound != named => {
                Err(foreign(bound, &named))
            }
            (Self::Http { bound: Some(bound) }, _) => Ok(Some(bound.clone())),
            (_, system) => Ok(system),
        }
    }
}

fn foreign(bound: &SystemId, named: &SystemId) -> Failure {
    Failure::new(
        ErrorKind::Auth,
        format!("the token is bound to system `{bound}` and cannot write as `{named}`"),
    )
    .with_hint(format!(
        "leave out `metadata.source` or set it to `{bound}`"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> SystemId {
        text.parse().unwrap()
    }

    #[test]
    fn a_memory_belongs_to_whom_its_way_in_says() {
        let node = id("node");
        let open = Origin::Http { bound: None };
        let bound = Origin::Http {
            bound: Some(id("laptop")),
        };
        assert_eq!(Origin::Stdio.owner(Some("other"), &node), Ok(node.clone()));
        assert_eq!(
            open.owner(Some("my.mac book"), &node),
            Ok(id("my-mac-book"))
        );
        assert_eq!(open.owner(Some("///"), &node), Ok(node.clone()));
        assert_eq!(open.owner(None, &node), Ok(node.clone()));
        assert_eq!(bound.owner(None, &node), Ok(id("laptop")));
        assert_eq!(bound.owner(Some("laptop"), &node), Ok(id("laptop")));
        let refused = bound.owner(Some("other"), &node).unwrap_err();
        assert_eq!(refused.kind, ErrorKind::Auth);
        assert!(bound.check_node(&node).is_err());
        assert_eq!(bound.check_node(&id("laptop")), Ok(()));
        assert_eq!(open.check_node(&node), Ok(()));
        assert!(bound.target(Some(id("other"))).is_err());
        assert_eq!(bound.target(None), Ok(Some(id("laptop"))));
    }
}
