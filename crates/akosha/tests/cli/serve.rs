//! `akosha serve`: what the binary adds to the server, which has tests of its own.

use crate::support::Sandbox;

#[test]
fn only_loopback_addresses_are_listened_on() {
    let sandbox = Sandbox::new();
    for listen in ["0.0.0.0:0", "nonsense", "127.0.0.1:port"] {
        let (kind, message) = sandbox.error(&["serve", "--listen", listen], 2);
        assert_eq!(kind, "config");
        assert!(message.contains(listen), "{message}");
    }
}

#[cfg(unix)]
#[test]
fn it_says_where_it_listens_and_ends_when_asked() {
    use std::io::{BufRead, BufReader};

    use rustix::process::{Pid, Signal, kill_process};

    let sandbox = Sandbox::new();
    let mut server = sandbox
        .command(&["serve", "--listen", "127.0.0.1:0"])
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut errors = BufReader::new(server.stderr.take().unwrap());
    errors.read_line(&mut line).unwrap();
    assert!(line.starts_with("listening on http://127.0.0.1:"), "{line}");
    kill_process(Pid::from_child(&server), Signal::TERM).unwrap();
    assert_eq!(server.wait().unwrap().code(), Some(0));
}

#[cfg(unix)]
mod running {
    use std::collections::HashSet;
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::TcpStream;
    use std::process::{Child, ChildStderr};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;
    use std::time::Duration;

