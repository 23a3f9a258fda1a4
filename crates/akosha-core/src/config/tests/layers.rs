//! The order of the layers, unknown names, and all errors at once.

use super::*;
use crate::config::{Config, ConfigError, ConfigSource};

#[test]
fn each_layer_wins_over_the_one_before() {
    let file = "max_retries = 4\nchunk_size_mb = 6\ncloud_region = \"file\"";
    let mut env = environment(&[
        ("AKOSHA_CHUNK_SIZE_MB", "7"),
        ("AKOSHA_CLOUD_REGION", "env"),
        ("CLOUD_SYNC_REGION", "alias"),
    ]);
    env.flags = vec![("cloud_region".into(), "flag".into())];
    let loaded = load_in(file, &env);
    assert!(loaded.errors.is_empty(), "{:?}", loaded.errors);
    let config = &loaded.config;
    assert_eq!(
        (
            config.upload_timeout.as_secs(),
            config.max_retries,
            config.chunk_size_mb
        ),
        (300, 4, 7)
    );
    assert_eq!(config.cloud_region, "flag");
    for (name, source) in [
        ("upload_timeout_seconds", "default"),
        ("max_retries", "file /etc/akosha.toml"),
        ("chunk_size_mb", "env AKOSHA_CHUNK_SIZE_MB"),
        ("cloud_region", "flag --cloud-region"),
        ("system_id", "default"),
    ] {
        assert_eq!(loaded.shown[name].source.to_string(), source, "{name}");
    }
    assert_eq!(loaded.shown["chunk_size_mb"].value, 7);
}

#[test]
fn all_errors_of_all_layers_come_at_once() {
    let mut env = environment(&[("AKOSHA_MAX_RETRIES", "99"), ("AKOSHA_COMPRESSION", "rar")]);
    env.flags = vec![("force_method".into(), "cloud".into())];
    let loaded = load_in("chunk_size_mb = 0\ncolour = 1\nmax_retries = -1", &env);
    assert_eq!(
        keys(&loaded),
        [
            "chunk_size_mb",
            "colour",
            "max_retries",
            "max_retries",
            "compression",
            "force_method"
        ]
    );
    assert!(loaded.errors.iter().all(|error| !error.hint.is_empty()));
    assert!(loaded.writes_allowed());
}

#[test]
fn a_wrong_value_leaves_that_of_the_layer_below() {
    let loaded = load_in(
        "max_retries = 5",
        &environment(&[("AKOSHA_MAX_RETRIES", "x")]),
    );
    assert_eq!(keys(&loaded), ["max_retries"]);
    assert_eq!(loaded.config.max_retries, 5);
    assert_eq!(
        loaded.shown["max_retries"].source.to_string(),
        "file /etc/akosha.toml"
    );
}

#[test]
fn unknown_keys_are_errors_with_a_suggestion() {
    for (text, key, value, hint) in [
        (
            "cloud_bukcet = \"abc\"",
            "cloud_bukcet",
            "abc",
            "did you mean `cloud_bucket`?",
        ),
        ("retries = 3", "retries", "3", "did you mean `max_retries`?"),
        (
            "colour = 3",
            "colour",
            "3",
            "remove it; `akosha config show` lists every setting",
        ),
        (
            "akosha_tokn = \"s3\"",
            "akosha_tokn",
            "********",
            "did you mean `akosha_token`?",
        ),
        (
            "password = \"s3\"",
            "password",
            "********",
            "remove it; `akosha config show` lists every setting",
        ),
    ] {
        let loaded = load(text);
        let [error] = &loaded.errors[..] else {
            panic!("{:?}", loaded.errors)
        };
        assert_eq!(
            (
                error.key.as_str(),
                error.value.as_str(),
                error.hint.as_str()
            ),
            (key, value, hint)
        );
        assert!(loaded.writes_allowed());
    }
}

#[test]
fn tables_are_told_to_be_flat() {
    let loaded = load("[cloud]\nbucket = \"abc\"\nsecret_key = \"s3cret\"");
    let [error] = &loaded.errors[..] else {
        panic!("{:?}", loaded.errors)
    };
    assert_eq!((error.key.as_str(), error.value.as_str()), ("cloud", "{…}"));
    assert!(
        error.hint.starts_with("settings are flat"),
        "{}",
        error.hint
    );
}

#[test]
fn retention_may_be_a_table() {
    let loaded = load("keep_daily = 3\nretention = { keep_last = 1, keep_weekly = 2 }");
    assert!(loaded.errors.is_empty(), "{:?}", loaded.errors);
    let kept = loaded.config.retention;
    assert_eq!(
        (
            kept.keep_last,
            kept.keep_daily,
            kept.keep_weekly,
            kept.keep_monthly
        ),
        (1, 3, 2, 12)
    );
    for (text, key) in [
        (
            "keep_last = 1\nretention = { keep_last = 2 }",
            "retention.keep_last",
        ),
        ("retention = { keep_lats = 2 }", "retention.keep_lats"),
        ("retention = { keep_last = -2 }", "keep_last"),
        ("[retention]\nkeep_last = 2\nshards = 3", "retention.shards"),
        ("retention = 3", "retention"),
    ] {
        assert_eq!(keys(&load(text)), [key], "{text}");
    }
}

