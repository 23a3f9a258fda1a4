//! `akosha status`.

use serde_json::json;

use crate::support::{Sandbox, keys};

#[test]
fn says_what_the_tool_says_and_what_is_stored() {
    let sandbox = Sandbox::new();
    sandbox.store("a", "text");
    let answer = sandbox.json(&["status"], 0);
    for key in [
        "cloud_configured",
        "system_id",
        "should_use_cloud",
        "should_use_http",
        "force_method",
        "enable_fallback",
        "upload_on_session_end",
        "configuration",
        "configuration_errors",
        "methods",
        "queue",
        "lag",
        "vault",
        "sync_conflicts",
        "store",
        "quarantine",
        "conflicts",
        "content_conflicts",
    ] {
        assert!(keys(&answer).contains(&key), "{key}");
    }
    assert_eq!(keys(&answer["configuration"]).len(), 13);
    assert_eq!(
        keys(&answer["store"]),
        ["memories", "size_bytes", "systems"]
    );
    assert_eq!(answer["store"]["memories"], 1);
    assert_eq!(answer["lag"]["unsynced_memories"], 1);
    assert_eq!(answer["conflicts"], 0);
    assert_eq!(answer["quarantine"], json!([]));
}

#[test]
fn a_person_sees_it_at_a_glance() {
    let sandbox = Sandbox::new();
    let shown = sandbox.run(&["status"]).ends(0).stdout;
    let home = sandbox.path("home");
    let shown: Vec<String> = shown
        .lines()
        .filter(|line| !line.starts_with("store "))
        .map(|line| line.replace(home.to_str().unwrap(), "HOME"))
        .collect();
    insta::assert_snapshot!(shown.join("\n"), @r"
    system         test-system
    home           HOME
    vault          none; set `cloud_bucket`: `akosha config init`
    cloud          no bucket is set
    http           nothing listens at `127.0.0.1:9`
    not synced     nothing
    queue          0 pending, 0 running, 0 parked
    ");
}

#[test]
fn it_names_the_configuration_file_that_is_there() {
    let sandbox = Sandbox::new();
    let file = sandbox.file("my.toml", "max_retries = 1\n");
    let sandbox = sandbox.with("AKOSHA_CONFIG", &file);
    let shown = sandbox.run(&["status"]).ends(0).stdout;
    assert!(
        shown.contains(&format!("set `cloud_bucket` in `{file}`")),
        "{shown}"
    );
    assert!(!shown.contains("config init"), "{shown}");
    assert_eq!(sandbox.json(&["status"], 0)["config_file"], file.as_str());
}

#[test]
fn it_works_with_a_bad_configuration() {
    let sandbox = Sandbox::new().with("AKOSHA_CHUNK_SIZE_MB", "0");
    let answer = sandbox.json(&["status"], 0);
    let errors = answer["configuration_errors"].as_array().unwrap();
    assert_eq!(errors.len(), 1);
    let shown = sandbox.run(&["status"]).ends(0).stdout;
    assert!(
        shown.contains("chunk_size_mb") && shown.contains("akosha config check"),
        "{shown}"
    );
}
