//! Every setting takes what its rule allows and names what it refuses.

use proptest::prelude::*;

use super::*;
use crate::config::field::FIELDS;
use crate::config::{Config, Durability, Environment, ForceMethod};

/// Values of a setting as TOML that are right and wrong.
const VALUES: &[(&str, &[&str], &[&str])] = &[
    (
        "cloud_bucket",
        &[
            "\"\"",
            "\"my.bucket\"",
            "\"s3://abc/x\"",
            "\"gs://a_b.c/x\"",
            "\"az://abc/x\"",
            "\"file:///C:/vault\"",
        ],
        &[
            "\"ab\"",
            "\"abc\\n\"",
            "\"s3://\"",
            "\"file://vault\"",
            "\"ftp://abc\"",
            "\"/mnt/share\"",
            "\"gs://a/b\"",
            "\"az://a--b\"",
            "1",
            "[\"abc\"]",
        ],
    ),
    (
        "cloud_endpoint",
        &[
            "\"\"",
            "\"https://s3.example.com\"",
            "\"http://127.0.0.1:9000\"",
            "\"http://localhost\"",
        ],
        &[
            "\"http://s3.example.com\"",
            "\"s3.example.com\"",
            "\"https://a:b@c\"",
            "true",
        ],
    ),
    (
        "cloud_region",
        &["\"auto\"", "\"eu-west-1\""],
        &["\"\"", "\"a b\"", "1"],
    ),
    (
        "system_id",
        &["\"laptop-2_x\"", "\"007\""],
        &["\"\"", "\"a.b\"", "\"a\\n\"", "\"../x\"", "7"],
    ),
    (
        "upload_on_session_end",
        &["true", "false"],
        &["1", "\"true\"", "\"\""],
    ),
    ("enable_fallback", &["false"], &["0"]),
    (
        "force_method",
        &["\"auto\"", "\"http\""],
        &["\"cloud\"", "\"Cloud\"", "\"\"", "true"],
    ),
    (
        "upload_timeout_seconds",
        &["30", "3600"],
        &["29", "3601", "30.0", "\"30\"", "-1"],
    ),
    (
        "max_retries",
        &["0", "10"],
        &["-1", "11", "9223372036854775807"],
    ),
    (
        "retry_backoff_seconds",
        &["0.1", "60", "60.0", "2"],
        &["0.09", "60.1", "nan", "inf", "\"2\""],
    ),
    ("enable_compression", &["true"], &["\"on\""]),
    ("enable_deduplication", &["true"], &["[]"]),
    ("chunk_size_mb", &["1", "100"], &["0", "101", "4294967297"]),
    (
        "akosha_url",
        &[
            "\"http://localhost:8682/mcp\"",
            "\"https://a.example/mcp\"",
            "\"http://a.example\"",
        ],
        &[
            "\"\"",
            "\"a.example\"",
            "\"ftp://a.example\"",
            "\"https://t@a.example\"",
        ],
    ),
    (
        "akosha_token",
        &["\"\"", "\"abc\""],
        &["\"a\\n\"", "\"é\"", "1"],
    ),
    ("cloud_access_key", &["\"\"", "\"abc\""], &["\" a\"", "{}"]),
    (
        "cloud_secret_key",
        &["\"\"", "\"a/b+c=\""],
        &["\"a \"", "[]"],
    ),
    (
        "cloud_prefix",
        &["\"\"", "\"/a/b/\""],
        &["\"../a\"", "\"a b\"", "1"],
    ),
    ("allow_insecure_http", &["true"], &["\"yes\""]),
    (
        "compression",
        &["\"zstd\"", "\"gzip\""],
        &["\"lz4\"", "true"],
    ),
    ("durability", &["\"full\"", "\"process\""], &["\"none\""]),
    ("shutdown_grace_seconds", &["0", "600"], &["601", "-1"]),
    (
        "tls_cert",
        &["\"\"", "\"/etc/akosha/tls.crt\""],
        &["\"tls.crt\"", "\"/\"", "true"],
    ),
    (
        "tls_key",
        &["\"\"", "\"/etc/akosha/tls.key\""],
        &["\"tls.key\"", "[]"],
    ),
    (
        "allowed_hosts",
        &["[]", "[\"a.example\", \"b:8682\", \"[::1]:80\"]"],
        &[
            "\"a.example\"",
            "[\"http://a\"]",
            "[\"a/b\"]",
            "[\"a:0\"]",
            "[\"a:x\"]",
            "[\"\"]",
            "[\"u@a\"]",
            "[1]",
        ],
    ),
    (
        "rate_limit_per_minute",
        &["0", "10000000"],
        &["-1", "10000001"],
    ),
    ("max_connections", &["16", "1000000"], &["15", "1000001"]),
    (
        "redaction_rules",
        &["\"\""],
        &["\"rules.toml\"", "\"/\"", "\"/a\\n\"", "true"],
    ),
    (
        "files",
        &["[]"],
        &["\"/a\"", "[\"a\"]", "[\"/\"]", "[\"/a\\n\"]", "[1]"],
    ),
    ("encryption", &["\"off\"", "\"on\""], &["\"age\"", "true"]),
    ("require_signatures", &["true", "false"], &["\"on\"", "1"]),
    (
        "trusted_keys",
        &[
            "[]",
            "[\"d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a\"]",
        ],
        &["\"\"", "[\"d75a\"]", "[1]", "true"],
    ),
    ("max_concurrent_ingests", &["1", "10000"], &["0", "10001"]),
    ("poll_interval_seconds", &["1", "86400"], &["0", "86401"]),
    (
        "orchestrator_url",
        &["\"\"", "\"http://a.example:8680\""],
        &["\"a.example\""],
    ),
    (
        "sync_schedule",
        &["\"\"", "\"0 2 * * *\""],
        &["\"soon\"", "\"61 * * * *\"", "2"],
    ),
    ("restore_on_empty", &["true", "false"], &["\"true\""]),
    ("keep_last", &["0", "10000"], &["-1", "10001"]),
    ("keep_daily", &["0"], &["1.5"]),
    ("keep_weekly", &["0"], &["\"1\""]),
    ("keep_monthly", &["0"], &["true"]),
    ("shards", &["1", "256", "4096"], &["0", "4097"]),
    ("hot_days", &["1", "89"], &["0", "90"]),
    ("warm_days", &["8", "36500"], &["7", "36501"]),
    ("shard_timeout_seconds", &["1", "300"], &["0", "301"]),
    (
        "store_url",
        &["\"\"", "\"postgres://u:p@h/db\""],
        &["\"mysql://h\"", "\"h\""],
    ),
    (
        "milvus_url",
        &["\"\"", "\"http://localhost:19530\""],
        &["\"localhost:19530\""],
    ),
];

