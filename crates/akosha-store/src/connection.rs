//! Connections to the database: one that writes, a few that read.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use akosha_core::config::Durability;
use parking_lot::FairMutex;
use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior};

use crate::{StoreError, derived, schema};

/// How often a busy answer is tried once more.
const BUSY_RETRIES: u32 = 3;

/// Idle reading connections that are kept.
const KEPT_READERS: usize = 4;

/// Prepared statements that a connection keeps.
const KEPT_STATEMENTS: usize = 64;

#[derive(Debug)]
pub(crate) struct Connections {
    path: PathBuf,
    busy_timeout: Duration,
    /// Fair: whoever stores one memory has their turn between the transactions of a merge.
    writer: FairMutex<Connection>,
    readers: Mutex<Vec<Connection>>,
}

impl Connections {
    /// Opens the database, creating or migrating it where needed. SQLite waits for another
    /// process for `busy_timeout` before it answers "busy".
    pub(crate) fn open(
        path: PathBuf,
        durability: Durability,
        busy_timeout: Duration,
    ) -> Result<Self, StoreError> {
        let writer = (|| {
            let mut writer = connect(&path, OpenFlags::SQLITE_OPEN_CREATE, busy_timeout)?;
            enter_wal(&writer, busy_timeout)?;
            let synchronous = match durability {
                Durability::Full => "FULL",
                Durability::Process => "NORMAL",
            };
            writer.pragma_update(None, "synchronous", synchronous)?;
            // On macOS a plain fsync leaves the data in the drive's cache.
            writer.pragma_update(None, "fullfsync", durability == Durability::Full)?;
            writer.pragma_update(None, "journal_size_limit", 64 << 20)?;
            schema::migrate(&mut writer)?;
            Ok(writer)
        })()
        .map_err(|error| match error {
            StoreError::Sqlite(error) => StoreError::at(&path, error),
            other => other,
        })?;
        Ok(Self {
            path,
            busy_timeout,
            writer: FairMutex::new(writer),
            readers: Mutex::default(),
        })
    }

    /// Runs `work` in a transaction that holds the write lock from its start, and commits it.
    ///
    /// `work` runs again where the database was busy for too long, so it must not have effects
    /// beyond the transaction.
    pub(crate) fn write<T>(
        &self,
        mut work: impl FnMut(&Transaction<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut connection = self.writer.lock();
        let mut tries = 0;
        loop {
            let result = (|| {
                let transaction =
                    connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
                let follows = derived::follows(&transaction)?;
                let value = work(&transaction)?;
                if follows {
                    derived::keep_up(&transaction)?;
                }
                transaction.commit()?;
                Ok(value)
            })();
            match result {
                Err(StoreError::Busy) if tries < BUSY_RETRIES => tries += 1,
                other => return other.map_err(|error| self.told(error)),
            }
        }
    }

    /// Runs `work` on the writing connection, outside of any transaction.
    pub(crate) fn on_writer<T>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        work(&self.writer.lock()).map_err(|error| self.told(error))
    }

    /// Says of an error of SQLite what it means for this database.
    fn told(&self, error: StoreError) -> StoreError {
        match error {
            StoreError::Sqlite(error) => StoreError::at(&self.path, error),
            other => other,
        }
    }

    /// Runs `work` on a connection that only reads. All its statements see one state of the
    /// store.
    pub(crate) fn read<T>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let idle = self.lock_readers().pop();
        let mut reader = match idle {
            Some(reader) => reader,
            None => connect(&self.path, OpenFlags::empty(), self.busy_timeout)
                .map_err(|error| StoreError::at(&self.path, error))?,
        };
        let result = (|| {
            let snapshot = reader.transaction()?;
            let value = work(&snapshot)?;
            snapshot.finish()?;
            Ok(value)
        })();
        let mut readers = self.lock_readers();
        if readers.len() < KEPT_READERS {
            readers.push(reader);
        }
        result.map_err(|error| self.told(error))
    }

    fn lock_readers(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn connect(path: &Path, extra: OpenFlags, busy_timeout: Duration) -> rusqlite::Result<Connection> {
    // Without SQLite's own mutexes: a connection is used by one thread at a time here.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | extra;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(busy_timeout)?;
    connection.set_prepared_statement_cache_capacity(KEPT_STATEMENTS);
    Ok(connection)
}

/// Switches a new database to write-ahead logging.
///
/// SQLite does not wait for its busy timeout here, so processes that create one home together
/// take turns by waiting.
fn enter_wal(connection: &Connection, busy_timeout: Duration) -> Result<(), StoreError> {
    let mut waited = Duration::ZERO;
    loop {
        let mode =
            connection.pragma_query_value(None, "journal_mode", |row| row.get::<_, String>(0));
        let entered = match mode {
            Ok(mode) if mode == "wal" => Ok(mode),
            Ok(_) => connection.pragma_update_and_check(None, "journal_mode", "wal", |row| {
                row.get::<_, String>(0)
            }),
            Err(error) => Err(error),
        };
        match entered {
            Ok(_) => return Ok(()),
            Err(error)
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
                    && waited < busy_timeout =>
            {
                let pause = Duration::from_millis(5);
                thread::sleep(pause);
                waited += pause;
            }
            Err(error) => return Err(error.into()),
        }
    }
}
