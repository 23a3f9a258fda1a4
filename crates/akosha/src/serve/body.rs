//! The body of a request that comes slowly: one that moves lives, one that stalls or trickles ends.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::BoxError;
use axum::body::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep};

use super::connection::Limits;

/// Bytes of a body that have to come in a second, on average.
const LEAST: u64 = 1024;

/// Whether a body stalled: told where the answer is made.
#[derive(Debug, Clone, Default)]
pub(super) struct Stalled(Arc<AtomicBool>);

impl Stalled {
    /// Returns whether it did.
    pub(super) fn happened(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// A body that fails where nothing of it comes for too long, or too little.
pub(super) struct Patient {
    body: Incoming,
    patience: Duration,
    /// In which it may come as slowly as it likes.
    slow: Duration,
    /// When it was asked for first.
    begun: Option<Instant>,
    /// Bytes that came.
    came: u64,
    /// When patience ends; set while the body is waited for.
    ends: Option<Pin<Box<Sleep>>>,
    stalled: Stalled,
}

impl Patient {
    /// Creates the body; `stalled` says later whether it came too slowly.
    pub(super) fn new(body: Incoming, limits: &Limits, stalled: Stalled) -> Self {
        Self {
            body,
            patience: limits.stall,
            slow: limits.slow,
            begun: None,
            came: 0,
            ends: None,
            stalled,
        }
    }
}

/// A body came too slowly.
#[derive(Debug, thiserror::Error)]
#[error("the body of the request stalled")]
struct Stall;

impl Body for Patient {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        let now = Instant::now();
        let begun = *this.begun.get_or_insert(now);
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) {
            this.ends = None;
            if let Some(Ok(frame)) = &frame
                && let Some(data) = frame.data_ref()
            {
                this.came += data.len() as u64;
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let fast_enough = this.slow.max(Duration::from_secs(this.came / LEAST));
        let until = (now + this.patience).min(begun + fast_enough);
        let ends = this
            .ends
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
        match ends.as_mut().poll(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(()) => {
                this.stalled.0.store(true, Ordering::Release);
                Poll::Ready(Some(Err(Stall.into())))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A body of an answer that keeps something until it is sent.
pub(super) struct Held<T> {
    body: axum::body::Body,
    _kept: T,
}

impl<T> Held<T> {
    /// Creates the body that keeps `kept`.
    pub(super) fn new(body: axum::body::Body, kept: T) -> Self {
        Self { body, _kept: kept }
    }
}

impl<T: Unpin> Body for Held<T> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.get_mut().body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