#[test]
fn every_setting_has_its_rule_tested() {
    let tested: Vec<_> = VALUES.iter().map(|(name, ..)| *name).collect();
    let settings: Vec<_> = FIELDS.iter().map(|field| field.name).collect();
    assert_eq!(tested, settings);
}

#[test]
fn right_values_are_taken() {
    for (name, right, _) in VALUES {
        for value in *right {
            let loaded = load(&format!("{name} = {value}"));
            assert!(
                loaded.errors.is_empty(),
                "{name} = {value}: {:?}",
                loaded.errors
            );
            let source = loaded.shown[name].source.to_string();
            assert_eq!(source, "file /etc/akosha.toml", "{name}");
        }
    }
}

#[test]
fn wrong_values_are_named_with_a_hint() {
    let defaults = LoadedConfig::load(&environment(&[])).shown;
    for (name, _, wrong) in VALUES {
        for value in *wrong {
            let loaded = load(&format!("{name} = {value}"));
            let [error] = &loaded.errors[..] else {
                panic!("{name} = {value}: {:?}", loaded.errors);
            };
            assert_eq!(error.key, *name, "{value}");
            assert!(
                !error.message.is_empty() && !error.hint.is_empty(),
                "{error:?}"
            );
            assert_eq!(error.source.to_string(), "file /etc/akosha.toml");
            // What was asked for stays, so that nothing goes another way meanwhile.
            let stays = *name == "force_method";
            assert!(
                stays || loaded.shown[name].value == defaults[name].value,
                "{name} = {value}"
            );
            assert_eq!(
                loaded.writes_allowed(),
                !matches!(*name, "system_id" | "redaction_rules"),
                "{name} = {value}"
            );
        }
    }
}

#[test]
fn an_error_tells_the_key_the_value_the_source_and_the_fix() {
    let loaded = load_variables(&[("AKOSHA_UPLOAD_TIMEOUT_SECONDS", "5")]);
    assert_eq!(
        serde_json::json!(loaded.errors),
        serde_json::json!([{
            "key": "upload_timeout_seconds",
            "value": "5",
            "source": "env AKOSHA_UPLOAD_TIMEOUT_SECONDS",
            "message": "must be a whole number from 30 to 3600",
            "hint": "set for example `AKOSHA_UPLOAD_TIMEOUT_SECONDS=300`, or unset it",
        }])
    );
}

