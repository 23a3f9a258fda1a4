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

/// How long a read that failed is not tried again.
const FAILED: Duration = Duration::from_secs(1);

/// How long the store may take to open or to answer before a request is told to come again.
const ANSWERED: Duration = Duration::from_secs(10);

/// The tokens of a store. Clones share them.
#[derive(Debug, Clone)]
pub(super) struct Tokens {
    store: StoreHandle,
    /// Whether a server without any token is open to all.
    may_be_open: bool,
    known: Arc<Mutex<Option<Known>>>,
    /// Held by who reads.
    reading: Arc<tokio::sync::Mutex<()>>,
    /// When a read failed last.
    failed: Arc<Mutex<Option<Instant>>>,
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
            failed: Arc::default(),
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
        // The wait for one's turn counts: otherwise each waits for all before it.
        match tokio::time::timeout(ANSWERED, self.read_in_turn()).await {
            Ok(known) => known,
            Err(_) => self.missed("the store does not answer"),
        }
    }

    async fn read_in_turn(&self) -> Option<Arc<HashMap<[u8; 32], Token>>> {
        let _turn = self.reading.lock().await;
        // Somebody else may have read meanwhile.
        if let Some(fresh) = self.younger_than(FRESH) {
            return Some(fresh);
        }
        let failed = *lock(&self.failed);
        if failed.is_some_and(|failed| failed.elapsed() < FAILED) {
            return self.younger_than(STALE);
        }
        match self.read().await {
            Ok(tokens) => {
                let by_hash = tokens.into_iter().map(|token| (token.hash, token));
                let by_hash = Arc::new(by_hash.collect());
                *lock(&self.known) = Some(Known {
                    by_hash: Arc::clone(&by_hash),
                    read: Instant::now(),
                });
                Some(by_hash)
            }
            Err(error) => self.missed(&error),
        }
    }

    /// Remembers that the tokens could not be read, and returns those of before.
    fn missed(&self, error: &str) -> Option<Arc<HashMap<[u8; 32], Token>>> {
        *lock(&self.failed) = Some(Instant::now());
        tracing::warn!(error, "the tokens cannot be read");
        self.younger_than(STALE)
    }

    async fn read(&self) -> Result<Vec<Token>, String> {
        // Whoever comes first waits for it, as for any answer that needs the store.
        let (store, _) = self.store.get().await.map_err(|error| error.to_string())?;
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
        if let Some(known) = &mut *lock(&self.known)
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
        let known = lock(&self.known);
        let known = known.as_ref().filter(|known| known.read.elapsed() < age)?;
        Some(Arc::clone(&known.by_hash))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use akosha_core::ErrorKind;
    use akosha_mcp::Failure;

    use super::*;

    #[tokio::test]
    async fn a_store_that_cannot_be_read_is_not_asked_by_each_request() {
        let opened = Arc::new(AtomicUsize::new(0));
        let store = StoreHandle::new({
            let opened = Arc::clone(&opened);
            move || {
                opened.fetch_add(1, Ordering::SeqCst);
                Err(Failure::new(ErrorKind::Storage, "no disk"))
            }
        });
        let tokens = Tokens::new(store, true);
        for _ in 0..20 {
            assert_eq!(tokens.caller(None).await, Err(Refused::Unavailable));
        }
        assert!(opened.load(Ordering::SeqCst) < 20);
    }

    #[tokio::test(start_paused = true)]
    async fn requests_that_wait_do_not_wait_for_one_another() {
        let store = StoreHandle::new(|| Err(Failure::new(ErrorKind::Storage, "no disk")));
        let tokens = Tokens::new(store, true);
        let _reading = tokens.reading.lock().await;
        let begun = Instant::now();
        let (first, second) = tokio::join!(tokens.caller(None), tokens.caller(None));
        assert_eq!(first, Err(Refused::Unavailable));
        assert_eq!(second, Err(Refused::Unavailable));
        assert!(begun.elapsed() < ANSWERED * 2, "{:?}", begun.elapsed());
    }
}
