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

#[test]
fn what_init_writes_names_no_bucket_and_what_to_do_next() {
    let sandbox = Sandbox::new();
    let path = text(&sandbox.path("my.toml"));
    let shown = sandbox.run(&["config", "init", "--config", &path]).ends(0);
    for said in ["cloud_bucket", "akosha config check", "akosha sync"] {
        assert!(shown.stdout.contains(said), "{}", shown.stdout);
    }
    let file = std::fs::read_to_string(&path).unwrap();
    assert!(!file.contains("Copy this"), "{file}");
    let settings = sandbox.json(&["config", "show", "--config", &path], 0);
    assert_eq!(settings["cloud_bucket"]["value"], "");
    let answer = sandbox.json(&["config", "init", "--force", "--config", &path], 0);
    assert_eq!(keys(&answer), ["next", "path"]);
}

#[test]
fn show_names_the_file_that_was_read() {
    let sandbox = Sandbox::new();
    let default = text(&sandbox.path("config/akosha/akosha.toml"));
    let shown = sandbox.run(&["config", "show"]).ends(0).stdout;
    let first = shown.lines().next().unwrap();
    assert!(
        first.starts_with("# no file is read: `akosha config init` writes "),
        "{first}"
    );
    let answer = sandbox.json(&["config", "show"], 0);
    assert_eq!(
        answer["config"],
        json!({"value": null, "source": "default"})
    );
    for setting in answer.as_object().unwrap().values() {
        assert_eq!(keys(setting), ["source", "value"]);
    }

    sandbox.run(&["config", "init"]).ends(0);
    let shown = sandbox.run(&["config", "show"]).ends(0).stdout;
    if cfg!(target_os = "linux") {
        assert!(
            shown.starts_with(&format!("# read from {default}\n")),
            "{shown}"
        );
    }
    let named = sandbox.file("my.toml", "max_retries = 1\n");
    let flag = sandbox.json(&["config", "show", "--config", &named], 0);
    assert_eq!(
        flag["config"],
        json!({"value": named, "source": "flag --config"})
    );
    let sandbox = sandbox.with("AKOSHA_CONFIG", &named);
    let variable = sandbox.json(&["config", "show"], 0);
    assert_eq!(
        variable["config"],
        json!({"value": named, "source": "env AKOSHA_CONFIG"})
    );
    std::fs::write(&named, "= what").unwrap();
    let shown = sandbox.run(&["config", "show"]).ends(0).stdout;
    let first = shown.lines().next().unwrap();
    assert!(
        first.contains("cannot be read") && first.contains(&named),
        "{first}"
    );
}

#[test]
fn check_warns_once_of_each_thing() {
    let sandbox = Sandbox::new()
        .with("AKOSHA_CLOUD_BUCKET", "my-bucket")
        .with("AKOSHA_SHARDS", "2");
    let run = sandbox.run(&["config", "check"]).ends(0);
    assert_eq!(run.stderr, "");
    assert_eq!(run.stdout.matches("warning: ").count(), 2, "{run:?}");
    for said in [
        "`shards` has no effect",
        "no credentials for `cloud_bucket`",
    ] {
        assert_eq!(run.stdout.matches(said).count(), 1, "{said}: {run:?}");
    }
    let answer = sandbox.json(&["config", "check"], 0);
    assert_eq!(answer["warnings"].as_array().unwrap().len(), 2, "{answer}");
    // Who does not use the bucket hears nothing of its keys.
    let run = sandbox.run(&["list"]).ends(0);
    assert_eq!(
        run.stderr,
        "warning: `shards` has no effect in this version (env AKOSHA_SHARDS)\n"
    );

    let sandbox = sandbox
        .with("AWS_ACCESS_KEY_ID", "a")
        .with("AWS_SECRET_ACCESS_KEY", "b");
    let answer = sandbox.json(&["config", "check"], 0);
    assert_eq!(answer["warnings"].as_array().unwrap().len(), 1, "{answer}");
    assert!(
        !sandbox
            .run(&["config", "show"])
            .ends(0)
            .stdout
            .contains("AWS_")
    );
}

#[test]
fn a_bucket_that_cannot_work_is_an_error() {
    let sandbox = Sandbox::new();
    for (bucket, hint) in [
        ("ftp://my-bucket", "gs://"),
        ("/mnt/share", "`file:///mnt/share`"),
    ] {
        let file = sandbox.file("my.toml", format!("cloud_bucket = \"{bucket}\"\n"));
        let answer = sandbox.json(&["config", "check", "--config", &file], 2);
        let error = &answer["errors"][0];
        assert_eq!(error["value"], bucket);
        assert!(error["hint"].as_str().unwrap().contains(hint), "{answer}");
        assert_eq!(answer["warnings"], json!([]));
    }
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

#[test]
fn check_looks_at_the_files_that_are_to_be_synced() {
    let sandbox = Sandbox::new();
    let good = sandbox.file("a/notes.db", "x");
    let twin = sandbox.file("b/notes.db", "x");
    let odd = sandbox.file("two words", "x");
    let missing = sandbox.path("gone.db");
    let files = format!("files = [{good:?}, {twin:?}, {odd:?}, {missing:?}]\n");
    let path = sandbox.file("my.toml", files);
    let answer = sandbox.json(&["config", "check", "--config", &path], 2);
    let errors = answer["errors"].as_array().unwrap().iter();
    let told: Vec<(&str, &str)> = errors
        .map(|error| {
            assert_eq!(error["key"], "files", "{answer}");
            let part = |key: &str| error[key].as_str().unwrap();
            (part("value"), part("message"))
        })
        .collect();
    let expected = [
        (twin.as_str(), "the same name"),
        (&odd, "cannot be stored"),
        (missing.to_str().unwrap(), "does not exist"),
    ];
    assert_eq!(told.len(), expected.len(), "{told:?}");
    for ((value, message), (path, says)) in told.into_iter().zip(expected) {
        assert_eq!(value, path);
        assert!(message.contains(says), "{message}");
    }
    let path = sandbox.file("my.toml", format!("files = [{good:?}]\n"));
    assert_eq!(
        sandbox.json(&["config", "check", "--config", &path], 0)["valid"],
        true
    );
}
