//! `akosha config show`: shows every setting with its source, and which file was read.

use std::collections::BTreeMap;
use std::io;

use akosha_core::config::{Config, ConfigError, ConfigSource, Shown};
use serde::Serialize;
use serde_json::json;

use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::output::{Answer, Page};

/// Runs the command.
pub(crate) fn run(context: &Context) -> Result<Exit, Failure> {
    let loaded = context.loaded();
    let path = loaded.file.as_ref().map(|path| path.display().to_string());
    let is_broken = loaded
        .errors
        .iter()
        .any(|error| error.key == ConfigError::FILE);
    let about_file = match &path {
        Some(path) if is_broken => format!("{path} cannot be read: see `akosha config check`"),
        Some(path) => format!("read from {path}"),
        None => match Config::default_file() {
            Some(path) => format!(
                "no file is read: `akosha config init` writes {}",
                path.display()
            ),
            None => "no file is read: name one by `--config FILE`".to_owned(),
        },
    };
    let file = Shown {
        value: json!(path),
        source: source_of_file(context),
    };
    context.output().answer(&ShowAnswer {
        file,
        settings: loaded.shown.clone(),
        about_file,
    })?;
    Ok(Exit::Done)
}

/// Returns what chose the file.
fn source_of_file(context: &Context) -> ConfigSource {
    match context.named_config() {
        None => ConfigSource::Default,
        Some(_) if context.is_config_from_env() => ConfigSource::Env("AKOSHA_CONFIG".into()),
        Some(_) => ConfigSource::Flag("config".into()),
    }
}

#[derive(Debug, Serialize)]
struct ShowAnswer {
    /// The file, as if it were a setting.
    #[serde(rename = "config")]
    file: Shown,
    #[serde(flatten)]
    settings: BTreeMap<&'static str, Shown>,
    #[serde(skip)]
    about_file: String,
}

impl Answer for ShowAnswer {
    fn write_text(&self, page: &mut Page<'_>) -> io::Result<()> {
        page.line(format!("# {}", self.about_file))?;
        for (key, setting) in &self.settings {
            page.line(format!("{key} = {}  # {}", setting.value, setting.source))?;
        }
        Ok(())
    }
}
