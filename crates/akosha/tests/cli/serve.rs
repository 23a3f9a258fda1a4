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