#[test]
fn text_of_the_environment_is_read_by_the_type_of_the_setting() {
    for (text, value) in [
        ("true", true),
        ("1", true),
        ("YES", true),
        ("on", true),
        ("false", false),
        ("0", false),
        ("no", false),
        ("Off", false),
    ] {
        let loaded = load_variables(&[("AKOSHA_ENABLE_FALLBACK", text)]);
        assert_eq!(
            (loaded.config.enable_fallback, loaded.errors.len()),
            (value, 0),
            "{text}"
        );
    }
    let loaded = load_variables(&[
        ("AKOSHA_SYSTEM_ID", "007"),
        ("AKOSHA_MAX_RETRIES", "07"),
        ("AKOSHA_RETRY_BACKOFF_SECONDS", "1e1"),
        ("AKOSHA_CLOUD_BUCKET", "12345"),
    ]);
    assert!(loaded.errors.is_empty(), "{:?}", loaded.errors);
    assert_eq!(loaded.config.system_id.as_str(), "007");
    assert_eq!(loaded.config.max_retries, 7);
    assert_eq!(loaded.config.retry_backoff.as_secs(), 10);
    assert_eq!(loaded.config.cloud_bucket, "12345");
    for (name, text) in [
        ("AKOSHA_ENABLE_FALLBACK", "maybe"),
        ("AKOSHA_ENABLE_FALLBACK", ""),
        ("AKOSHA_MAX_RETRIES", "three"),
        ("AKOSHA_MAX_RETRIES", "1.0"),
        ("AKOSHA_RETRY_BACKOFF_SECONDS", "NaN"),
        ("AKOSHA_RETRY_BACKOFF_SECONDS", "-1"),
        ("AKOSHA_CLOUD_BUCKET", "abc\n"),
    ] {
        assert_eq!(
            load_variables(&[(name, text)]).errors.len(),
            1,
            "{name}={text}"
        );
    }
}

#[cfg(unix)]
#[test]
fn files_are_a_list_in_toml_and_split_in_the_environment() {
    let wanted = Some(vec!["/a/b.duckdb".into(), "/c d".into()]);
    assert_eq!(
        load("files = [\"/a/b.duckdb\", \"/c d\"]").config.files,
        wanted
    );
    assert_eq!(
        load_variables(&[("AKOSHA_FILES", "/a/b.duckdb:/c d")])
            .config
            .files,
        wanted
    );
    assert_eq!(
        load_variables(&[("AKOSHA_FILES", "")]).config.files,
        Some(Vec::new())
    );
    assert_eq!(load("").config.files, None);
}

#[test]
fn public_keys_are_a_list_in_toml_and_split_in_the_environment() {
    let (one, two) = ("ab".repeat(32), "cd".repeat(32));
    let text = format!("{}, {two}", one.to_uppercase());
    let loaded = load_variables(&[("AKOSHA_TRUSTED_KEYS", &text)]);
    assert!(loaded.errors.is_empty(), "{:?}", loaded.errors);
    assert_eq!(loaded.config.trusted_keys, [one, two]);
    let loaded = load_variables(&[("AKOSHA_TRUSTED_KEYS", "ab")]);
    assert_eq!(keys(&loaded), ["trusted_keys"]);
}

#[test]
fn signatures_are_required_where_the_vault_is_encrypted_unless_told_otherwise() {
    for (text, required) in [
        ("", false),
        ("encryption = \"on\"", true),
        ("encryption = \"on\"\nrequire_signatures = false", false),
        ("require_signatures = true", true),
    ] {
        let loaded = load(text);
        assert!(loaded.errors.is_empty(), "{:?}", loaded.errors);
        assert_eq!(loaded.config.require_signatures, required, "{text}");
        assert_eq!(loaded.shown["require_signatures"].value, required, "{text}");
    }
}

#[test]
fn prefixes_and_endpoints_lose_their_last_slash() {
    let loaded = load("cloud_prefix = \"/a/b/\"\ncloud_endpoint = \"https://x.example/\"");
    assert_eq!(loaded.config.cloud_prefix, "a/b");
    assert_eq!(loaded.config.cloud_endpoint, "https://x.example");
}

