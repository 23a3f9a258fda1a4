//! `akosha pull`.

use serde_json::json;

use crate::support::{Sandbox, keys};

#[test]
fn brings_what_others_pushed() {
    let (sender, receiver) = Sandbox::sender_and_receiver("text");
    let other = receiver.json(&["pull", "--system", "nobody"], 0);
    assert_eq!(other["uploads_merged"], 0);
    let answer = receiver.json(&["pull"], 0);
    assert_eq!(
        keys(&answer),
        [
            "bytes_transferred",
            "duplicates",
            "duration_seconds",
            "error",
            "memories_added",
            "memories_skipped",
            "memories_updated",
            "quarantined",
            "success",
            "uploads_merged",
            "uploads_seen"
        ]
    );
    assert_eq!(answer["memories_added"], 1);
    assert_eq!(answer["quarantined"], json!([]));
    let export = |sandbox: &Sandbox| {
        let text = sandbox.run(&["export"]).ends(0).stdout;
        text.replace(
            "\"ingestion_method\":\"cloud_pull\"",
            "\"ingestion_method\":\"local\"",
        )
    };
    assert_eq!(export(&receiver), export(&sender));
    let shown = receiver.run(&["pull"]).ends(0).stdout;
    assert_eq!(shown, "nothing new in the vault\n");
}

#[test]
fn what_is_set_aside_is_named() {
    let (sender, receiver) = Sandbox::sender_and_receiver("text");
    let uploads = sender.path("vault/systems/test-system/uploads");
    let upload = std::fs::read_dir(uploads).unwrap().next().unwrap().unwrap();
    let manifest = upload.path().join("manifest.json");
    std::fs::write(&manifest, "{}").unwrap();
    let answer = receiver.json(&["pull"], 3);
    let quarantined = &answer["quarantined"][0];
    assert_eq!(keys(quarantined), ["reason", "system_id", "upload_id"]);
    let shown = receiver.run(&["pull"]).ends(3).stdout;
    assert!(shown.contains("set aside "), "{shown}");
    let status = receiver.json(&["status"], 0);
    assert_eq!(
        status["quarantine"][0]["upload_id"],
        quarantined["upload_id"]
    );
}

#[test]
fn without_a_vault_it_is_a_configuration_error() {
    let (kind, message) = Sandbox::new().error(&["pull"], 2);
    assert_eq!(
        (kind.as_str(), message.as_str()),
        ("config", "[config] no vault is set")
    );
}

#[test]
fn a_vault_that_cannot_be_reached_is_told_at_once() {
    let sandbox = Sandbox::new()
        .with("AKOSHA_CLOUD_BUCKET", "memories")
        .with("AKOSHA_CLOUD_ENDPOINT", "http://127.0.0.1:9")
        .with("AKOSHA_CLOUD_ACCESS_KEY", "key")
        .with("AKOSHA_CLOUD_SECRET_KEY", "secret")
        .with("AKOSHA_MAX_RETRIES", "3");
    let started = std::time::Instant::now();
    let run = sandbox.run(&["pull"]).ends(1);
    assert!(
        started.elapsed() < std::time::Duration::from_secs(5),
        "{run:?}"
    );
    assert_eq!(run.stdout, "");
    insta::assert_snapshot!(run.stderr, @r"
    error: [cloud] not reachable: nothing listens at `127.0.0.1:9`
    hint: check the network, `cloud_bucket` and `cloud_endpoint`, then repeat: `akosha pull`; what was pulled before stays
    ");
    let (kind, _) = sandbox.error(&["pull"], 1);
    assert_eq!(kind, "unavailable");
}
