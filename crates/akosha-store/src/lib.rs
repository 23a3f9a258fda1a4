//! The embedded store: memories with their history, the change log, search, and the tables that
//! make sync and the queue durable, in one SQLite file that many processes share.
//!
//! Every call blocks; asynchronous callers run it on a blocking thread. When a call that writes
//! returns, its effect is durable as [`StoreOptions::durability`] says.
//!
//! One table, `changes`, holds every revision of every memory in the order in which this store
//! met it. The newest revision of a key is its *head*: search and listing see heads, history sees
//! all, a push reads the rows after its cursor.

mod change;
mod connection;
mod content;
mod derived;
mod dispute;
mod error;
mod files;
mod forget;
mod home;
mod integrity;
mod job;
mod lease;
mod ledger;
mod memories;
mod merge;
mod merge_group;
mod outbox;
mod push;
mod push_mark;
mod query;
mod refused;
mod row;
mod schema;
mod scrub;
mod search;
mod stats;
mod system;
mod tally;
mod target_note;
mod token;
mod triage;
mod unsent;
mod verdict;
mod words;
mod writer;

use std::sync::Arc;
use std::time::Duration;

use akosha_core::config::Durability;
use akosha_core::{Sources, SystemId, WriterId};

pub use change::{Change, Op};
pub use dispute::Dispute;
pub use error::StoreError;
pub use files::PushedFile;
pub use forget::Forgotten;
pub use home::{DOWNLOAD_PREFIX, Home, PUSH_PREFIX};
pub use job::{Job, JobState, Parked, Queue, Trigger};
pub use lease::{DRAIN_LEASE, DRAIN_NEXT_LEASE, Fence, Lease};
pub use ledger::{Conflict, Quarantined, UploadOutcome, UploadRecord};
pub use memories::Stored;
pub use merge::Merged;
pub use merge_group::{IncomingUpload, Settled};
pub use outbox::Unsynced;
pub use push::{Begun, PushIntent, PushState, Target};
pub use push_mark::PushMark;
pub use query::{Filter, Page, PageRequest};
pub use refused::Rejected;
pub use search::{Hit, Missing, SearchMode, SearchOutcome, SearchQuery};
pub use stats::Stats;
pub use system::{ActivityPoint, Bucket, SystemPage, SystemSummary};
pub use target_note::TargetNote;
pub use token::{NewToken, Standing, Token};
pub use triage::{Sighting, Triage};
pub use writer::Claim;

use connection::Connections;

/// How a store is opened.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// The id of this node: whose memories are preferred where an id is ambiguous.
    pub system_id: SystemId,
    /// What a completed write survives.
    pub durability: Durability,
    /// Time and randomness.
    pub sources: Sources,
    /// How long each of up to four tries of a write waits for another process; 30 s where not
    /// set. Short where the caller has a deadline of its own.
    pub busy_timeout: Option<Duration>,
}

/// How long a write waits for another process where nothing else is said.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

impl StoreOptions {
    /// Creates options for `system_id` with full durability and the real clock.
    pub fn new(system_id: SystemId) -> Self {
        Self {
            system_id,
            durability: Durability::Full,
            sources: Sources::system(),
            busy_timeout: None,
        }
    }
}

/// A home's store. Clones share it.
#[derive(Debug, Clone)]
pub struct Store {
    inner: Arc<Inner>,
    /// The claim under which this handle writes about pushes and queued jobs.
    fence: Option<Arc<Fence>>,
}

#[derive(Debug)]
struct Inner {
    home: Home,
    options: StoreOptions,
    writer_id: WriterId,
    connections: Connections,
}

impl Store {
    /// Opens the store of `home`, creating both where they are missing.
    ///
    /// Does no scan and builds no index: the time does not depend on how much is stored.
    ///
    /// # Errors
    /// Fails where the home cannot be written, the file is no database or is damaged, or a newer
    /// version of Akosha wrote it.
    pub fn open(home: &Home, options: StoreOptions) -> Result<Self, StoreError> {
        home.create()?;
        let connections =
            Connections::open(home.database(), options.durability, busy_timeout(&options))?;
        let writer_id = match connections.on_writer(schema::writer_id)? {
            Some(id) => id,
            None => connections.write(|db| schema::make_writer_id(db, &options.sources))?,
        };
        Ok(Self {
            inner: Arc::new(Inner {
                home: home.clone(),
                options,
                writer_id,
                connections,
            }),
            fence: None,
        })
    }

    /// Returns the home that the store lies in.
    pub fn home(&self) -> &Home {
        &self.inner.home
    }

    /// Returns the id of this node.
    pub fn system_id(&self) -> &SystemId {
        &self.inner.options.system_id
    }

    /// Returns the id of this store as a writer of vaults.
    pub fn writer_id(&self) -> &WriterId {
        &self.inner.writer_id
    }

    /// Returns the time and randomness that the store runs on.
    pub fn sources(&self) -> &Sources {
        &self.inner.options.sources
    }

    fn busy_timeout(&self) -> Duration {
        busy_timeout(&self.inner.options)
    }

    fn db(&self) -> &Connections {
        &self.inner.connections
    }

    fn now(&self) -> chrono::DateTime<chrono::Utc> {
        self.inner.options.sources.clock.now()
    }
}

fn busy_timeout(options: &StoreOptions) -> Duration {
    options.busy_timeout.unwrap_or(BUSY_TIMEOUT)
}
