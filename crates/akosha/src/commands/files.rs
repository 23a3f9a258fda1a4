//! `akosha files`: what the vault holds beside the memories, and how it comes back.

use std::io;
use std::path::PathBuf;

use akosha_core::{ErrorKind, SystemId, UploadId};
use akosha_sync::files::{FetchError, FetchOutcome, FetchedFile, FileError, FileVersion};
use serde::Serialize;

use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::output::{Answer, Page};
use crate::progress::Bar;
use crate::{runtime, show};

/// Commands of `akosha files`.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// List the files that the vault holds
    List(ListArgs),
    /// Bring a file back, with the logs that belong to it
    ///
    /// Everything is verified before it appears. A file that differs is left alone unless `--force`
    /// is given.
    Fetch(FetchArgs),
}

/// Which upload is meant.
#[derive(Debug, clap::Args)]
struct Which {
    /// System whose files they are [default: this machine's]
    #[arg(long, value_name = "ID")]
    system: Option<SystemId>,
    /// Upload in which they are [default: the newest that has any]
    #[arg(long, value_name = "ID")]
    upload: Option<UploadId>,
}

/// Options of `akosha files list`.
#[derive(Debug, clap::Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    which: Which,
}

/// Options of `akosha files fetch`.
#[derive(Debug, clap::Args)]
pub(crate) struct FetchArgs {
    /// Name of the file, as `akosha files list` shows it
    name: String,
    /// Folder to bring it into
    #[arg(long, value_name = "DIR", default_value = ".")]
    to: PathBuf,
    /// Replace a file that differs
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    which: Which,
}

/// Runs the command.
pub(crate) fn run(context: &Context, command: &Command) -> Result<Exit, Failure> {
    match command {
        Command::List(args) => list(context, args),
        Command::Fetch(args) => fetch(context, args),
    }
}

fn list(context: &Context, args: &ListArgs) -> Result<Exit, Failure> {
    let syncer = context.syncer()?;
    let system = system(context, &args.which);
    let upload = args.which.upload.as_ref();
    let files = runtime::start()?.block_on(syncer.files(&system, upload))?;
    let system = system.to_string();
    context.output().answer(&ListAnswer { system, files })?;
    Ok(Exit::Done)
}

fn fetch(context: &Context, args: &FetchArgs) -> Result<Exit, Failure> {
    let syncer = context.syncer()?;
    let system = system(context, &args.which);
    let bar = Bar::new(context.output(), "fetching");
    let fetched = runtime::start()?.block_on(syncer.fetch_file(
        &system,
        args.which.upload.as_ref(),
        &args.name,
        &args.to,
        args.force,
        &bar,
    ));
    bar.clear();
    let files = fetched?;
    let in_the_way = files
        .iter()
        .find(|file| file.outcome == FetchOutcome::Differs);
    if let Some(file) = in_the_way {
        return Err(Failure::new(
            ErrorKind::Conflict,
            format!(
                "`{}` differs from the one in the vault; nothing was changed",
                file.path.display()
            ),
            "fetch it into another folder with `--to`, or replace it with `--force`",
        ));
    }
    context.output().answer(&FetchAnswer { files })?;
    Ok(Exit::Done)
}

fn system(context: &Context, which: &Which) -> SystemId {
    let own = || context.config().system_id.clone();
    which.system.clone().unwrap_or_else(own)
}

#[derive(Debug, Serialize)]
struct ListAnswer {
    #[serde(skip)]
    system: String,
    files: Vec<FileVersion>,
}

impl Answer for ListAnswer {
    fn write_text(&self, page: &mut Page<'_>) -> io::Result<()> {
        let Some(first) = self.files.first() else {
            return page.line(format!(
                "no files of {} in the vault; those of another system: `akosha files list --system ID`",
                self.system
            ));
        };
        page.line(format!(
            "files of {} in upload {}",
            first.system_id, first.upload_id
        ))?;
        for file in &self.files {
            page.line(format!("{}  {}", file.name, show::size(file.size_bytes)))?;
        }
        Ok(())
    }
}

#[derive(Debug, Serialize)]
struct FetchAnswer {
    files: Vec<FetchedFile>,
}

impl Answer for FetchAnswer {
    fn write_text(&self, page: &mut Page<'_>) -> io::Result<()> {
        for file in &self.files {
            let path = file.path.display();
            let size = show::size(file.size_bytes);
            page.line(match file.outcome {
                FetchOutcome::Fetched => format!("fetched {path}, {size}"),
                FetchOutcome::Unchanged => format!("{path} is there already, {size}"),
                FetchOutcome::Removed => format!("removed {path}, a log of another version"),
                FetchOutcome::Differs => format!("{path} differs and is untouched"),
            })?;
        }
        Ok(())
    }
}

impl From<FetchError> for Failure {
    fn from(error: FetchError) -> Self {
        let error = match error {
            FetchError::Sync(error) => return error.into(),
            FetchError::File(error) => error,
        };
        let message = error.to_string();
        match error {
            FileError::NotStored { .. } => Self::new(
                ErrorKind::NotFound,
                message,
                "see what there is: `akosha files list`, with `--system ID` for another system's",
            ),
            FileError::Damaged { .. } => Self::new(
                ErrorKind::Data,
                message,
                "try an earlier upload: `akosha files fetch NAME --upload ID`",
            ),
            _ => Self::new(
                ErrorKind::Storage,
                message,
                "correct the folder, its permissions or its free space, then repeat the command",
            ),
        }
    }
}
