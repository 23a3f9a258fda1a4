//! `akosha export`: writes all memories, one per line, ordered by system and id.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use akosha_core::{ErrorKind, Memory};
use akosha_store::{Filter, Store, StoreError};
use clap::ValueEnum;
use serde::Serialize;

use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::filter::FilterArgs;
use crate::output::{self, Answer, Page};
use crate::show;

/// Options of `akosha export`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// File to write; it appears when it is whole [default: standard output]
    ///
    /// Without it standard output holds one memory per line, with `--json` or without.
    path: Option<PathBuf>,
    /// Replace the file that is there
    #[arg(long, requires = "path")]
    force: bool,
    /// Form of the file
    #[arg(long, value_enum, default_value_t = Format::Jsonl)]
    format: Format,
    #[command(flatten)]
    filter: FilterArgs,
}

/// What an export can be written as.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// One memory per line as a JSON object
    Jsonl,
}

/// Why an export stopped.
enum Stop {
    Store(StoreError),
    Write(io::Error),
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Runs the command.
pub(crate) fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let store = context.store()?;
    let filter = args.filter.filter();
    // The only format; a second one makes this a choice.
    let Format::Jsonl = args.format;
    let Some(path) = args.path else {
        let mut out = output::stream();
        return match lines(store, &filter, &mut out) {
            Ok(_) => output::finish(out.flush()),
            Err(Stop::Write(error)) => output::finish(Err(error)),
            Err(Stop::Store(error)) => Err(error.into()),
        }
        .map(|()| Exit::Done);
    };
    let target = Target::new(&path, args.force)?;
    let exported = target.write(store, &filter)?;
    context.output().answer(&ExportAnswer { exported, path })?;
    Ok(Exit::Done)
}

/// The file that is written.
struct Target<'a> {
    path: &'a Path,
    force: bool,
}

impl<'a> Target<'a> {
    /// Looks at what is there before anything is exported.
    fn new(path: &'a Path, force: bool) -> Result<Self, Failure> {
        let target = Self { path, force };
        match fs::metadata(path) {
            Ok(there) if !there.is_file() => Err(Failure::new(
                ErrorKind::Invalid,
                format!("`{}` is no regular file", path.display()),
                "name a file, or none: standard output is written then",
            )),
            Ok(_) if !force => Err(target.exists()),
            _ => Ok(target),
        }
    }

    /// Writes the export into a new file beside it and moves that there when it is whole.
    fn write(&self, store: &Store, filter: &Filter) -> Result<u64, Failure> {
        let failed = |error: &io::Error| Failure::of_file("write", self.path, error);
        let folder = match self.path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        // Both opened and written without the library's own errors, which name the new file.
        let mut file = tempfile::Builder::new()
            .prefix(".akosha-export-")
            .make_in(folder, create)
            .map_err(|error| failed(&error))?;
        let mut out = BufWriter::new(file.as_file_mut());
        let exported = match lines(store, filter, &mut out) {
            Ok(exported) => exported,
            Err(Stop::Write(error)) => return Err(failed(&error)),
            Err(Stop::Store(error)) => return Err(error.into()),
        };
        out.flush().map_err(|error| failed(&error))?;
        drop(out);
        file.as_file().sync_all().map_err(|error| failed(&error))?;
        let moved = if self.force {
            file.persist(self.path)
        } else {
            file.persist_noclobber(self.path)
        };
        match moved.map_err(|error| error.error) {
            Ok(_) => Ok(exported),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(self.exists()),
            Err(error) => Err(failed(&error)),
        }
    }

    fn exists(&self) -> Failure {
        Failure::new(
            ErrorKind::Invalid,
            format!("`{}` exists already", self.path.display()),
            "name another file, or replace it: repeat the command with `--force`",
        )
    }
}

/// Creates a file for its owner alone: memories are nobody else's.
fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Writes one memory per line and returns how many.
fn lines(store: &Store, filter: &Filter, out: &mut impl Write) -> Result<u64, Stop> {
    let mut count = 0;
    store.for_each(filter, |memory: Memory| {
        serde_json::to_writer(&mut *out, &memory)
            .map_err(io::Error::from)
            .and_then(|()| out.write_all(b"\n"))
            .map_err(Stop::Write)?;
        count += 1;
        Ok::<(), Stop>(())
    })?;
    Ok(count)
}

#[derive(Debug, Serialize)]
struct ExportAnswer {
    exported: u64,
    path: PathBuf,
}

impl Answer for ExportAnswer {
    fn write_text(&self, page: &mut Page<'_>) -> io::Result<()> {
        let count = show::counted(self.exported, "memory", "memories");
        page.line(format!("exported {count} to {}", self.path.display()))
    }
}
