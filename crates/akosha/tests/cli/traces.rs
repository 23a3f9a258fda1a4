//! Traces, as a collector receives them.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::thread;

use crate::live::Live;
use crate::support::{Sandbox, eventually};

/// A collector that takes OTLP over HTTP.
struct Collector {
    endpoint: String,
    bodies: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Collector {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let bodies = Arc::<Mutex<Vec<Vec<u8>>>>::default();
        let kept = Arc::clone(&bodies);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let kept = Arc::clone(&kept);
                thread::spawn(move || {
                    while let Some(body) = receive(&mut stream) {
                        kept.lock().unwrap().push(body);
                        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
                    }
                });
            }
        });
        Self { endpoint, bodies }
    }

    /// Returns the names of all spans that came in.
    fn spans(&self) -> BTreeSet<String> {
        let bodies = self.bodies.lock().unwrap();
        let mut names = BTreeSet::new();
        // ExportTraceServiceRequest.resource_spans.scope_spans.spans.name
        for body in bodies.iter() {
            for scope in fields(body, 1)
                .iter()
                .flat_map(|resource| fields(resource, 2))
            {
                for name in fields(scope, 2).iter().flat_map(|span| fields(span, 5)) {
                    names.insert(String::from_utf8(name.to_vec()).unwrap());
                }
            }
        }
        names
    }
}

/// Reads one request for traces and returns its body; `None` at the end of the connection.
fn receive(stream: &mut impl Read) -> Option<Vec<u8>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    assert!(head.starts_with("post /v1/traces "), "{head}");
    assert!(
        head.contains("content-type: application/x-protobuf"),
        "{head}"
    );
    let length = head.split("content-length: ").nth(1).unwrap();
    let length = length.lines().next().unwrap().parse().unwrap();
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some(body)
}

/// Returns the contents of a field of a protobuf message that is of the kind with a length.
fn fields(message: &[u8], wanted: u64) -> Vec<&[u8]> {
    let mut found = Vec::new();
    let mut rest = message;
    while !rest.is_empty() {
        let key = varint(&mut rest);
        match key & 7 {
            0 => drop(varint(&mut rest)),
            1 => rest = &rest[8..],
            2 => {
                let length = varint(&mut rest) as usize;
                let (content, after) = rest.split_at(length);
                if key >> 3 == wanted {
                    found.push(content);
                }
                rest = after;
            }
            5 => rest = &rest[4..],
            kind => panic!("unknown kind {kind}"),
        }
    }
    found
}

fn varint(rest: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..).step_by(7) {
        let (byte, after) = rest.split_first().unwrap();
        *rest = after;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            break;
        }
    }
    value
}

#[test]
fn a_collector_gets_the_spans_of_what_a_server_does() {
    let collector = Collector::start();
    let sandbox = Sandbox::with_vault()
        .with("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.endpoint)
        .with("OTEL_BSP_SCHEDULE_DELAY", "100");
    let live = Live::start(&sandbox);
    live.call("store_memory", r#"{"text": "a private thought"}"#);
    live.call("search_memories", r#"{"query": "thought"}"#);
    live.call("sync_to_akosha", "{}");
    eventually("the spans come in", || {
        let spans = collector.spans();
        let wanted = ["http_request", "search", "push"];
        wanted
            .iter()
            .all(|name| spans.contains(*name))
            .then_some(())
    });
    let bodies = collector.bodies.lock().unwrap();
    let has = |text: &str| {
        let text = text.as_bytes();
        bodies
            .iter()
            .any(|body| body.windows(text.len()).any(|part| part == text))
    };
    assert!(has("service.name") && has("akosha"));
    assert!(!has("private thought"), "no memory leaves in a span");
}

#[test]
fn a_collector_that_is_away_holds_nothing_up() {
    let sandbox = Sandbox::new()
        .with("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
        .with("OTEL_BSP_SCHEDULE_DELAY", "50");
    let live = Live::start(&sandbox);
    for _ in 0..20 {
        assert_eq!(live.get("/health").status, 200);
    }
}
