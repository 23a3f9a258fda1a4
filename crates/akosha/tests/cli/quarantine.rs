//! `akosha quarantine`.

use serde_json::{Value, json};

use crate::support::{Sandbox, keys};

/// A receiver that set the only upload of the vault aside, the upload, and its manifest as it was.
struct Torn {
    receiver: Sandbox,
    _sender: Sandbox,
    manifest: std::path::PathBuf,
    whole: Vec<u8>,
    upload_id: String,
}

impl Torn {
    fn new() -> Self {
        let (sender, receiver) = Sandbox::sender_and_receiver("text");
        let uploads = sender.path("vault/systems/test-system/uploads");
        let upload = std::fs::read_dir(uploads).unwrap().next().unwrap().unwrap();
        let manifest = upload.path().join("manifest.json");
        let whole = std::fs::read(&manifest).unwrap();
        std::fs::write(&manifest, "{}").unwrap();
        receiver.json(&["ingest", "--once"], 3);
        Self {
            receiver,
            _sender: sender,
            manifest,
            whole,
            upload_id: upload.file_name().into_string().unwrap(),
        }
    }

    fn listed(&self) -> Vec<Value> {
        let answer = self.receiver.json(&["quarantine", "list"], 0);
        answer["quarantine"].as_array().unwrap().clone()
    }

    /// As the one who wrote it mends it.
    fn mend(&self) {
        std::fs::write(&self.manifest, &self.whole).unwrap();
    }
}

#[test]
fn lists_what_is_set_aside_with_the_reasons() {
    let torn = Torn::new();
    let listed = torn.listed();
    assert_eq!(listed.len(), 1);
    assert_eq!(
        keys(&listed[0]),
        [
            "item",
            "reason",
            "released_at",
            "since",
            "system_id",
            "upload_id"
        ]
    );
    assert_eq!(listed[0]["upload_id"], torn.upload_id);
    assert_eq!(listed[0]["system_id"], "test-system");
    assert!(!listed[0]["reason"].as_str().unwrap().is_empty());
    let shown = torn.receiver.run(&["quarantine", "list"]).ends(0).stdout;
    assert!(shown.contains(&torn.upload_id), "{shown}");
    let empty = Sandbox::new().run(&["quarantine", "list"]).ends(0).stdout;
    assert_eq!(empty, "nothing is set aside\n");
}

#[test]
fn retry_takes_in_what_was_mended_and_names_what_was_not() {
    let torn = Torn::new();
    let answer = torn.receiver.json(&["quarantine", "retry", "--all"], 3);
    assert_eq!(answer["success"], false);
    assert_eq!(answer["quarantined"][0]["upload_id"], torn.upload_id);
    torn.mend();
    let answer = torn
        .receiver
        .json(&["quarantine", "retry", &torn.upload_id], 0);
    assert_eq!(
        answer["merged"],
        json!([{"upload_id": torn.upload_id, "system_id": "test-system"}])
    );
    assert_eq!(answer["success"], true);
    assert_eq!(torn.listed(), [Value::Null; 0]);
    assert_eq!(
        torn.receiver.json(&["list"], 0)["memories"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    let none = torn.receiver.json(&["quarantine", "retry", "--all"], 0);
    assert_eq!(none["merged"], json!([]));
}

#[test]
fn what_is_released_is_left_alone_until_it_is_tried_again() {
    let torn = Torn::new();
    let answer = torn
        .receiver
        .json(&["quarantine", "release", &torn.upload_id], 0);
    assert_eq!(
        answer["released"],
        json!([{"upload_id": torn.upload_id, "system_id": "test-system"}])
    );
    assert_eq!(torn.listed(), [Value::Null; 0]);
    let released = torn.receiver.json(&["quarantine", "list", "--released"], 0);
    assert!(released["quarantine"][0]["released_at"].is_string());
    torn.mend();
    for command in [&["ingest", "--once"][..], &["pull"]] {
        let answer = torn.receiver.json(command, 0);
        assert_eq!(answer["uploads_seen"], 0, "{answer}");
        assert_eq!(answer["quarantined"], json!([]));
    }
    assert_eq!(torn.receiver.json(&["status"], 0)["quarantine"], json!([]));
    let answer = torn
        .receiver
        .json(&["quarantine", "retry", &torn.upload_id], 0);
    assert_eq!(answer["merged"].as_array().unwrap().len(), 1);
}

#[test]
fn what_is_in_the_vault_no_more_is_said_and_forgotten() {
    let torn = Torn::new();
    std::fs::remove_file(&torn.manifest).unwrap();
    let answer = torn.receiver.json(&["quarantine", "retry", "--all"], 0);
    assert_eq!(answer["gone"][0]["upload_id"], torn.upload_id);
    assert_eq!(torn.listed(), [Value::Null; 0]);
}

#[test]
fn an_upload_that_is_not_set_aside_is_named() {
    let torn = Torn::new();
    for command in ["retry", "release"] {
        let failed = torn.receiver.json(&["quarantine", command, "nope"], 1);
        assert_eq!(failed["error"]["kind"], "not_found");
        let message = failed["error"]["message"].as_str().unwrap();
        assert!(
            message.contains("no upload `nope` is set aside"),
            "{message}"
        );
        let elsewhere = ["quarantine", command, &torn.upload_id, "--system", "other"];
        torn.receiver.json(&elsewhere, 1);
        torn.receiver.run(&["quarantine", command]).ends(2);
    }
    assert_eq!(torn.listed().len(), 1);
}
