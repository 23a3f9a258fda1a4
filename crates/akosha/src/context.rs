//! What a command works with: its home, the configuration, the store, opened when first needed.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use akosha_core::ErrorKind;
use akosha_core::config::{Config, Environment, LoadedConfig};
use akosha_store::{Home, Store, StoreOptions};
use akosha_sync::Syncer;

use crate::cli::Global;
use crate::failure::Failure;
use crate::output::Output;

/// What a command works with.
#[derive(Debug)]
pub(crate) struct Context {
    home: Option<Home>,
    named_config: Option<PathBuf>,
    config_from_env: bool,
    loaded: Arc<LoadedConfig>,
    output: Output,
    store: OnceCell<Store>,
}

impl Context {
    /// Reads the configuration; neither creates nor opens anything.
    pub(crate) fn new(global: &Global) -> Self {
        let home = Self::home_of(global);
        let named_config = global.named_config().map(|path| absolute(&path));
        let config_from_env = global.is_config_from_env();
        let environment = Environment::from_process(named_config.clone(), Vec::new());
        Self {
            home: home.map(Home::new),
            named_config,
            config_from_env,
            loaded: Arc::new(LoadedConfig::load(&environment)),
            output: Output::new(global),
            store: OnceCell::new(),
        }
    }

    /// Returns the home that `global` names, else the platform's, as an absolute path.
    pub(crate) fn home_of(global: &Global) -> Option<PathBuf> {
        let home = global.named_home().or_else(Config::default_home);
        home.map(|root| absolute(&root))
    }

    /// Returns how the command prints.
    pub(crate) fn output(&self) -> Output {
        self.output
    }

    /// Returns the home as an absolute path.
    pub(crate) fn home(&self) -> Result<&Home, Failure> {
        self.home.as_ref().ok_or_else(|| {
            Failure::new(
                ErrorKind::Config,
                "this platform names no data directory",
                "name a home: `--home DIR` or `AKOSHA_HOME`",
            )
        })
    }

    /// Returns the configuration file that was named, as an absolute path.
    pub(crate) fn named_config(&self) -> Option<&Path> {
        self.named_config.as_deref()
    }

    /// Returns whether the environment named the configuration file, not a flag.
    pub(crate) fn is_config_from_env(&self) -> bool {
        self.config_from_env
    }

    /// Returns the configuration with its errors.
    pub(crate) fn loaded(&self) -> &Arc<LoadedConfig> {
        &self.loaded
    }

    /// Returns the values of the configuration.
    pub(crate) fn config(&self) -> &Config {
        &self.loaded.config
    }

    /// Refuses a configuration with errors.
    pub(crate) fn require_valid_config(&self) -> Result<(), Failure> {
        if self.loaded.errors.is_empty() {
            Ok(())
        } else {
            Err(Failure::of_config(&self.loaded.errors))
        }
    }

    /// Refuses to store memories where it is open whose they would be, or what is to be taken out
    /// of them.
    pub(crate) fn check_writes(&self) -> Result<(), Failure> {
        Ok(self.loaded.check_writes()?)
    }

    /// Returns how the store is opened.
    pub(crate) fn store_options(&self) -> StoreOptions {
        StoreOptions {
            durability: self.config().durability,
            ..StoreOptions::new(self.config().system_id.clone())
        }
    }

    /// Returns the store, opening it on the first call.
    pub(crate) fn store(&self) -> Result<&Store, Failure> {
        if let Some(store) = self.store.get() {
            return Ok(store);
        }
        let store = Store::open(self.home()?, self.store_options())?;
        Ok(self.store.get_or_init(|| store))
    }

    /// Returns the store where the command opened it.
    pub(crate) fn opened_store(&self) -> Option<&Store> {
        self.store.get()
    }

    /// Returns the sync of the store.
    pub(crate) fn syncer(&self) -> Result<Syncer, Failure> {
        Ok(Syncer::new(self.store()?.clone(), Arc::clone(&self.loaded)))
    }
}

/// Returns a path that means the same from any folder.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
