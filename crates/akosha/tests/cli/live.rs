//! A server that runs while a test asks it things.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStderr};

use crate::support::{Sandbox, eventually};

/// A running `akosha serve`; killed at the end of the test.
pub(crate) struct Live {
    child: Child,
    errors: BufReader<ChildStderr>,
    address: String,
}

/// What a request was answered with.
pub(crate) struct Got {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Live {
    /// Starts the server of a sandbox on a free port, and waits until it is ready.
    pub(crate) fn start(sandbox: &Sandbox) -> Self {
        let mut command = sandbox.command(&["serve", "--listen", "127.0.0.1:0"]);
        let mut child = command.spawn().unwrap();
        let mut errors = BufReader::new(child.stderr.take().unwrap());
        let address = loop {
            let mut line = String::new();
            assert!(errors.read_line(&mut line).unwrap() > 0, "the server ended");
            if let Some(address) = line.strip_prefix("listening on http://") {
                break address.trim().to_owned();
            }
        };
        let live = Self {
            child,
            errors,
            address,
        };
        eventually("the server is ready", || {
            (live.get("/ready").status == 200).then_some(())
        });
        live
    }

    /// Asks for a path.
    pub(crate) fn get(&self, path: &str) -> Got {
        self.send(&format!("GET {path}"), "", "")
    }

    /// Calls a tool over MCP.
    pub(crate) fn call(&self, tool: &str, arguments: &str) -> Got {
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"{tool}","arguments":{arguments}}}}}"#
        );
        let headers =
            "Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n";
        self.send("POST /mcp", headers, &body)
    }

    fn send(&self, what: &str, headers: &str, body: &str) -> Got {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(
            stream,
            "{what} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{headers}Content-Length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        )
        .unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        Got {
            status: head.split(' ').nth(1).unwrap().parse().unwrap(),
            head: head.to_ascii_lowercase(),
            body: body.to_owned(),
        }
    }

    /// Ends the server and returns what it said on standard error after where it listens.
    pub(crate) fn said(mut self) -> String {
        self.child.kill().unwrap();
        let mut text = String::new();
        self.errors.read_to_string(&mut text).unwrap();
        text
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
