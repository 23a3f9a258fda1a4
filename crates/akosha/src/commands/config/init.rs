//! `akosha config init`: writes a commented configuration file.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use akosha_core::ErrorKind;
use akosha_core::config::Config;
use serde::Serialize;

use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::output::{Answer, Page};

/// What is written: the settings of a laptop, commented out as far as they are a user's own.
const LAPTOP: &str = include_str!("../../../../../config/laptop.toml");

/// What to do next.
const NEXT: [&str; 3] = [
    "name a bucket or folder of yours in it, as `cloud_bucket`; until then nothing leaves this \
     machine",
    "see whether it is right: `akosha config check`",
    "push what is stored: `akosha sync`",
];

/// Options of `akosha config init`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Replace the file that is there
    #[arg(long)]
    force: bool,
}

/// Runs the command.
pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, Failure> {
    let path = context
        .named_config()
        .map(Path::to_owned)
        .or_else(Config::default_file)
        .ok_or_else(|| {
            Failure::new(
                ErrorKind::Config,
                "this platform names no configuration directory",
                "name the file: `akosha config init --config FILE`",
            )
        })?;
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|error| Failure::of_file("create", folder, &error))?;
    }
    match write(&path, args.force) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(Failure::new(
                ErrorKind::Invalid,
                format!("`{}` exists already", path.display()),
                "edit it, or replace it: `akosha config init --force`",
            ));
        }
        written => written.map_err(|error| Failure::of_file("write", &path, &error))?,
    }
    context.output().answer(&InitAnswer { path, next: NEXT })?;
    Ok(Exit::Done)
}

fn write(path: &Path, force: bool) -> io::Result<()> {
    let mut file = create(path, force)?;
    file.write_all(LAPTOP.as_bytes())?;
    file.sync_all()
}

/// Creates the file for its owner alone: it may come to hold credentials.
fn create(path: &Path, force: bool) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true);
    if force {
        options.create(true).truncate(true);
    } else {
        options.create_new(true);
    }
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path)?;
    #[cfg(unix)]
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    Ok(file)
}

#[derive(Debug, Serialize)]
struct InitAnswer {
    path: PathBuf,
    next: [&'static str; 3],
}

impl Answer for InitAnswer {
    fn write_text(&self, page: &mut Page<'_>) -> io::Result<()> {
        page.line(format!("wrote {}", self.path.display()))?;
        page.line("next:")?;
        for step in self.next {
            page.line(format!("  {step}"))?;
        }
        Ok(())
    }
}
