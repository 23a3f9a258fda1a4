//! Another Akosha that takes memories over HTTP.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use super::Home;

/// A running `akosha serve`.
pub(crate) struct Server {
    home: Home,
    child: Child,
    port: u16,
}

impl Server {
    /// Starts a server on a free port.
    pub(crate) fn start(system_id: &str) -> Self {
        Self::of(Home::new(system_id), 0)
    }

    fn of(home: Home, port: u16) -> Self {
        let listen = format!("127.0.0.1:{port}");
        // The server opens its store when it is first asked; the tests look into it before.
        home.ok(&["list"]);
        let mut child = home
            .command(&["serve", "--listen", &listen])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let errors = BufReader::new(child.stderr.take().unwrap());
        let (sender, receiver) = channel();
        thread::spawn(move || {
            // Read to the end, so that the server never waits for a full pipe.
            for line in errors.lines().map_while(Result::ok) {
                if let Some(port) = port_of(&line) {
                    let _ = sender.send(port);
                }
            }
        });
        let port = receiver.recv_timeout(Duration::from_secs(30));
        Self {
            home,
            child,
            port: port.expect("the server says on which port it listens"),
        }
    }

    /// Returns the address of its MCP endpoint.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/mcp", self.port)
    }

    /// Returns its home.
    pub(crate) fn home(&self) -> &Home {
        &self.home
    }
}

fn port_of(line: &str) -> Option<u16> {
    let (_, rest) = line.split_once("127.0.0.1:")?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
