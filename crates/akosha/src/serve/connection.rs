//! What is known of each open connection, and which one has to go when there are too many.

use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use akosha_core::metric;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How long a connection may do what.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Connections that are open at a time.
    pub(super) connections: usize,
    /// From the first byte of a request, or from the start of a connection, to the end of the head;
    /// and for a TLS handshake.
    pub(super) head: Duration,
    /// In which nothing of a body comes, or nothing of an answer is taken.
    pub(super) stall: Duration,
    /// In which a body may come as slowly as it likes.
    pub(super) slow: Duration,
    /// Between two requests.
    pub(super) idle: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 4096,
            head: Duration::from_secs(10),
            stall: Duration::from_secs(30),
            slow: Duration::from_secs(30),
            idle: Duration::from_secs(75),
        }
    }
}

/// What a connection does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// It has not sent the head of a request yet.
    Silent,
    /// It waits for the next request.
    Idle,
    /// A part of the head of a further request has come.
    Head,
    /// A request is at work.
    Busy,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    since: Instant,
    /// Since when nothing of an answer could be sent.
    blocked: Option<Instant>,
}

/// An open connection.
#[derive(Debug)]
pub(super) struct Connection {
    id: u64,
    state: Mutex<State>,
    /// Told where a deadline may have come nearer.
    pub(super) changed: Notify,
    /// Closes the connection.
    pub(super) close: CancellationToken,
    registry: Arc<Registry>,
}

impl Connection {
    /// Says that a request is at work until the answer is dropped.
    pub(super) fn busy(self: &Arc<Self>) -> Busy {
        self.lock().phase = Phase::Busy;
        Busy(Arc::clone(self))
    }

    /// Returns when the connection is closed if nothing happens until then.
    pub(super) fn deadline(&self, limits: &Limits) -> Option<Instant> {
        let state = self.lock();
        let patience = match state.phase {
            Phase::Silent | Phase::Head => Some(limits.head),
            Phase::Idle => Some(limits.idle),
            Phase::Busy => None,
        };
        let ends = patience.map(|patience| state.since + patience);
        let unblocked = state.blocked.map(|since| since + limits.stall);
        [ends, unblocked].into_iter().flatten().min()
    }

    fn heard(&self) {
        let mut state = self.lock();
        if state.phase == Phase::Idle {
            state.phase = Phase::Head;
            state.since = Instant::now();
            drop(state);
            self.changed.notify_one();
        }
    }

    fn wrote(&self, blocked: bool) {
        let mut state = self.lock();
        if blocked == state.blocked.is_some() {
            return;
        }
        state.blocked = blocked.then(Instant::now);
        drop(state);
        if blocked {
            self.changed.notify_one();
        }
    }

    /// Returns since when no request is at work; `None` where one is.
    fn waiting(&self) -> Option<Instant> {
        let state = self.lock();
        (state.phase != Phase::Busy).then_some(state.since)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request at work on a connection.
pub(super) struct Busy(Arc<Connection>);

impl Drop for Busy {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.phase = Phase::Idle;
        state.since = Instant::now();
        drop(state);
        self.0.changed.notify_one();
    }
}

/// The open connections.
#[derive(Debug)]
pub(super) struct Registry {
    most: usize,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    next: u64,
    /// By the order in which they came.
    all: BTreeMap<u64, Arc<Connection>>,
}

/// A connection in the registry, until this is dropped.
#[derive(Debug)]
pub(super) struct Entry(pub(super) Arc<Connection>);

impl Drop for Entry {
    fn drop(&mut self) {
        let mut open = self.0.registry.lock();
        open.all.remove(&self.0.id);
        show(&open);
    }
}

impl Registry {
    /// Creates the registry of at most `most` connections.
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self {
            most,
            open: Mutex::default(),
        })
    }

    /// Takes a new connection in. Where there are too many, the one goes that is without a request at
    /// work for longest, whether it says nothing or sends a head byte by byte; where all work, the
    /// new one is refused.
    pub(super) fn enter(self: &Arc<Self>) -> Option<Entry> {
        let mut open = self.lock();
        if open.all.len() >= self.most && !open.evict() {
            metrics::counter!(metric::HTTP_CONNECTIONS_REFUSED.name).increment(1);
            return None;
        }
        open.next += 1;
        let id = open.next;
        let connection = Arc::new(Connection {
            id,
            state: Mutex::new(State {
                phase: Phase::Silent,
                since: Instant::now(),
                blocked: None,
            }),
            changed: Notify::new(),
            close: CancellationToken::new(),
            registry: Arc::clone(self),
        });
        open.all.insert(id, Arc::clone(&connection));
        show(&open);
        Some(Entry(connection))
    }

    /// Closes the connection that is missed least, where one is not at work.
    pub(super) fn make_room(&self) -> bool {
        self.lock().evict()
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    fn evict(&mut self) -> bool {
        let waiting = self.all.iter();
        let waiting = waiting.filter_map(|(id, one)| Some((one.waiting()?, *id)));
        let Some((_, id)) = waiting.min() else {
            return false;
        };
        if let Some(connection) = self.all.remove(&id) {
            connection.close.cancel();
            metrics::counter!(metric::HTTP_CONNECTIONS_REFUSED.name).increment(1);
        }
        true
    }
}

