//! What the configuration is read from.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use super::{Config, credentials};

/// Beginnings of the names of variables that are looked at.
const PREFIXES: [&str; 2] = ["AKOSHA_", "CLOUD_SYNC_"];

/// What the configuration is read from.
#[derive(Clone, Default)]
pub struct Environment {
    /// The file that the user named by flag or `AKOSHA_CONFIG`; it must exist.
    pub named_file: Option<PathBuf>,
    /// The file that is read where none is named; it may be missing.
    pub default_file: Option<PathBuf>,
    /// The environment variables; those of other programs do no harm.
    pub variables: BTreeMap<String, String>,
    /// Settings given by flags, as (key, value).
    pub flags: Vec<(String, String)>,
    /// Files of providers' credentials that exist in the user's folder, below it.
    pub credential_files: Vec<PathBuf>,
    /// This machine's name, from which `system_id` is made where nothing names one.
    pub host_name: Option<String>,
}

impl Environment {
    /// Takes the environment of this process: its variables, the platform's default file and the
    /// host name. The only place that reads them.
    ///
    /// Of a variable that is not Unicode the bad parts are replaced, so that its rule refuses it.
    pub fn from_process(named_file: Option<PathBuf>, flags: Vec<(String, String)>) -> Self {
        let variables = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
            .filter(|(name, _)| {
                PREFIXES.iter().any(|prefix| name.starts_with(prefix))
                    || credentials::is_looked_at(name)
            })
            .map(|(name, value)| (name, value.to_string_lossy().into_owned()))
            .collect();
        Self {
            named_file,
            default_file: Config::default_file(),
            variables,
            flags,
            credential_files: credentials::files_of(std::env::home_dir().as_deref()),
            host_name: gethostname::gethostname().into_string().ok(),
        }
    }
}

/// Shows the names of the variables only: values may be secret.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment")
            .field("named_file", &self.named_file)
            .field("default_file", &self.default_file)
            .field("variables", &self.variables.keys())
            .field("host_name", &self.host_name)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_values() {
        let env = Environment {
            variables: [("AKOSHA_TOKEN".to_owned(), "s3cret".to_owned())].into(),
            flags: vec![("akosha_token".into(), "s3cret".into())],
            ..Environment::default()
        };
        let shown = format!("{env:?}");
        assert!(
            shown.contains("AKOSHA_TOKEN") && !shown.contains("s3cret"),
            "{shown}"
        );
    }

    #[test]
    fn the_process_gives_a_host_name() {
        let env = Environment::from_process(None, Vec::new());
        assert!(env.host_name.is_some_and(|name| !name.is_empty()));
        assert!(env.variables.keys().all(|name| !name.starts_with("PATH")));
    }
}