    use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit};
    use serde_json::Value;

    use crate::support::{Sandbox, eventually};

    /// A server that is killed at the end of the test.
    struct Server {
        child: Child,
        port: u16,
        said: Vec<String>,
        errors: BufReader<ChildStderr>,
    }

    impl Drop for Server {
        fn drop(&mut self) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }

    impl Server {
        fn start(sandbox: &Sandbox, listen: &str) -> Self {
            let mut child = sandbox
                .command(&["serve", "--listen", listen])
                .spawn()
                .unwrap();
            let mut errors = BufReader::new(child.stderr.take().unwrap());
            let mut said = Vec::new();
            let port = loop {
                let mut line = String::new();
                assert!(errors.read_line(&mut line).unwrap() > 0, "ended: {said:?}");
                if line.starts_with("listening on http") {
                    break line.trim().rsplit(':').next().unwrap().parse().unwrap();
                }
                said.push(line);
            };
            Self {
                child,
                port,
                said,
                errors,
            }
        }

        fn signal(&self, signal: Signal) {
            kill_process(Pid::from_child(&self.child), signal).unwrap();
        }

        /// Sends a request and returns status and body; `None` where the connection broke.
        fn ask(&self, what: &str, token: Option<&str>, body: &str) -> Option<(u16, String)> {
            ask(self.port, what, token, body)
        }
    }

    fn ask(port: u16, what: &str, token: Option<&str>, body: &str) -> Option<(u16, String)> {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
        let token = token.map_or(String::new(), |token| {
            format!("Authorization: Bearer {token}\r\n")
        });
        let request = format!(
            "{what} HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n{token}\
             Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
    }

    fn store(port: u16, id: &str) -> Option<bool> {
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"store_memory","arguments":{{"memory_id":"{id}","text":"text of {id}"}}}}}}"#
        );
        let (status, body) = ask(port, "POST /mcp", None, &body)?;
        let answer: Value = serde_json::from_str(&body).ok()?;
        let stored = &answer["result"]["structuredContent"]["status"];
        Some(status == 200 && stored == "stored")
    }

    #[test]
    fn a_public_address_needs_a_token_and_then_each_request_does() {
        let sandbox = Sandbox::new();
        let (kind, message) = sandbox.error(&["serve", "--listen", "0.0.0.0:0"], 2);
        assert_eq!(kind, "config");
        assert!(message.contains("no token"), "{message}");
        let made = sandbox.json(&["token", "create", "--name", "ci", "--scope", "write"], 0);
        let token = made["token"].as_str().unwrap();
        let server = Server::start(&sandbox, "0.0.0.0:0");
        let warned = server.said.iter().any(|line| line.contains("in the clear"));
        assert!(warned, "{:?}", server.said);
        assert_eq!(server.ask("GET /status", None, "").unwrap().0, 401);
        let (status, body) = server.ask("GET /status", Some(token), "").unwrap();
        assert_eq!(status, 200, "{body}");
        let told: Value = serde_json::from_str(&body).unwrap();
        assert!(
            told["warnings"][0]
                .as_str()
                .unwrap()
                .contains("in the clear")
        );
        // Revoked by another process while it runs.
        sandbox.run(&["token", "revoke", "ci"]).ends(0);
        eventually("the token is refused", || {
            let (status, _) = server.ask("GET /status", Some(token), "")?;
            (status == 401).then_some(())
        });
        let mut server = server;
        server.signal(Signal::TERM);
        let mut said = String::new();
        server.errors.read_to_string(&mut said).unwrap();
        assert!(!said.contains(token), "{said}");
        assert_eq!(server.child.wait().unwrap().code(), Some(0));
        // What was made is good for nobody now.
        sandbox.error(&["serve", "--listen", "0.0.0.0:0"], 2);
    }

    #[test]
    fn a_name_for_others_needs_a_token_on_loopback_too() {
        let sandbox = Sandbox::new();
        let mut named = sandbox.command(&["serve", "--listen", "127.0.0.1:0"]);
        named.env("AKOSHA_ALLOWED_HOSTS", "akosha.example");
        let ended = named.output().unwrap();
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert_eq!(ended.status.code(), Some(2), "{said}");
        assert!(said.contains("`akosha.example`"), "{said}");
        assert!(said.contains("akosha token create"), "{said}");
    }

    #[test]
    fn what_was_acknowledged_under_load_is_there_after_a_signal() {
        let sandbox = Sandbox::with_vault();
        let mut server = Server::start(&sandbox, "127.0.0.1:0");
        let port = server.port;
        let stopped = Arc::new(AtomicBool::new(false));
        let clients: Vec<_> = (0..8)
            .map(|client| {
                let stopped = Arc::clone(&stopped);
                thread::spawn(move || {
                    let mut acknowledged = Vec::new();
                    for n in 0.. {
                        let id = format!("c{client}-{n}");
                        match store(port, &id) {
                            Some(true) => acknowledged.push(id),
                            // It stops, or is gone.
                            _ if stopped.load(Ordering::SeqCst) => break,
                            other => panic!("{id}: {other:?}"),
                        }
                    }
                    acknowledged
                })
            })
            .collect();
        thread::sleep(Duration::from_millis(1500));
        stopped.store(true, Ordering::SeqCst);
        server.signal(Signal::TERM);
        assert_eq!(server.child.wait().unwrap().code(), Some(0));
        let exported = sandbox.path("all.jsonl");
        let path = exported.display().to_string();
        sandbox.run(&["export", "--format", "jsonl", &path]).ends(0);
        let text = std::fs::read_to_string(&exported).unwrap();
        let there: HashSet<String> = text
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap())
            .map(|memory| memory["memory_id"].as_str().unwrap().to_owned())
            .collect();
        let mut count = 0;
        for id in clients
            .into_iter()
            .flat_map(|client| client.join().unwrap())
        {
            assert!(there.contains(&id), "{id} was acknowledged and is lost");
            count += 1;
        }
        assert!(count > 0);
    }

    #[test]
    fn a_second_signal_does_not_wait() {
        let sandbox = Sandbox::new();
        let mut server = Server::start(&sandbox, "127.0.0.1:0");
        eventually("it is ready", || {
            (server.ask("GET /ready", None, "")?.0 == 200).then_some(())
        });
        let mut at_work = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
        let head = format!(
            "POST /mcp HTTP/1.1\r\nHost: localhost:{}\r\nContent-Type: application/json\r\n\
             Accept: application/json, text/event-stream\r\nContent-Length: 100\r\n\r\n{{",
            server.port
        );
        at_work.write_all(head.as_bytes()).unwrap();
        thread::sleep(Duration::from_millis(500));
        server.signal(Signal::TERM);
        thread::sleep(Duration::from_millis(500));
        assert_eq!(server.child.try_wait().unwrap(), None, "it waits");
        server.signal(Signal::INT);
        let ended = eventually("it ends", || server.child.try_wait().unwrap());
        assert_eq!(ended.code(), Some(1));
    }

    #[test]
    fn a_port_that_is_taken_is_told() {
        let sandbox = Sandbox::new();
        let server = Server::start(&sandbox, "127.0.0.1:0");
        let listen = format!("127.0.0.1:{}", server.port);
        let (kind, message) = sandbox.error(&["serve", "--listen", &listen], 1);
        assert_eq!(kind, "unavailable");
        assert!(message.contains(&listen), "{message}");
    }

    #[test]
    fn ten_thousand_connections_that_say_nothing_keep_nobody_out() {
        const SILENT: usize = 10_000;
        let limit = getrlimit(Resource::Nofile);
        let needed = SILENT as u64 + 1000;
        if limit.maximum.is_some_and(|most| most < needed) {
            eprintln!("!!! SKIPPED: this machine lets a process have fewer than {needed} files");
            return;
        }
        let raised = Rlimit {
            current: Some(limit.current.unwrap_or(needed).max(needed)),
            maximum: limit.maximum,
        };
        setrlimit(Resource::Nofile, raised).unwrap();
        let sandbox = Sandbox::new();
        let server = Server::start(&sandbox, "127.0.0.1:0");
        let mut silent = Vec::with_capacity(SILENT);
        for n in 0..SILENT {
            silent.push(TcpStream::connect(("127.0.0.1", server.port)).unwrap());
            if n % 1000 == 999 {
                let (status, _) = server.ask("GET /health", None, "").unwrap();
                assert_eq!(status, 200, "after {n}");
            }
        }
        assert_eq!(store(server.port, "m"), Some(true));
        let (_, metrics) = server.ask("GET /metrics", None, "").unwrap();
        let open = metrics
            .lines()
            .find_map(|line| line.strip_prefix("akosha_http_connections "))
            .unwrap();
        assert!(open.parse::<f64>().unwrap() <= 4096.0, "{open}");
    }
}