#[test]
fn plain_http_to_others_needs_leave() {
    let endpoint = "cloud_endpoint = \"http://minio.example:9000\"\n";
    let refused = load(endpoint);
    assert_eq!(keys(&refused), ["cloud_endpoint"]);
    assert_eq!(refused.config.cloud_endpoint, "");
    let node = "akosha_url = \"http://akosha.example/mcp\"\n";
    let token = "akosha_token = \"t\"\n";
    assert!(load(node).errors.is_empty());
    assert_eq!(keys(&load(&[node, token].concat())), ["akosha_url"]);
    let leave = "allow_insecure_http = true\n";
    assert!(
        load(&[endpoint, node, token, leave].concat())
            .errors
            .is_empty()
    );
}

#[test]
fn forcing_the_cloud_needs_a_bucket() {
    let refused = load("force_method = \"cloud\"");
    assert_eq!(keys(&refused), ["force_method"]);
    assert!(!refused.config.should_use_cloud() && !refused.config.should_use_http());
    let bucket = "force_method = \"cloud\"\ncloud_bucket = \"abc\"";
    assert!(load(bucket).errors.is_empty());
    let bad_bucket = "force_method = \"cloud\"\ncloud_bucket = \"ab\"";
    assert_eq!(keys(&load(bad_bucket)), ["cloud_bucket"]);
}

#[cfg(unix)]
#[test]
fn a_folder_that_is_given_as_a_path_is_suggested_as_a_url() {
    for loaded in [
        load("cloud_bucket = \"/mnt/share\""),
        load_variables(&[("AKOSHA_CLOUD_BUCKET", "/mnt/share")]),
    ] {
        let hint = &loaded.errors[0].hint;
        assert_eq!(hint, "a folder is written as a URL: `file:///mnt/share`");
    }
}

#[test]
fn keys_of_s3_are_refused_for_google() {
    let keys_too = "cloud_access_key = \"a\"\ncloud_secret_key = \"b\"";
    let loaded = load(&format!("cloud_bucket = \"gs://abc\"\n{keys_too}"));
    assert_eq!(keys(&loaded), ["cloud_access_key"]);
    assert!(
        loaded.errors[0]
            .hint
            .contains("GOOGLE_APPLICATION_CREDENTIALS")
    );
    assert!(loaded.writes_allowed());
    for bucket in ["az://abc", "s3://abc"] {
        assert!(
            load(&format!("cloud_bucket = \"{bucket}\"\n{keys_too}"))
                .errors
                .is_empty()
        );
    }
}

#[test]
fn a_bucket_without_credentials_is_warned_of() {
    let warning = |text: &str, variables: &[(&str, &str)]| {
        let loaded = load_in(text, &environment(variables));
        assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
        loaded.credentials_warning
    };
    let bucket = "cloud_bucket = \"abc\"\n";
    let found = warning(bucket, &[]).unwrap();
    for name in [
        "cloud_bucket",
        "cloud_access_key",
        "AWS_ACCESS_KEY_ID",
        "~/.aws",
    ] {
        assert!(found.contains(name), "{found}");
    }
    let id = ("AWS_ACCESS_KEY_ID", "a");
    let secret = ("AWS_SECRET_ACCESS_KEY", "b");
    for variables in [&[id][..], &[secret], &[id, ("AWS_SECRET_ACCESS_KEY", "")]] {
        assert!(warning(bucket, variables).is_some(), "{variables:?}");
    }
    for variables in [
        &[id, secret][..],
        &[("AWS_ROLE_ARN", "r"), ("AWS_WEB_IDENTITY_TOKEN_FILE", "/t")],
        &[("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/r")],
    ] {
        assert_eq!(warning(bucket, variables), None, "{variables:?}");
    }
    for (bucket, name, value) in [
        ("gs://abc", "GOOGLE_APPLICATION_CREDENTIALS", "/key.json"),
        ("az://abc", "AZURE_STORAGE_ACCOUNT_KEY", "a2V5"),
        ("s3://abc", "AWS_SHARED_CREDENTIALS_FILE", "/keys"),
    ] {
        let text = format!("cloud_bucket = \"{bucket}\"");
        assert!(warning(&text, &[]).unwrap().contains("cloud_bucket"));
        assert_eq!(warning(&text, &[(name, value)]), None, "{bucket}");
    }
    let with_profile = Environment {
        credential_files: vec![".aws/credentials".into()],
        ..environment(&[])
    };
    assert_eq!(load_in(bucket, &with_profile).credentials_warning, None);
    let of_google = "cloud_bucket = \"gs://abc\"";
    assert!(
        load_in(of_google, &with_profile)
            .credentials_warning
            .is_some()
    );
    for text in [
        "",
        "cloud_bucket = \"gs://abc\"\ncloud_endpoint = \"http://127.0.0.1:4443\"",
        "cloud_bucket = \"file:///srv/vault\"",
        "cloud_bucket = \"abc\"\nforce_method = \"http\"",
        "cloud_bucket = \"abc\"\ncloud_access_key = \"a\"\ncloud_secret_key = \"b\"",
    ] {
        assert_eq!(warning(text, &[]), None, "{text}");
    }
}

