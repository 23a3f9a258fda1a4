//! The tokens as requests ask for them: read from the store at most once a second.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use akosha_mcp::StoreHandle;
use akosha_store::{Standing, Store, Token};
use tokio::time::Instant;

use super::caller::{Caller, Who};
use crate::token;

/// How long what was read is believed: a new or a revoked token counts within that.
const FRESH: Duration = Duration::from_secs(1);

/// How long the tokens of before are believed where they cannot be read.
const STALE: Duration = Duration::from_mins(1);

/// How long the store may take to open before a request is told to come again.
const OPENED: Duration = Duration::from_secs(10);

/// The tokens of a store. Clones share them.
#[derive(Debug, Clone)]
pub(super) struct Tokens {
    store: StoreHandle,
    /// Whether a server without any token is open to all.
    may_be_open: bool,
    known: Arc<Mutex<Option<Known>>>,
    /// Held by who reads.
    reading: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Debug, Clone)]
struct Known {
    by_hash: Arc<HashMap<[u8; 32], Token>>,
    read: Instant,
}

/// Why a token is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// There is none.
    Missing,
    /// Nobody knows it.
    Unknown,
    /// It was taken back.
    Revoked,
    /// Its time is over.
    Expired,
    /// The store cannot say.
    Unavailable,
}

impl Refused {
    /// Returns the name as the metric has it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Unknown => "unknown",
            Self::Revoked => "revoked",
            Self::Expired => "expired",
            Self::Unavailable => "unavailable",
        }
    }
}

impl Tokens {
    /// Creates the tokens of `store`; `may_be_open` says whether all may come where there is none.
    pub(super) fn new(store: StoreHandle, may_be_open: bool) -> Self {
        Self {
            store,
            may_be_open,
            known: Arc::default(),
            reading: Arc::default(),
        }
    }

    /// Returns who presents `secret`.
    pub(super) async fn caller(&self, secret: Option<&str>) -> Result<Caller, Refused> {
        let known = self.known().await.ok_or(Refused::Unavailable)?;
        if known.is_empty() && self.may_be_open {
            return Ok(Caller::anyone());
        }
        let secret = secret.ok_or(Refused::Missing)?;
        let token = known.get(&token::hash(secret)).ok_or(Refused::Unknown)?;
        let Some((store, _)) = self.store.opened_now() else {
            return Err(Refused::Unavailable);
        };
        match token.standing(store.sources().clock.now()) {
            Standing::Expired => return Err(Refused::Expired),
            Standing::Revoked => return Err(Refused::Revoked),
            Standing::Good => {}
        }
        self.note_use(store, token);
        Ok(Caller {
            who: Some(Who {
                id: token.id.clone(),
                name: token.name.clone(),
            }),
            scope: token.scope,
            bound: token.system_id.clone(),
        })
    }

    async fn known(&self) -> Option<Arc<HashMap<[u8; 32], Token>>> {
        if let Some(fresh) = self.younger_than(FRESH) {
            return Some(fresh);
        }
        let _turn = self.reading.lock().await;
        // Somebody else may have read meanwhile.
        if let Some(fresh) = self.younger_than(FRESH) {
            return Some(fresh);
        }
        match self.read().await {
            Ok(tokens) => {
                let by_hash = tokens.into_iter().map(|token| (token.hash, token));
                let by_hash = Arc::new(by_hash.collect());
                *self.lock() = Some(Known {
                    by_hash: Arc::clone(&by_hash),
                    read: Instant::now(),
                });
                Some(by_hash)
            }
            Err(error) => {
                tracing::warn!(error, "the tokens cannot be read");
                self.younger_than(STALE)
            }
        }
    }

    async fn read(&self) -> Result<Vec<Token>, String> {
        // Whoever comes first waits for it, as for any answer that needs the store.
        let opened = tokio::time::timeout(OPENED, self.store.get()).await;
        let opened = opened.map_err(|_| "the store is not open yet")?;
        let (store, _) = opened.map_err(|error| error.to_string())?;
        let read = tokio::task::spawn_blocking(move || store.tokens()).await;
        read.map_err(|error| error.to_string())?
            .map_err(|error| error.to_string())
    }

    /// Notes the day of a use once; nobody waits for it.
    fn note_use(&self, store: Store, token: &Token) {
        let today = store.sources().clock.now().date_naive();
        if token.last_used.is_some_and(|day| day.date_naive() >= today) {
            return;
        }
        // Until it is read again, the token counts as used today.
        if let Some(known) = &mut *self.lock()
            && let Some(known) = Arc::make_mut(&mut known.by_hash).get_mut(&token.hash)
        {
            known.last_used = Some(store.sources().clock.now());
        }
        let id = token.id.clone();
        tokio::task::spawn_blocking(move || {
            if let Err(error) = store.note_token_use(&id) {
                tracing::debug!(%error, "the use of a token was not noted");
            }
        });
    }

    fn younger_than(&self, age: Duration) -> Option<Arc<HashMap<[u8; 32], Token>>> {
        let known = self.lock();
        let known = known.as_ref().filter(|known| known.read.elapsed() < age)?;
        Some(Arc::clone(&known.by_hash))
    }

    fn lock(&self) -> MutexGuard<'_, Option<Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
