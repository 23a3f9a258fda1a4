//! `akosha export`: writes all memories, one per line, ordered by system and id.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use akosha_core::Memory;
use akosha_store::{Filter, Store, StoreError};
use clap::ValueEnum;
use serde::Serialize;
use tempfile::NamedTempFile;

use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::filter::FilterArgs;
use crate::output::{self, Answer, Page};
use crate::show;

/// Options of `akosha export`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// File to write; it appears when it is whole [default: standard output]
    path: Option<PathBuf>,
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
    let exported = to_file(store, &filter, &path)?;
    context.output().answer(&ExportAnswer { exported, path })?;
    Ok(Exit::Done)
}

/// Writes the export beside `path` and moves it there when it is whole.
fn to_file(store: &Store, filter: &Filter, path: &Path) -> Result<u64, Failure> {
    let failed = |error: &io::Error| Failure::of_file("write", path, error);
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut file = NamedTempFile::new_in(folder).map_err(|error| failed(&error))?;
    let mut out = BufWriter::new(&mut file);
    let exported = match lines(store, filter, &mut out) {
        Ok(exported) => exported,
        Err(Stop::Write(error)) => return Err(failed(&error)),
        Err(Stop::Store(error)) => return Err(error.into()),
    };
    out.flush().map_err(|error| failed(&error))?;
    drop(out);
    file.as_file().sync_all().map_err(|error| failed(&error))?;
    file.persist(path).map_err(|error| failed(&error.error))?;
    Ok(exported)
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
