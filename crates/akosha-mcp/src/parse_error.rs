//! Answers lines that are no JSON with the error that JSON-RPC has for them, -32700.
//!
//! rmcp passes over such a line in silence, since a peer that echoes what it gets would be answered
//! for ever (<https://github.com/modelcontextprotocol/rust-sdk/issues/938>). What is sent here is
//! JSON, so no echo of it is answered again; and whoever writes a client sees what went wrong.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::{io, str};

use rmcp::RoleServer;
use rmcp::model::ErrorData;
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use serde::de::IgnoredAny;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::TaskTracker;

/// Longest line in bytes that is read whole: of a longer one the ends tell. A batch of a thousand
/// vectors would be parsed twice otherwise.
const READ_WHOLE: usize = 64 << 10;

/// Most answers that are on their way at once. A client that does not read them costs no more
/// memory, however many bad lines it writes: the rest is a number.
const ANSWERS: usize = 16;

/// How many lines were no JSON and are not answered yet.
pub(crate) type BadLines = Arc<Semaphore>;

/// Watches an input for lines that are no JSON, and passes everything on.
pub(crate) struct LineWatch<R> {
    input: R,
    line: Line,
    bad: BadLines,
}

/// The line that is being read.
#[derive(Default)]
struct Line {
    /// Its start, up to [`READ_WHOLE`] bytes.
    start: Vec<u8>,
    /// Its last byte that is no white space, where `start` does not hold it.
    end: Option<u8>,
}

impl Line {
    fn push(&mut self, piece: &[u8]) {
        let room = READ_WHOLE - self.start.len();
        let (kept, rest) = piece.split_at(room.min(piece.len()));
        self.start.extend_from_slice(kept);
        let end = rest.iter().rfind(|byte| !byte.is_ascii_whitespace());
        self.end = end.copied().or(self.end);
    }

    /// Ends the line and returns whether it is no JSON. An empty one is nothing.
    fn end(&mut self) -> bool {
        let start = self.start.trim_ascii();
        let start = start.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(start);
        let is_bad = match (start.first(), self.end) {
            (None, None) => false,
            (_, None) => {
                str::from_utf8(start).is_err()
                    || serde_json::from_slice::<IgnoredAny>(start).is_err()
            }
            (first, Some(end)) => !matches!((first, end), (Some(b'{'), b'}') | (Some(b'['), b']')),
        };
        self.start.clear();
        self.end = None;
        is_bad
    }
}

impl<R> LineWatch<R> {
    /// Wraps `input`; also returns what counts the lines.
    pub(crate) fn new(input: R) -> (Self, BadLines) {
        let bad = Arc::new(Semaphore::new(0));
        let watch = Self {
            input,
            line: Line::default(),
            bad: Arc::clone(&bad),
        };
        (watch, bad)
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for LineWatch<R> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let polled = Pin::new(&mut this.input).poll_read(context, buffer);
        let mut rest = buffer.filled().get(before..).unwrap_or_default();
        while let Some(at) = memchr::memchr(b'\n', rest) {
            let (piece, after) = rest.split_at(at);
            this.line.push(piece);
            if this.line.end() {
                this.bad.add_permits(1);
            }
            rest = after.get(1..).unwrap_or_default();
        }
        this.line.push(rest);
        polled
    }
}

/// A transport that answers what its input counts as bad.
pub(crate) struct Answering<T> {
    transport: T,
    bad: BadLines,
    /// Answers on their way: to wait for one in [`Transport::receive`] would lose it where that is
    /// cancelled.
    answers: TaskTracker,
    /// Free places for them.
    places: Arc<Semaphore>,
}

impl<T: Transport<RoleServer>> Answering<T> {
    /// Wraps `transport`, which reads the input that `bad` belongs to.
    pub(crate) fn new(transport: T, bad: BadLines) -> Self {
        Self {
            transport,
            bad,
            answers: TaskTracker::new(),
            places: Arc::new(Semaphore::new(ANSWERS)),
        }
    }