#[test]
fn a_wrong_durability_counts_as_the_most_durable() {
    let wrong = [("AKOSHA_DURABILITY", "proces")];
    let loaded = load_in("durability = \"process\"", &environment(&wrong));
    assert_eq!(keys(&loaded), ["durability"]);
    assert_eq!(loaded.config.durability, Durability::Full);
    assert_eq!(loaded.shown["durability"].source.to_string(), "default");
}

#[test]
fn the_methods_follow_the_truth_table() {
    use ForceMethod::{Auto, Cloud, Http};
    for (method, bucket, fallback, cloud, http) in [
        (Auto, false, false, false, true),
        (Auto, false, true, false, true),
        (Auto, true, false, true, false),
        (Auto, true, true, true, true),
        (Cloud, true, false, true, false),
        (Cloud, true, true, true, false),
        (Cloud, false, true, false, false),
        (Http, false, false, false, true),
        (Http, false, true, false, true),
        (Http, true, false, false, true),
        (Http, true, true, false, true),
    ] {
        let mut config = Config::default_with("laptop".parse().unwrap());
        config.force_method = method;
        config.enable_fallback = fallback;
        if bucket {
            config.cloud_bucket = "abc".to_owned();
        }
        let row = format!("{method:?} {bucket} {fallback}");
        assert_eq!(config.should_use_cloud(), cloud, "{row}");
        assert_eq!(config.should_use_http(), http, "{row}");
    }
}

#[test]
fn settings_of_later_versions_are_kept_with_a_warning() {
    let loaded = load(
        "shards = 256\nstore_url = \"postgres://u:p@h/db\"\nhot_days = 7\nsync_schedule = \"@daily\"",
    );
    assert!(loaded.errors.is_empty());
    assert_eq!(loaded.config.shards, 256);
    assert_eq!(
        loaded.warnings,
        ["sync_schedule", "shards", "store_url"]
            .map(|name| format!("`{name}` has no effect in this version (file /etc/akosha.toml)"))
    );
    assert!(
        load("compression = \"gzip\"\nshutdown_grace_seconds = 5")
            .warnings
            .is_empty()
    );
}

#[test]
fn half_a_pair_of_keys_is_warned_of() {
    let warnings = load("cloud_access_key = \"a\"").warnings;
    assert_eq!(
        warnings,
        ["`cloud_access_key` has no effect without `cloud_secret_key`"]
    );
    let both = [
        ("AKOSHA_CLOUD_ACCESS_KEY", "a"),
        ("AKOSHA_CLOUD_SECRET_KEY", "b"),
    ];
    assert!(load_variables(&both).warnings.is_empty());
}

proptest! {
    #[test]
    fn any_file_is_read_without_panic(text in "\\PC*") {
        load(&text);
    }

    #[test]
    fn any_value_is_read_without_panic(
        index in 0..FIELDS.len(),
        value in prop_oneof![
            any::<i64>().prop_map(|n| n.to_string()),
            any::<f64>().prop_map(|n| format!("{n:?}")),
            "\\PC{0,80}".prop_map(|text| format!("{text:?}")),
            "[a-z:/@.*0-9 -]{0,40}".prop_map(|text| format!("{text:?}")),
            "\\PC{0,40}".prop_map(|text| format!("[{text:?}]")),
            "[a-z]{0,3}".prop_map(|text| format!("{{ {text} = 1 }}")),
        ],
    ) {
        load(&format!("{} = {value}", FIELDS[index].name));
    }

    #[test]
    fn any_environment_is_read_without_panic(
        names in proptest::collection::vec((0..FIELDS.len(), any::<String>()), 0..6),
        others in proptest::collection::vec(("(AKOSHA|CLOUD_SYNC)_[A-Z_]{0,12}", any::<String>()), 0..6),
        host_name in any::<Option<String>>(),
        flags in proptest::collection::vec(any::<(String, String)>(), 0..3),
    ) {
        let named = names.into_iter().map(|(index, text)| (FIELDS[index].variable(), text));
        let env = Environment {
            variables: named.chain(others).collect(),
            host_name,
            flags,
            ..Environment::default()
        };
        let loaded = LoadedConfig::load(&env);
        prop_assert_eq!(loaded.shown.len(), FIELDS.len());
    }
}
