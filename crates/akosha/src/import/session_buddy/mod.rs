//! Session-Buddy: one memory for every row of its two databases, `reflection.duckdb` and
//! `knowledge_graph.duckdb`.
//!
//! | module | does |
//! |---|---|
//! | [`copy`] | copies a database while Session-Buddy writes it |
//! | [`command`] | runs DuckDB's command on the copy |
//! | [`tables`] | says which tables there are and how they are read |
//! | [`row`] | makes a memory of a row |

mod command;
mod copy;
mod error;
mod row;
mod scratch;
mod tables;

use std::path::{Path, PathBuf};

use command::DuckDb;
use copy::DatabaseCopy;
use row::Row;
use scratch::Scratch;
use tables::{Described, Table};

pub(crate) use error::DatabaseError;

use super::{ImportError, Sink, Source};

/// The databases.
const DATABASES: [&str; 2] = ["reflection.duckdb", "knowledge_graph.duckdb"];

/// The databases of Session-Buddy in a folder, or one of them alone.
#[derive(Debug)]
pub(super) struct SessionBuddy;

impl Source for SessionBuddy {
    fn name(&self) -> &'static str {
        "session-buddy"
    }

    fn default_path(&self) -> Option<PathBuf> {
        Some(std::env::home_dir()?.join(".claude").join("data"))
    }

    fn reads(&self) -> &'static str {
        "memories are read from `reflection.duckdb` and `knowledge_graph.duckdb`; their tables \
         are empty"
    }

    fn read(&self, path: &Path, temporary: &Path, sink: &mut dyn Sink) -> Result<(), ImportError> {
        let databases = databases(path)?;
        let duckdb = DuckDb::find()?;
        let mut is_any_read = false;
        let mut failed = Vec::new();
        for database in databases {
            match read(&duckdb, &database, temporary, sink) {
                Ok(()) => is_any_read = true,
                // One bad database does not keep the other from being imported.
                Err(ImportError::Database(error)) => failed.push((database, error)),
                Err(error) => return Err(error),
            }
        }
        for (database, error) in failed {
            if !is_any_read {
                return Err(error.into());
            }
            sink.skip(file_name(&database), format!("{error}; {}", error.hint()));
        }
        Ok(())
    }
}

/// Returns the databases at a path.
fn databases(path: &Path) -> Result<Vec<PathBuf>, ImportError> {
    let metadata = path.metadata().map_err(|source| ImportError::Path {
        path: path.to_owned(),
        source,
    })?;
    if !metadata.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let databases: Vec<PathBuf> = DATABASES
        .iter()
        .map(|name| path.join(name))
        .filter(|path| path.exists())
        .collect();
    if databases.is_empty() {
        return Err(DatabaseError::NoDatabase {
            folder: path.to_owned(),
        }
        .into());
    }
    Ok(databases)
}

/// Reads all of one database.
fn read(
    duckdb: &DuckDb,
    database: &Path,
    temporary: &Path,
    sink: &mut dyn Sink,
) -> Result<(), ImportError> {
    let scratch = Scratch::new(temporary)?;
    let copy = DatabaseCopy::take(database, scratch.path())?;
    let reader = Reader {
        duckdb,
        database,
        copy,
    };
    let mut described: Vec<Described> = Vec::new();
    reader.run([tables::describe()].into_iter(), &mut |line| {
        described.push(reader.parse(line)?);
        Ok(())
    })?;
    let (tables, faults) = tables::known(&described);
    if tables.is_empty() && faults.is_empty() {
        return Err(DatabaseError::NoTables {
            path: database.to_owned(),
        }
        .into());
    }
    for (table, fault) in faults {
        sink.skip(format!("{}: {table}", file_name(database)), fault);
    }
    let mut ends: Vec<u64> = Vec::new();
    reader.run(tables.iter().map(Table::end), &mut |line| {
        ends.push(reader.parse(line)?);
        Ok(())
    })?;
    for (table, end) in tables.iter().zip(ends) {
        reader.rows(table, end, &tables, sink)?;
    }
    Ok(())
}

/// Reads a copy.
struct Reader<'a> {
    duckdb: &'a DuckDb,
    database: &'a Path,
    copy: DatabaseCopy,
}

impl Reader<'_> {
    fn run(
        &self,
        statements: impl Iterator<Item = String>,
        each: &mut dyn FnMut(&[u8]) -> Result<(), ImportError>,
    ) -> Result<(), ImportError> {
        self.duckdb.run(&self.copy, self.database, statements, each)
    }

    /// Reads every row of a table.
    fn rows(
        &self,
        table: &Table,
        end: u64,
        all: &[Table],
        sink: &mut dyn Sink,
    ) -> Result<(), ImportError> {
        let name = file_name(self.database);
        self.run(table.pages(end, all), &mut |line| {
            let row: Row = self.parse(line)?;
            let place = format!("{name}: {} {}", table.name, row.shown_id());
            match row.item(table, place.clone()) {
                Ok(item) => sink.take(item),
                Err(reason) => {
                    sink.skip(place, reason);
                    Ok(())
                }
            }
        })
    }

    fn parse<T: serde::de::DeserializeOwned>(&self, line: &[u8]) -> Result<T, DatabaseError> {
        serde_json::from_slice(line).map_err(|error| DatabaseError::Unreadable {
            path: self.database.to_owned(),
            reason: format!("DuckDB's command answered what is not understood: {error}"),
        })
    }
}

fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str());
    name.to_string_lossy().into_owned()
}
