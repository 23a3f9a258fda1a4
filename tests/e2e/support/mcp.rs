//! A minimal MCP client: JSON lines on the standard input and output of a server.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use std::{mem, thread};

use serde_json::{Value, json};

use super::wait;

/// Longest time that an answer may take here.
const LIMIT: Duration = Duration::from_mins(1);

/// A server that runs in a process group of its own, as clients start it.
pub(crate) struct Mcp {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    stderr: Arc<Mutex<String>>,
    next_id: u64,
}

/// What a tool answered.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) is_error: bool,
    pub(crate) value: Value,
    pub(crate) text: String,
}

impl Answer {
    /// Checks that the call succeeded and returns its structured result.
    pub(crate) fn ok(self) -> Value {
        assert!(!self.is_error, "{self:#?}");
        self.value
    }

    /// Checks that the call failed, with a message, and returns the message.
    pub(crate) fn error(&self) -> String {
        assert!(self.is_error, "{self:#?}");
        let error = self.value["error"].as_str().unwrap_or_default();
        assert!(
            !error.is_empty(),
            "no `error` in the structured result: {self:#?}"
        );
        error.to_owned()
    }
}

impl Mcp {
    /// Starts a server and initialises it.
    pub(crate) fn start(command: Command) -> Self {
        let mut server = Self::spawn(command);
        let answer = server.request(
            "initialize",
            json!({
                "protocolVersion": "2025-06-18",
                "capabilities": {},
                "clientInfo": {"name": "e2e", "version": "0"}
            }),
        );
        assert_eq!(answer["result"]["serverInfo"]["name"], "akosha", "{answer}");
        server.notify("notifications/initialized");
        server
    }

    /// Starts a server and says nothing to it.
    pub(crate) fn spawn(mut command: Command) -> Self {
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let stderr = Arc::new(Mutex::new(String::new()));
        let kept = Arc::clone(&stderr);
        let errors = BufReader::new(child.stderr.take().unwrap());
        thread::spawn(move || {
            for line in errors.lines().map_while(Result::ok) {
                let mut kept = kept.lock().unwrap();
                kept.push_str(&line);
                kept.push('\n');
            }
        });
        Self {
            stdin: child.stdin.take(),
            child,
            lines,
            stderr,
            next_id: 1,
        }
    }

    /// Returns the process.
    pub(crate) fn child(&self) -> &Child {
        &self.child
    }

    /// Returns what came on standard error so far.
    pub(crate) fn stderr(&self) -> String {
        self.stderr.lock().unwrap().clone()
    }

    /// Sends one line as it is.
    pub(crate) fn send_line(&mut self, line: &[u8]) {
        let stdin = self.stdin.as_mut().expect("the input is open");
        stdin.write_all(line).unwrap();
        stdin.write_all(b"\n").unwrap();
        stdin.flush().unwrap();
    }

    /// Sends a request and returns its id without waiting for the answer.
    pub(crate) fn send(&mut self, method: &str, params: Value) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        let mut request = json!({"jsonrpc": "2.0", "id": id, "method": method});
        request["params"] = params;
        self.send_line(request.to_string().as_bytes());
        id
    }

    fn notify(&mut self, method: &str) {
        self.send_line(
            json!({"jsonrpc": "2.0", "method": method})
                .to_string()
                .as_bytes(),
        );
    }

    /// Sends a request and returns the whole answer.
    pub(crate) fn request(&mut self, method: &str, params: Value) -> Value {
        let id = self.send(method, params);
        loop {
            let message = self.next_message(method);
            if message["id"] == id {
                return message;
            }
        }
    }

    /// Returns the next message. Whatever is on standard output has to be one.
    pub(crate) fn next_message(&mut self, waiting_for: &str) -> Value {
        match self.lines.recv_timeout(LIMIT) {
            Ok(line) => message(&line),
            Err(RecvTimeoutError::Timeout) => {
                panic!(
                    "no answer to {waiting_for} within {LIMIT:?}; stderr: {}",
                    self.stderr()
                )
            }
            Err(RecvTimeoutError::Disconnected) => {
                panic!(
                    "the server ended instead of answering {waiting_for}: {}",
                    self.stderr()
                )
            }
        }
    }

    /// Calls a tool.
    pub(crate) fn call(&mut self, tool: &str, arguments: Value) -> Answer {
        let mut params = json!({"name": tool});
        params["arguments"] = arguments;
        let answer = self.request("tools/call", params);
        let result = &answer["result"];
        assert!(result.is_object(), "{tool}: {answer}");
        Answer {
            is_error: result["isError"].as_bool().unwrap_or(false),
            value: result["structuredContent"].clone(),
            text: result["content"][0]["text"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
        }
    }

    /// Sends a call of a tool and does not wait; returns the request's id.
    pub(crate) fn send_call(&mut self, tool: &str, arguments: Value) -> u64 {
        let mut params = json!({"name": tool});
        params["arguments"] = arguments;
        self.send("tools/call", params)
    }

    /// Stores a memory.
    pub(crate) fn store(&mut self, memory_id: &str, text: &str) -> Value {
        let stored = self
            .call(
                "store_memory",
                json!({"memory_id": memory_id, "text": text}),
            )
            .ok();
        assert_eq!(stored["status"], "stored", "{stored}");
        stored
    }

    /// Stores many memories; all have to be stored.
    pub(crate) fn store_all(&mut self, memories: Vec<Value>) {
        let count = memories.len();
        let mut arguments = json!({});
        arguments["memories"] = Value::Array(memories);
        let answer = self.call("batch_store_memories", arguments).ok();
        assert_eq!(answer["status"], "completed", "{answer}");
        assert_eq!(answer["stored"], count, "{answer}");
    }

    /// Ends the server's input.
    pub(crate) fn close_input(&mut self) {
        drop(self.stdin.take());
    }

    /// Kills the server without any warning.
    #[cfg(unix)]
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Ends the server's input and waits for its end; returns what else it said.
    pub(crate) fn finish(&mut self) -> (ExitStatus, Vec<Value>) {
        self.close_input();
        self.ended()
    }

    /// Waits for the server's end; returns what else it said.
    pub(crate) fn ended(&mut self) -> (ExitStatus, Vec<Value>) {
        let status = wait(&mut self.child, Duration::from_secs(20));
        let (_, none) = channel();
        let rest = mem::replace(&mut self.lines, none);
        (status, rest.iter().map(|line| message(&line)).collect())
    }
}

fn message(line: &str) -> Value {
    let value: Value = serde_json::from_str(line)
        .unwrap_or_else(|error| panic!("not the protocol on standard output: {error}: {line}"));
    assert_eq!(
        value["jsonrpc"], "2.0",
        "not the protocol on standard output: {line}"
    );
    value
}

impl Drop for Mcp {
    fn drop(&mut self) {
        // It may have ended long ago.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
