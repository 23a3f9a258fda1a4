//! `akosha config`.

use serde_json::json;

use crate::support::{Sandbox, keys, text};

#[test]
fn init_writes_a_file_that_is_valid() {
    let sandbox = Sandbox::new();
    let path = text(&sandbox.path("config/akosha/akosha.toml"));
    if cfg!(target_os = "linux") {
        assert_eq!(sandbox.json(&["config", "init"], 0)["path"], path.as_str());
    } else {
        sandbox.run(&["config", "init"]).ends(0);
    }
    assert_eq!(sandbox.json(&["config", "check"], 0)["valid"], true);
    let (kind, message) = sandbox.error(&["config", "init"], 2);
    assert_eq!(kind, "invalid");
    assert!(message.ends_with("exists already"), "{message}");
    sandbox.run(&["config", "init", "--force"]).ends(0);
}

#[cfg(unix)]
#[test]
fn init_keeps_the_file_from_others() {
    use std::os::unix::fs::PermissionsExt;
    let sandbox = Sandbox::new();
    let path = sandbox.path("new/folder/my.toml");
    let named = ["config", "init", "--config", path.to_str().unwrap()];
    sandbox.run(&named).ends(0);
    let mode = path.metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn show_names_the_source_of_every_value() {
    let file = "cloud_secret_key = \"hush\"\nmax_retries = 7\n";
    let sandbox = Sandbox::new().with("AKOSHA_MAX_RETRIES", "2");
    let path = sandbox.file("my.toml", file);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let owner_alone = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(&path, owner_alone).unwrap();
    }
    let answer = sandbox.json(&["config", "show", "--config", &path], 0);
    let source = format!("file {path}");
    assert_eq!(
        answer["max_retries"],
        json!({"value": 2, "source": "env AKOSHA_MAX_RETRIES"})
    );
    assert_eq!(answer["cloud_secret_key"]["source"], source.as_str());
    assert_eq!(
        answer["chunk_size_mb"],
        json!({"value": 5, "source": "default"})
    );
    for key in [
        "cloud_bucket",
        "cloud_endpoint",
        "cloud_region",
        "system_id",
        "upload_on_session_end",
        "enable_fallback",
        "force_method",
        "upload_timeout_seconds",
        "retry_backoff_seconds",
        "enable_compression",
        "enable_deduplication",
    ] {
        assert!(keys(&answer).contains(&key), "{key}");
    }
    assert!(!answer.to_string().contains("hush"));
    let shown = sandbox
        .run(&["config", "show", "--config", &path])
        .ends(0)
        .stdout;
    assert!(
        shown.contains("max_retries = 2  # env AKOSHA_MAX_RETRIES\n"),
        "{shown}"
    );
    assert!(!shown.contains("hush"));
}

#[test]
fn check_tells_every_error() {
    let sandbox = Sandbox::new();
    let path = sandbox.file("my.toml", "chunk_size = 5\nforce_method = \"ftp\"\n");
    let answer = sandbox.json(&["config", "check", "--config", &path], 2);
    assert_eq!(answer["valid"], false);
    let errors = answer["errors"].as_array().unwrap();
    assert_eq!(errors.len(), 2, "{answer}");
    for error in errors {
        assert_eq!(keys(error), ["hint", "key", "message", "source", "value"]);
    }
    let shown = sandbox
        .run(&["config", "check", "--config", &path])
        .ends(2)
        .stdout;
    assert!(shown.starts_with("2 errors\n"), "{shown}");
    sandbox.json(&["config", "show", "--config", &path], 0);
}

#[test]
fn a_named_file_must_exist_and_be_toml() {
    let sandbox = Sandbox::new();
    let broken = sandbox.file("broken.toml", "= what");
    for path in ["nowhere.toml", &broken] {
        let (kind, _) = sandbox.error(&["sync", "--config", path], 2);
        assert_eq!(kind, "config");
        assert_eq!(
            sandbox.json(&["config", "check", "--config", path], 2)["valid"],
            false
        );
    }
}
