//! The bodies of messages, read and weighed before anything parses them.
//!
//! A parsed message takes many times the room of its text: a number in a list of two bytes takes a
//! hundred. So what is read and what is parsed is bounded for each message, and over all of them.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use http_body::Body as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::problem;

/// Bytes of all bodies that are held at a time: 256 MiB.
const BYTES: usize = 256 << 20;

/// Most values of one message: five times those of a full batch with vectors of 384 numbers.
const MAX_VALUES: usize = 2_000_000;

/// Values that an object counts as: it takes so many times the room of a number.
const OBJECT: usize = 5;

/// Values of all messages that are at work at a time.
const VALUES: usize = 2 * MAX_VALUES;

/// How long a message waits until others have made room.
const WAIT: Duration = Duration::from_secs(10);

/// The room for messages. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Intake {
    bytes: Arc<Semaphore>,
    values: Arc<Semaphore>,
}

/// The room that a message takes, until this is dropped.
#[derive(Debug)]
pub(super) struct Room {
    _bytes: Option<OwnedSemaphorePermit>,
    _values: OwnedSemaphorePermit,
}

impl Default for Intake {
    fn default() -> Self {
        Self {
            bytes: Arc::new(Semaphore::new(BYTES)),
            values: Arc::new(Semaphore::new(VALUES)),
        }
    }
}

impl Intake {
    /// Reads a body of at most `most` bytes that can be parsed, or answers why it is not taken.
    pub(super) async fn read(
        &self,
        headers: &HeaderMap,
        mut body: Body,
        most: usize,
    ) -> Result<(Bytes, Room), Box<Response>> {
        let told = headers.get(header::CONTENT_LENGTH);
        let told = told.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        if told.is_some_and(|told| told > most as u64) {
            return Err(too_long(most).into());
        }
        let mut bytes = Vec::new();
        // What came is counted, not what is announced: an announcement takes no room.
        let mut held: Option<OwnedSemaphorePermit> = None;
        while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
            let Ok(frame) = frame else {
                let detail = "the body ended before its end";
                return Err(Box::new(problem::answer(StatusCode::BAD_REQUEST, detail)));
            };
            let Ok(data) = frame.into_data() else {
                continue;
            };
            if bytes.len() + data.len() > most {
                return Err(too_long(most).into());
            }
            let count = u32::try_from(data.len()).unwrap_or(u32::MAX);
            let Ok(more) = Arc::clone(&self.bytes).try_acquire_many_owned(count) else {
                return Err(no_room().into());
            };
            match &mut held {
                Some(held) => held.merge(more),
                None => held = Some(more),
            }
            bytes.extend_from_slice(&data);
        }
        let count = values(&bytes);
        if count > MAX_VALUES {
            let detail = format!(
                "the body has {count} values, and at most {MAX_VALUES} are taken at once; send \
                 it in parts"
            );
            let refused = problem::answer(StatusCode::PAYLOAD_TOO_LARGE, &detail);
            return Err(Box::new(refused));
        }
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.values).acquire_many_owned(count);
        let Ok(Ok(room)) = tokio::time::timeout(WAIT, room).await else {
            return Err(no_room().into());
        };
        let room = Room {
            _bytes: held,
            _values: room,
        };
        Ok((bytes.into(), room))
    }
}

/// Returns how many values a text of JSON has at most, by what begins or parts them outside strings.
fn values(text: &[u8]) -> usize {
    let (mut count, mut in_string, mut escaped) = (0, false, false);
    for byte in text {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = in_string,
            b'"' => in_string = !in_string,
            b'{' if !in_string => count += OBJECT,
            b',' | b':' | b'[' if !in_string => count += 1,
            _ => {}
        }
    }
    count
}

fn too_long(most: usize) -> Response {
    let detail = format!("the body is longer than {most} bytes");
    problem::answer(StatusCode::PAYLOAD_TOO_LARGE, &detail)
}

fn no_room() -> Response {
    let detail = "too many large requests are at work; ask again in a moment";
    let mut refused = problem::answer(StatusCode::SERVICE_UNAVAILABLE, detail);
    let soon = HeaderValue::from_static("5");
    refused.headers_mut().insert(header::RETRY_AFTER, soon);
    refused
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_counted_outside_strings() {
        for (text, expected) in [
            ("", 0),
            ("[1,2,3]", 3),
            (r#"{"a":{"b":[]}}"#, 2 * OBJECT + 3),
            (r#"{"a,[{:":"\",[\\"}"#, OBJECT + 1),
            (r#"["\\",1]"#, 2),
        ] {
            assert_eq!(values(text.as_bytes()), expected, "{text}");
        }
    }

    async fn status(intake: &Intake, body: Vec<u8>, most: usize) -> Result<Room, StatusCode> {
        let read = intake.read(&HeaderMap::new(), body.into(), most).await;
        read.map(|(_, room)| room).map_err(|answer| answer.status())
    }

    #[tokio::test]
    async fn messages_share_the_room_and_give_it_back() {
        let intake = Intake {
            bytes: Arc::new(Semaphore::new(100)),
            values: Arc::new(Semaphore::new(100)),
        };
        let first = status(&intake, vec![b' '; 60], 80).await.unwrap();
        let refused = status(&intake, vec![b' '; 60], 80).await.unwrap_err();
        assert_eq!(refused, StatusCode::SERVICE_UNAVAILABLE);
        let long = status(&intake, vec![b' '; 90], 80).await.unwrap_err();
        assert_eq!(long, StatusCode::PAYLOAD_TOO_LARGE);
        drop(first);
        assert!(status(&intake, vec![b' '; 60], 80).await.is_ok());
        let many = vec![b','; MAX_VALUES + 1];
        let many = status(&Intake::default(), many, usize::MAX).await;
        assert_eq!(many.unwrap_err(), StatusCode::PAYLOAD_TOO_LARGE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_waits_for_others_and_not_for_ever() {
        let intake = Intake::default();
        let full = vec![b','; MAX_VALUES];
        let first = status(&intake, full.clone(), usize::MAX).await.unwrap();
        let _second = status(&intake, full.clone(), usize::MAX).await.unwrap();
        let refused = status(&intake, b"[]".to_vec(), 10).await.unwrap_err();
        assert_eq!(refused, StatusCode::SERVICE_UNAVAILABLE);
        let (waited, ()) = tokio::join!(status(&intake, full, usize::MAX), async {
            tokio::time::sleep(WAIT / 2).await;
            drop(first);
        });
        assert!(waited.is_ok());
    }
}
