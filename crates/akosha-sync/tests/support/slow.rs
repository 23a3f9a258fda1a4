//! A slow line: passes connections on to a server as fast as it is told, with small buffers.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test binary includes this file and uses a part"
)]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

/// How a line carries bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line {
    Fast,
    /// So many bytes in a second, in each direction.
    Slow(u64),
    /// Stops for good after so many bytes from the client.
    StopsAfter(u64),
    /// Stops for good after so many bytes to the client.
    AnswerStopsAfter(u64),
    /// Carries everything to the server and nothing back.
    Silent,
}

/// A line before a server; it ends when dropped.
pub struct SlowLine {
    pub endpoint: String,
    line: Arc<Mutex<Line>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for SlowLine {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl SlowLine {
    /// Lays a line, fast at first, before the server at `http://ADDRESS`.
    pub fn before(endpoint: &str) -> Self {
        let server: SocketAddr = endpoint.strip_prefix("http://").unwrap().parse().unwrap();
        let socket = TcpSocket::new_v4().unwrap();
        // What a real line holds, not the megabytes that loopback takes.
        socket.set_recv_buffer_size(32 << 10).unwrap();
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let listener = socket.listen(64).unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let line = Arc::new(Mutex::new(Line::Fast));
        let task = tokio::spawn({
            let line = Arc::clone(&line);
            async move {
                while let Ok((client, _)) = listener.accept().await {
                    tokio::spawn(carry(client, server, Arc::clone(&line)));
                }
            }
        });
        Self {
            endpoint,
            line,
            task,
        }
    }

    /// Changes how bytes are carried from now on.
    pub fn set(&self, line: Line) {
        *self.line.lock().unwrap() = line;
    }
}

async fn carry(client: TcpStream, server: SocketAddr, line: Arc<Mutex<Line>>) {
    let server = TcpStream::connect(server).await.unwrap();
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let there = pass(from_client, to_server, Arc::clone(&line), true);
    let back = pass(from_server, to_client, line, false);
    tokio::join!(there, back);
}

async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    line: Arc<Mutex<Line>>,
    is_request: bool,
) {
    const PIECE: usize = 8 << 10;
    let mut piece = vec![0; PIECE];
    let mut carried = 0;
    loop {
        let now = *line.lock().unwrap();
        let stops = match now {
            Line::StopsAfter(most) => is_request && carried >= most,
            Line::AnswerStopsAfter(most) => !is_request && carried >= most,
            _ => false,
        };
        if stops {
            // The connection stays open, and nothing is read from it.
            return std::future::pending().await;
        }
        let Ok(count @ 1..) = from.read(&mut piece).await else {
            let _ = to.shutdown().await;
            return;
        };
        if *line.lock().unwrap() == Line::Silent && !is_request {
            return std::future::pending().await;
        }
        if let Line::Slow(rate) = now {
            let seconds = count as f64 / rate as f64;
            tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
        }
        if to.write_all(&piece[..count]).await.is_err() {
            return;
        }
        carried += count as u64;
    }
}