#[test]
fn unknown_variables_are_warnings() {
    let loaded = load_variables(&[
        ("AKOSHA_CLOUD_BUKCET", "s3cret"),
        ("AKOSHA_COLOUR", "s3cret"),
        ("CLOUD_SYNC_BUKET", "s3cret"),
        ("AKOSHA_HOME", "/h"),
        ("AKOSHA_CONFIG", "/c"),
        ("AKOSHA_TEST_X", "1"),
        ("AKOSHA_LOG", "debug"),
        ("AKOSHA_LOG_FORMAT", "json"),
        ("HOME", "/h"),
    ]);
    assert!(loaded.errors.is_empty());
    assert_eq!(
        loaded.warnings,
        [
            "the variable `AKOSHA_CLOUD_BUKCET` is no setting and has no effect; did you mean \
             `AKOSHA_CLOUD_BUCKET`?",
            "the variable `AKOSHA_COLOUR` is no setting and has no effect",
            "the variable `CLOUD_SYNC_BUKET` is no setting and has no effect; did you mean \
             `CLOUD_SYNC_BUCKET`?",
        ]
    );
}

#[test]
fn unknown_flags_are_errors() {
    let mut env = environment(&[]);
    env.flags = vec![("colour".into(), "red".into())];
    let loaded = LoadedConfig::load(&env);
    assert_eq!(loaded.errors[0].source, ConfigSource::Flag("colour".into()));
}

#[test]
fn the_system_id_is_the_host_name_made_valid() {
    let named = |name: &str| {
        let mut env = environment(&[]);
        env.host_name = Some(name.to_owned());
        LoadedConfig::load(&env)
    };
    let loaded = named("Les’s laptop.local");
    assert_eq!(loaded.config.system_id.as_str(), "Les-s-laptop-local");
    assert!(loaded.errors.is_empty() && loaded.writes_allowed());
    for name in [
        "localhost",
        "LOCALHOST",
        "localhost.localdomain",
        "(none)",
        "...",
        "",
        "unnamed",
    ] {
        let loaded = named(name);
        assert_eq!(keys(&loaded), ["system_id"], "{name}");
        assert!(!loaded.writes_allowed(), "{name}");
        assert_eq!(loaded.config.system_id.as_str(), "unnamed");
    }
    let mut env = environment(&[]);
    env.host_name = None;
    assert!(!LoadedConfig::load(&env).writes_allowed());
    env.variables
        .insert("AKOSHA_SYSTEM_ID".into(), "mine".into());
    let loaded = LoadedConfig::load(&env);
    assert!(loaded.errors.is_empty() && loaded.writes_allowed());
}

#[test]
fn nothing_is_written_under_an_id_that_the_user_may_not_want() {
    let good = [("AKOSHA_SYSTEM_ID", "mine")];
    let bad = [("AKOSHA_SYSTEM_ID", "a b")];
    let known = [("AKOSHA_SYSTEM_ID", "mine"), ("AKOSHA_REDACTION_RULES", "")];
    for (file, variables, allowed) in [
        ("", &[][..], true),
        ("system_id = \"x\"", &[], true),
        ("system_id = \"a b\"", &[], false),
        ("sytem_id = \"x\"", &[], false),
        ("system_id = ", &[], false),
        ("max_retries = 99", &[], true),
        ("system_id = \"x\"", &bad, false),
        ("system_id = \"a b\"", &good, true),
        // The file may name redaction rules.
        ("system_id = ", &good, false),
        ("system_id = ", &known, true),
    ] {
        let loaded = load_in(file, &environment(variables));
        assert_eq!(loaded.writes_allowed(), allowed, "{file} {variables:?}");
        let refused = loaded.check_writes().err().map(|refused| refused.errors);
        assert_eq!(refused, (!allowed).then_some(loaded.errors));
    }
}

#[test]
fn a_configuration_can_be_made_without_layers() {
    let config = Config::default_with("demo".parse().unwrap());
    let loaded = LoadedConfig::new(config);
    assert!(loaded.errors.is_empty() && loaded.writes_allowed());
    assert_eq!(loaded.shown["system_id"].value, "demo");
    assert_eq!(loaded.shown, {
        let mut env = environment(&[]);
        env.host_name = Some("demo".into());
        LoadedConfig::load(&env).shown
    });
}

#[test]
fn the_main_settings_are_told_without_secrets() {
    let fields = load("akosha_token = \"s3cret\"\nforce_method = \"http\"")
        .config
        .sync_fields();
    let names: Vec<_> = fields.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "chunk_size_mb",
            "cloud_bucket",
            "cloud_endpoint",
            "cloud_region",
            "enable_compression",
            "enable_deduplication",
            "enable_fallback",
            "force_method",
            "max_retries",
            "retry_backoff_seconds",
            "system_id",
            "upload_on_session_end",
            "upload_timeout_seconds",
        ]
    );
    assert_eq!(fields["force_method"], "http");
    assert_eq!(fields["retry_backoff_seconds"], 2.0);
}

#[test]
fn a_file_that_is_no_toml_is_named_with_its_line() {
    for (text, line) in [
        ("max_retries = 3\ncloud_bucket = \"abc", "line 2"),
        ("a = 1\na = 2", "line 2"),
        ("\n\n= 3", "line 3"),
        ("max_retries = 007", "line 1"),
    ] {
        let loaded = load(text);
        let [error] = &loaded.errors[..] else {
            panic!("{text}: {:?}", loaded.errors)
        };
        assert_eq!(error.key, ConfigError::FILE);
        assert_eq!(error.value, "/etc/akosha.toml");
        assert!(error.message.contains(line), "{text}: {}", error.message);
    }
}