    fn answer(&mut self, place: OwnedSemaphorePermit) {
        let error = ErrorData::parse_error("a line is no JSON", None);
        let sending = self
            .transport
            .send(TxJsonRpcMessage::<RoleServer>::error(error, None));
        self.answers.spawn(async move {
            // The peer is gone where this fails, and the transport finds out.
            let _ = sending.await;
            drop(place);
        });
    }
}

impl<T: Transport<RoleServer>> Transport<RoleServer> for Answering<T> {
    type Error = T::Error;

    fn send(
        &mut self,
        item: TxJsonRpcMessage<RoleServer>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        self.transport.send(item)
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        loop {
            let message = tokio::select! {
                biased;
                place = next_place(&self.places, &self.bad) => {
                    self.answer(place?);
                    continue;
                }
                message = self.transport.receive() => message,
            };
            if message.is_none() {
                while self.bad.available_permits() > 0 {
                    let place = next_place(&self.places, &self.bad).await?;
                    self.answer(place);
                }
                self.answers.close();
                self.answers.wait().await;
            }
            return message;
        }
    }

    async fn close(&mut self) -> Result<(), Self::Error> {
        self.transport.close().await
    }
}

/// Waits for a free place and a bad line, and counts the line as answered. `None` never comes: both
/// stay open.
async fn next_place(places: &Arc<Semaphore>, bad: &Semaphore) -> Option<OwnedSemaphorePermit> {
    let place = Arc::clone(places).acquire_owned().await.ok()?;
    bad.acquire().await.ok()?.forget();
    Some(place)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rmcp::transport::async_rw::AsyncRwTransport;
    use tokio::io::{AsyncBufReadExt, BufReader, duplex};

    use super::*;

    #[tokio::test]
    async fn a_client_that_does_not_read_has_few_answers_waiting() {
        const LINES: usize = 1000;
        let input = "x\n".repeat(LINES);
        let (input, bad) = LineWatch::new(io::Cursor::new(input.into_bytes()));
        let (output, client) = duplex(64);
        let transport = AsyncRwTransport::new_server(input, output);
        let mut answering = Answering::new(transport, bad);
        let waited = tokio::time::timeout(Duration::from_millis(100), answering.receive()).await;
        assert!(waited.is_err(), "answers went where nobody reads");
        assert_eq!(answering.answers.len(), ANSWERS);

        // Once it reads, each line is answered.
        let read = async {
            let mut lines = BufReader::new(client).lines();
            for _ in 0..LINES {
                let line = lines.next_line().await.unwrap().unwrap();
                assert!(line.contains("-32700"), "{line}");
            }
        };
        let (message, ()) = tokio::join!(answering.receive(), read);
        assert!(message.is_none());
    }

    fn is_bad(line: &[u8], piece: usize) -> bool {
        let mut read = Line::default();
        line.chunks(piece).for_each(|piece| read.push(piece));
        let is_bad = read.end();
        assert!(!read.end(), "something is left of the line");
        is_bad
    }

    #[test]
    fn lines_that_are_no_json_are_told_however_they_arrive() {
        let long = |inner: &str| format!("[{}{inner}]", "1,".repeat(READ_WHOLE));
        for piece in [1, 7, 1 << 20] {
            for good in [
                "",
                " \r",
                "{}\r",
                "[1]",
                "42",
                "\u{feff}{}",
                &long("2"),
                &long("  2"),
            ] {
                assert!(!is_bad(good.as_bytes(), piece), "{good:.40}");
            }
            let open = "[".repeat(2 * READ_WHOLE);
            let cut = long("2").replace(']', " \r");
            for bad in ["x", "{", "{]", "{a: 1}", "{} {}", "\u{feff}x", &open, &cut] {
                assert!(is_bad(bad.as_bytes(), piece), "{bad:.40}");
            }
            assert!(is_bad(b"\"\xff\"", piece));
        }
    }
}
