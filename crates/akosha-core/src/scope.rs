//! What the holder of a token may do.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Invalid;
use crate::error::quote;

/// What the holder of a token may do. Each scope includes those before it.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Search, list and look.
    #[default]
    Read,
    /// Store, forget, sync and pull.
    Write,
    /// Decide what is set aside, and everything else.
    Admin,
}

impl Scope {
    /// Every scope, the smallest first.
    pub const ALL: [Self; 3] = [Self::Read, Self::Write, Self::Admin];

    /// Returns whether who has this scope may do what asks for `wanted`.
    pub fn includes(self, wanted: Self) -> bool {
        self >= wanted
    }

    /// Returns the name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Scope {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let named = Self::ALL.into_iter().find(|scope| scope.as_str() == text);
        named.ok_or_else(|| {
            let reason = format!("is {}, expected `read`, `write` or `admin`", quote(text));
            Invalid::new("scope", reason)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_includes_the_smaller_ones() {
        for (n, scope) in Scope::ALL.into_iter().enumerate() {
            for (m, wanted) in Scope::ALL.into_iter().enumerate() {
                assert_eq!(scope.includes(wanted), n >= m, "{scope} {wanted}");
            }
            assert_eq!(scope.as_str().parse(), Ok(scope));
        }
        assert!("root".parse::<Scope>().is_err());
    }
}