fn show(open: &Open) {
    metrics::gauge!(metric::HTTP_CONNECTIONS.name).set(open.all.len() as f64);
}

/// The stream of a connection, which notes what comes and what goes.
pub(super) struct Noted<S> {
    stream: S,
    connection: Arc<Connection>,
}

impl<S> Noted<S> {
    /// Creates the stream of `connection`.
    pub(super) fn new(stream: S, connection: Arc<Connection>) -> Self {
        Self { stream, connection }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Noted<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(cx, buf);
        if buf.filled().len() > before {
            this.connection.heard();
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Noted<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let wrote = Pin::new(&mut this.stream).poll_write(cx, buf);
        this.connection.wrote(wrote.is_pending());
        wrote
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let wrote = Pin::new(&mut this.stream).poll_write_vectored(cx, bufs);
        this.connection.wrote(wrote.is_pending());
        wrote
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_waits_for_longest_goes_first_and_who_works_stays() {
        let registry = Registry::new(3);
        let enter = || registry.enter().map(|entry| (Arc::clone(&entry.0), entry));
        let (working, _first) = enter().unwrap();
        let busy = working.busy();
        let (silent, _second) = enter().unwrap();
        let (begun, _third) = enter().unwrap();
        drop(begun.busy());
        // The first byte of a further head.
        begun.heard();
        let (newest, _fourth) = enter().unwrap();
        assert!(silent.close.is_cancelled() && !begun.close.is_cancelled());
        let _at_work = newest.busy();
        let (another, _fifth) = enter().unwrap();
        assert!(begun.close.is_cancelled());
        let _also = another.busy();
        assert!(enter().is_none(), "all are at work");
        assert!(!working.close.is_cancelled());
        drop(busy);
        assert!(enter().is_some());
        assert!(working.close.is_cancelled());
    }

    #[tokio::test]
    async fn each_phase_has_its_deadline() {
        let limits = Limits::default();
        let entry = Registry::new(1).enter().unwrap();
        let connection = &entry.0;
        let deadline = || connection.deadline(&limits);
        let since = || connection.lock().since;
        let begun = since();
        assert_eq!(deadline(), Some(begun + limits.head), "silent");
        tokio::time::sleep(Duration::from_millis(5)).await;
        connection.heard();
        assert_eq!(deadline(), Some(begun + limits.head), "a byte is no head");
        let busy = connection.busy();
        assert_eq!(deadline(), None, "at work");
        connection.wrote(true);
        let blocked = connection.lock().blocked.unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
        connection.wrote(true);
        assert_eq!(deadline(), Some(blocked + limits.stall), "nobody reads");
        connection.wrote(false);
        drop(busy);
        assert!(since() > begun);
        assert_eq!(deadline(), Some(since() + limits.idle), "idle");
        connection.heard();
        assert_eq!(deadline(), Some(since() + limits.head), "the next head");
    }
}
