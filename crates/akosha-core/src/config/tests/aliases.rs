//! The `CLOUD_SYNC_*` variables.

use super::*;
use crate::config::CloudLocation;

#[test]
fn aliases_stand_between_the_file_and_their_settings() {
    let file = "cloud_bucket = \"of-file\"";
    let alias = ("CLOUD_SYNC_BUCKET", "of-alias");
    let own = ("AKOSHA_CLOUD_BUCKET", "of-own");
    for (variables, bucket) in [
        (&[][..], "of-file"),
        (&[alias], "of-alias"),
        (&[own], "of-own"),
        (&[alias, own], "of-own"),
        (&[("CLOUD_SYNC_BUCKET", "")], "of-file"),
    ] {
        let loaded = load_in(file, &environment(variables));
        assert_eq!(loaded.config.cloud_bucket, bucket, "{variables:?}");
        assert!(loaded.errors.is_empty());
    }
}

#[test]
fn every_alias_reaches_its_setting() {
    let loaded = load_variables(&[
        ("CLOUD_SYNC_ENABLED", "true"),
        ("CLOUD_SYNC_PROVIDER", "r2"),
        ("CLOUD_SYNC_BUCKET", "abc"),
        ("CLOUD_SYNC_ENDPOINT", "https://x.r2.cloudflarestorage.com"),
        ("CLOUD_SYNC_REGION", "weur"),
        ("CLOUD_SYNC_ACCESS_KEY", "a"),
        ("CLOUD_SYNC_SECRET_KEY", "b"),
        ("CLOUD_SYNC_SCHEDULE", "0 3 * * *"),
        ("CLOUD_SYNC_PREFIX", "p/"),
        ("AKOSHA_URL", "https://akosha.example/mcp"),
        ("AKOSHA_TOKEN", "t"),
    ]);
    assert!(loaded.errors.is_empty(), "{:?}", loaded.errors);
    for (name, value, source) in [
        ("cloud_bucket", "abc", "CLOUD_SYNC_BUCKET"),
        (
            "cloud_endpoint",
            "https://x.r2.cloudflarestorage.com",
            "CLOUD_SYNC_ENDPOINT",
        ),
        ("cloud_region", "weur", "CLOUD_SYNC_REGION"),
        ("cloud_access_key", "********", "CLOUD_SYNC_ACCESS_KEY"),
        ("cloud_secret_key", "********", "CLOUD_SYNC_SECRET_KEY"),
        ("sync_schedule", "0 3 * * *", "CLOUD_SYNC_SCHEDULE"),
        ("cloud_prefix", "p", "CLOUD_SYNC_PREFIX"),
        ("akosha_url", "https://akosha.example/mcp", "AKOSHA_URL"),
        ("akosha_token", "********", "AKOSHA_TOKEN"),
    ] {
        let shown = &loaded.shown[name];
        assert_eq!(shown.value, value, "{name}");
        assert_eq!(shown.source.to_string(), format!("env {source}"));
    }
}

#[test]
fn the_switch_turns_the_cloud_off_whatever_names_a_bucket() {
    let off = ("CLOUD_SYNC_ENABLED", "false");
    for variables in [&[off][..], &[off, ("AKOSHA_CLOUD_BUCKET", "abc")]] {
        let loaded = load_in("cloud_bucket = \"abc\"", &environment(variables));
        assert!(loaded.errors.is_empty());
        assert!(!loaded.config.should_use_cloud());
        let source = loaded.shown["cloud_bucket"].source.to_string();
        assert_eq!(source, "env CLOUD_SYNC_ENABLED");
    }
    let forced = load_in(
        "cloud_bucket = \"abc\"\nforce_method = \"cloud\"",
        &environment(&[off]),
    );
    assert_eq!(keys(&forced), ["force_method"]);
    assert!(forced.errors[0].hint.contains("CLOUD_SYNC_ENABLED"));
}

#[test]
fn the_switch_brings_a_schedule() {
    let on = ("CLOUD_SYNC_ENABLED", "1");
    let loaded = load_variables(&[on, ("CLOUD_SYNC_BUCKET", "abc")]);
    assert_eq!(loaded.config.sync_schedule, "0 2 * * *");
    let kept = load_in(
        "sync_schedule = \"@weekly\"\ncloud_bucket = \"abc\"",
        &environment(&[on]),
    );
    assert_eq!(kept.config.sync_schedule, "@weekly");
    let no_bucket = load_variables(&[on]);
    let warning = "`CLOUD_SYNC_ENABLED` is true, but no bucket is set".to_owned();
    assert!(no_bucket.errors.is_empty() && no_bucket.warnings.contains(&warning));
    assert_eq!(
        keys(&load_variables(&[("CLOUD_SYNC_ENABLED", "perhaps")])),
        ["CLOUD_SYNC_ENABLED"]
    );
    assert_eq!(load("").config.sync_schedule, "");
}

#[test]
fn the_provider_says_what_a_bare_name_is() {
    let located = |provider: &str, bucket: &str| {
        let loaded = load_variables(&[
            ("CLOUD_SYNC_PROVIDER", provider),
            ("CLOUD_SYNC_BUCKET", bucket),
        ]);
        assert!(keys(&loaded).is_empty(), "{provider}");
        loaded.config.cloud_location()
    };
    assert!(matches!(
        located("s3", "abc"),
        Some(CloudLocation::S3 { .. })
    ));
    assert!(matches!(
        located("GCS", "abc"),
        Some(CloudLocation::Gcs { .. })
    ));
    assert!(matches!(
        located("azure", "abc"),
        Some(CloudLocation::Azure { .. })
    ));
    assert!(matches!(
        located("gcs", "s3://abc"),
        Some(CloudLocation::S3 { .. })
    ));
    #[cfg(unix)]
    assert_eq!(
        located("local", "/srv/my vault"),
        Some(CloudLocation::Folder("/srv/my vault".into()))
    );
    let relative = [
        ("CLOUD_SYNC_PROVIDER", "local"),
        ("CLOUD_SYNC_BUCKET", "vault"),
    ];
    assert_eq!(keys(&load_variables(&relative)), ["cloud_bucket"]);
}

#[test]
fn a_provider_without_a_default_address_needs_one() {
    for provider in ["r2", "b2", "minio"] {
        let mut variables = vec![
            ("CLOUD_SYNC_PROVIDER", provider),
            ("CLOUD_SYNC_BUCKET", "abc"),
        ];
        assert_eq!(
            keys(&load_variables(&variables)),
            ["cloud_endpoint"],
            "{provider}"
        );
        variables.push(("AKOSHA_CLOUD_ENDPOINT", "https://x.example"));
        assert!(load_variables(&variables).errors.is_empty(), "{provider}");
    }
    let wrong = load_variables(&[("CLOUD_SYNC_PROVIDER", "dropbox")]);
    assert_eq!(keys(&wrong), ["CLOUD_SYNC_PROVIDER"]);
    let alone = load_variables(&[("CLOUD_SYNC_PROVIDER", "r2")]);
    assert_eq!(
        alone.warnings,
        ["`CLOUD_SYNC_PROVIDER` has no effect without `CLOUD_SYNC_BUCKET`"]
    );
}
