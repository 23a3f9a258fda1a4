//! Tells when an input has ended, before its reader is done with what it read.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, ReadBuf};
use tokio_util::sync::CancellationToken;

/// An input that cancels a token at its end, or where it fails.
pub(crate) struct EndOfInput<R> {
    input: R,
    ended: CancellationToken,
}

impl<R> EndOfInput<R> {
    /// Wraps `input`.
    pub(crate) fn new(input: R, ended: CancellationToken) -> Self {
        Self { input, ended }
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for EndOfInput<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.input).poll_read(context, buffer);
        let has_ended = match &polled {
            Poll::Ready(Ok(())) => buffer.filled().len() == before && buffer.remaining() > 0,
            Poll::Ready(Err(_)) => true,
            Poll::Pending => false,
        };
        if has_ended {
            self.ended.cancel();
        }
        polled
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    #[tokio::test]
    async fn the_end_is_told_and_nothing_before_it() {
        let ended = CancellationToken::new();
        let mut input = EndOfInput::new(&b"ab"[..], ended.clone());
        let mut buffer = [0; 2];
        input.read_exact(&mut buffer).await.unwrap();
        assert!(!ended.is_cancelled());
        assert_eq!(input.read(&mut buffer).await.unwrap(), 0);
        assert!(ended.is_cancelled());
    }
}
