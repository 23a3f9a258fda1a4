//! What an assistant says on standard input: JSON, read up to a limit and a deadline.

use std::io::{self, IsTerminal, Read};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Map, Value};

/// Most bytes that are read: 4 MiB.
const MAX_BYTES: usize = 4 << 20;

/// How long the end of the input is waited for: some assistants never close it.
const DEADLINE: Duration = Duration::from_millis(200);

/// Bytes of one read.
const CHUNK: usize = 64 << 10;

/// A hook's JSON object; empty where none came.
#[derive(Debug, Default)]
pub(crate) struct Payload(Map<String, Value>);

impl Payload {
    /// Returns a text field, unless it is missing, blank or something else.
    pub(crate) fn text(&self, key: &str) -> Option<String> {
        let text = self.0.get(key)?.as_str()?.trim();
        (!text.is_empty()).then(|| text.to_owned())
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok().map(Self)
    }
}

/// Reads standard input; returns what there is when an object is complete, the input ends, the
/// limit is reached or the deadline passes.
pub(crate) fn read() -> Payload {
    if io::stdin().is_terminal() {
        return Payload::default();
    }
    let (sender, receiver) = mpsc::sync_channel(4);
    // The thread may wait for ever; it ends with the process.
    let reader = thread::Builder::new()
        .name("hook-input".into())
        .spawn(move || forward(io::stdin().lock(), &sender));
    match reader {
        Ok(_) => collect(&receiver, Instant::now() + DEADLINE),
        Err(_) => Payload::default(),
    }
}

fn forward(mut input: impl Read, sender: &SyncSender<Vec<u8>>) {
    let mut chunk = vec![0; CHUNK];
    loop {
        match input.read(&mut chunk) {
            Ok(0) => return,
            Ok(length) => {
                let bytes = chunk.get(..length).unwrap_or_default().to_vec();
                if sender.send(bytes).is_err() {
                    return;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

fn collect(receiver: &Receiver<Vec<u8>>, deadline: Instant) -> Payload {
    let mut bytes = Vec::new();
    while bytes.len() <= MAX_BYTES {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        let Ok(chunk) = receiver.recv_timeout(left) else {
            break;
        };
        // Only the new part is looked at: looking back over much white space each time is slow.
        let may_be_whole = chunk.trim_ascii_end().ends_with(b"}");
        bytes.extend(chunk);
        if may_be_whole && let Some(payload) = Payload::parse(&bytes) {
            return payload;
        }
    }
    Payload::parse(&bytes).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collected(chunks: &[&[u8]], hold: bool) -> Payload {
        let (sender, receiver) = mpsc::sync_channel(16);
        for chunk in chunks {
            sender.send(chunk.to_vec()).unwrap();
        }
        let kept_open = hold.then_some(sender);
        let payload = collect(&receiver, Instant::now() + Duration::from_secs(20));
        drop(kept_open);
        payload
    }

    #[test]
    fn an_object_in_pieces_is_read_although_the_input_stays_open() {
        let payload = collected(&[b"{\"cwd\": \"/a\"", b", \"x\": {}", b"}\n"], true);
        assert_eq!(payload.text("cwd").as_deref(), Some("/a"));
        assert_eq!(payload.text("x"), None);
    }

    #[test]
    fn garbage_is_nothing() {
        for bytes in [
            &b""[..],
            b"{",
            b"[1]",
            b"\xff\xfe",
            b"null",
            b"{\"cwd\": 1}",
        ] {
            assert_eq!(collected(&[bytes], false).text("cwd"), None);
        }
        let much = vec![b'['; CHUNK];
        let chunks: Vec<&[u8]> = std::iter::repeat_n(much.as_slice(), 10).collect();
        assert_eq!(collected(&chunks, false).text("cwd"), None);
    }

    #[test]
    fn an_open_silent_input_ends_at_the_deadline() {
        let (sender, receiver) = mpsc::sync_channel(1);
        let payload = collect(&receiver, Instant::now() + Duration::from_millis(5));
        assert_eq!(payload.text("cwd"), None);
        drop(sender);
    }
}
