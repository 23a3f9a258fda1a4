//! What a provider's own tools look at: environment variables and the user's folder.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

/// The variables of this process and the user's folder; a test gives its own.
#[derive(Clone, Default)]
pub(in crate::vault) struct Environment {
    pub(in crate::vault) variables: BTreeMap<String, String>,
    pub(in crate::vault) home: Option<PathBuf>,
}

impl Environment {
    /// Takes what this process was given; what is not Unicode is no setting of a provider.
    pub(in crate::vault) fn of_process() -> Self {
        Self {
            variables: std::env::vars_os()
                .filter_map(|(name, value)| {
                    Some((name.into_string().ok()?, value.into_string().ok()?))
                })
                .collect(),
            home: std::env::home_dir(),
        }
    }

    /// Returns a variable; empty counts as not set.
    pub(in crate::vault) fn get(&self, name: &str) -> Option<&str> {
        let value = self.variables.get(name).map(String::as_str);
        value.filter(|value| !value.is_empty())
    }

    /// Returns the first of the names that is set.
    pub(in crate::vault) fn first(&self, names: &[&'static str]) -> Option<&'static str> {
        names.iter().copied().find(|name| self.get(name).is_some())
    }

    /// Returns the variables that start with `prefix`, in lower case, which set something.
    pub(in crate::vault) fn settings<'a>(
        &'a self,
        prefix: &'a str,
    ) -> impl Iterator<Item = (String, &'a str)> + 'a {
        let set = self.variables.iter();
        set.filter(move |(name, value)| name.starts_with(prefix) && !value.is_empty())
            .map(|(name, value)| (name.to_ascii_lowercase(), value.as_str()))
    }
}

/// Shows the names alone: values may be secret.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.variables.keys()).finish()
    }
}
