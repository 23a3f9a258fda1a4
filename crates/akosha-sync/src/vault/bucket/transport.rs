//! How requests travel to a service. Their limit is a stall: a request fails where no byte has
//! moved for so long, and goes on, however long it takes, while bytes move.
//!
//! A body is handed to the connection in small pieces, and each notes the time. What was handed
//! over may still lie in the buffers of this machine, so more time is given by what a slow line
//! needs for them. On Linux the system ends the connection before: once the other side has
//! acknowledged nothing for the limit.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody,
    HttpResponse, HttpResponseBody, HttpService,
};
use tokio::time::{Instant, Sleep, sleep, sleep_until};

use crate::vault::classify::METADATA_HOSTS;

/// Longest time until a connection stands.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Longest time for an answer of the service that gives a machine in a cloud its credentials: it
/// is one hop away, or not there at all.
const METADATA_TIMEOUT: Duration = Duration::from_secs(2);

/// Longest time until a connection to that service stands. It is shorter, so that a service that
/// is not there is told from one that is slow.
const METADATA_CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// Bytes of a body that are handed over at once: two records of TLS.
const PIECE: usize = 32 << 10;

/// Most bytes of a body that lie in buffers of this machine: what Linux gives a socket at most
/// (`net.ipv4.tcp_wmem`).
const BUFFERED: u64 = 4 << 20;

/// Bytes in a second on the slowest line for which those buffers are waited for.
const SLOWEST: u64 = 32 << 10;

/// Connects stores to their services.
#[derive(Debug, Clone)]
pub(super) struct Transport {
    client: reqwest::Client,
    /// Asks for credentials of the machine.
    metadata: reqwest::Client,
    stall: Duration,
}

impl Transport {
    /// Creates the transport whose requests fail where nothing moves for `stall`.
    ///
    /// # Errors
    /// Fails where this machine's TLS cannot be set up.
    pub(super) fn new(stall: Duration) -> Result<Self, reqwest::Error> {
        let client = builder(stall).connect_timeout(CONNECT_TIMEOUT).build()?;
        let metadata = builder(stall)
            .connect_timeout(METADATA_CONNECT_TIMEOUT)
            // It is none of the machine's own where a proxy asks it.
            .no_proxy()
            .build()?;
        Ok(Self {
            client,
            metadata,
            stall,
        })
    }
}

/// Returns what all clients have in common.
fn builder(stall: Duration) -> reqwest::ClientBuilder {
    let builder = reqwest::Client::builder()
        .user_agent(concat!("akosha/", env!("CARGO_PKG_VERSION")))
        // No service sends a signed request elsewhere, and the address may hold a signature.
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .http1_only()
        // An object's size is that of its stored bytes.
        .no_gzip()
        .no_brotli()
        .no_zstd()
        .no_deflate();
    #[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
    let builder = builder.tcp_user_timeout(stall);
    builder
}

impl HttpConnector for Transport {
    fn connect(&self, _options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

#[async_trait]
impl HttpService for Transport {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (parts, body) = request.into_parts();
        let url = reqwest::Url::parse(&parts.uri.to_string())
            .map_err(|error| HttpError::new(HttpErrorKind::Request, error))?;
        let (client, stall) = match url.host_str() {
            Some(host) if METADATA_HOSTS.contains(&host) => {
                (&self.metadata, METADATA_TIMEOUT.min(self.stall))
            }
            _ => (&self.client, self.stall),
        };
        let moved = Arc::new(Moved::new(stall));
        let mut outgoing = reqwest::Request::new(parts.method, url);
        *outgoing.headers_mut() = parts.headers;
        *outgoing.body_mut() = Some(match body.content_length() {
            0 => Bytes::new().into(),
            _ => reqwest::Body::wrap(Outgoing {
                body,
                rest: Bytes::new(),
                moved: Arc::clone(&moved),
            }),
        });
        let answer = tokio::select! {
            answer = client.execute(outgoing) => answer.map_err(of_client)?,
            () = moved.stalls() => return Err(stalled(stall)),
        };
        let (parts, body) = http::Response::<reqwest::Body>::from(answer).into_parts();
        let body = Incoming {
            body,
            stall,
            timer: Box::pin(sleep(stall)),
            waits: false,
        };
        Ok(HttpResponse::from_parts(parts, HttpResponseBody::new(body)))
    }
}

/// When the last piece of a body was handed over, and how much of it there was.
#[derive(Debug)]
struct Moved {
    stall: Duration,
    last: Mutex<(Instant, u64)>,
}

impl Moved {
    fn new(stall: Duration) -> Self {
        Self {
            stall,
            last: Mutex::new((Instant::now(), 0)),
        }
    }

    fn note(&self, bytes: usize) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        *last = (Instant::now(), last.1 + bytes as u64);
    }

    /// Returns until when something must happen.
    fn deadline(&self) -> Instant {
        let (at, bytes) = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        at + self.stall + Duration::from_millis(bytes.min(BUFFERED) * 1000 / SLOWEST)
    }

    /// Ends once nothing has moved for too long.
    async fn stalls(&self) {
        loop {
            let deadline = self.deadline();
            if deadline <= Instant::now() {
                return;
            }
            sleep_until(deadline).await;
        }
    }
}

/// A body on its way out.
struct Outgoing {
    body: HttpRequestBody,
    /// What is left of the last frame.
    rest: Bytes,
    moved: Arc<Moved>,
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        let this = &mut *self;
        while this.rest.is_empty() {
            match Pin::new(&mut this.body).poll_frame(context) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => this.rest = data,
                    Err(frame) => return Poll::Ready(Some(Ok(frame))),
                },
                other => return other,
            }
        }
        let piece = this.rest.split_to(PIECE.min(this.rest.len()));
        this.moved.note(piece.len());
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let rest = self.rest.len() as u64;
        SizeHint::with_exact(rest + self.body.size_hint().lower())
    }
}

/// A body on its way in.
struct Incoming {
    body: reqwest::Body,
    stall: Duration,
    timer: Pin<Box<Sleep>>,
    /// Whether the timer runs: a reader that is slow itself is not what is limited.
    waits: bool,
}

impl Body for Incoming {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        let this = &mut *self;
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(context) {
            this.waits = false;
            return Poll::Ready(frame.map(|frame| frame.map_err(of_client)));
        }
        if !this.waits {
            this.waits = true;
            this.timer.as_mut().reset(Instant::now() + this.stall);
        }
        match this.timer.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Some(Err(stalled(this.stall)))),
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Nothing has moved for too long.
#[derive(Debug, thiserror::Error)]
#[error("nothing moved for {} s", .0.as_secs_f64())]
struct Stalled(Duration);

fn stalled(limit: Duration) -> HttpError {
    HttpError::new(HttpErrorKind::Timeout, Stalled(limit))
}

fn of_client(error: reqwest::Error) -> HttpError {
    let kind = if error.is_connect() {
        HttpErrorKind::Connect
    } else if error.is_timeout() {
        HttpErrorKind::Timeout
    } else if error.is_decode() {
        HttpErrorKind::Decode
    } else {
        HttpErrorKind::Interrupted
    };
    // The address may hold a signature.
    HttpError::new(kind, error.without_url())
}
