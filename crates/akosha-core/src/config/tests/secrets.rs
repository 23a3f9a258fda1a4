//! Secrets are neither shown nor quoted, and a file that holds one is for its owner alone.

use super::*;
use crate::config::ConfigSource;

const SECRET: &str = "s3cret-and-long";

#[track_caller]
fn hides(loaded: &LoadedConfig) {
    let shown = format!(
        "{loaded:?} {} {} {:?}",
        serde_json::json!(loaded.errors),
        serde_json::json!(loaded.shown),
        loaded
            .errors
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>(),
    );
    assert!(!shown.contains(SECRET), "{shown}");
}

#[test]
fn secrets_are_masked_wherever_they_appear() {
    for text in [
        format!("akosha_token = \"{SECRET}\""),
        format!("akosha_token = \"{SECRET}\\n\""),
        format!("akosha_token = [\"{SECRET}\"]"),
        format!("akosha_token = \"{SECRET}"),
        format!("akosha_token = {SECRET}"),
        format!("cloud_secret_kye = \"{SECRET}\""),
        format!("store_url = \"postgres://me:{SECRET}@host/db\""),
        format!("store_url = \"mysql://me:{SECRET}@host/db\""),
        format!("milvus_url = \"http://{SECRET}@host\""),
        format!("akosha_url = \"https://me:{SECRET}@host\""),
        format!("cloud_endpoint = \"https://{SECRET}@host\""),
        format!("cloud_endpoint = \"https://host/container?sv=1&sig={SECRET}\""),
        format!("cloud_endpoint = \"https://host/container#{SECRET}\""),
        format!("cloud_endpoint = \"host/container?sv=1&sig={SECRET}\""),
        format!("cloud_endpont = \"https://host/container?sig={SECRET}\""),
        format!("store_url = \"postgres://host/db?password={SECRET}\""),
        format!("cloud_bucket = \"s3://key:{SECRET}@abc\""),
        format!("[secrets]\nakosha_token = \"{SECRET}\""),
    ] {
        hides(&load(&text));
    }
    for name in [
        "AKOSHA_AKOSHA_TOKEN",
        "AKOSHA_TOKEN",
        "CLOUD_SYNC_SECRET_KEY",
        "AKOSHA_TOKN",
    ] {
        hides(&load_variables(&[(name, SECRET)]));
        hides(&load_variables(&[(name, &format!(" {SECRET}"))]));
    }
}

#[test]
fn a_url_is_shown_without_its_password() {
    let loaded = load("store_url = \"postgres://me:pw@host/db\"");
    assert_eq!(
        loaded.shown["store_url"].value,
        "postgres://********@host/db"
    );
    assert_eq!(load("").shown["akosha_token"].value, "");
    assert_eq!(
        load("akosha_token = \"t\"").shown["akosha_token"].value,
        "********"
    );
}

fn load_with_mode(text: &str, mode: Option<u32>) -> LoadedConfig {
    let file = file::parse(Path::new("/etc/akosha.toml"), text.as_bytes(), mode);
    LoadedConfig::with_file(&environment(&[]), file.map(Some))
}

#[test]
fn a_file_with_secrets_is_for_its_owner_alone() {
    let text = "cloud_access_key = \"a\"\ncloud_secret_key = \"b\"";
    for mode in [0o644, 0o640, 0o604, 0o660, 0o601] {
        let loaded = load_with_mode(text, Some(mode));
        let [error] = &loaded.errors[..] else {
            panic!("{:?}", loaded.errors)
        };
        assert_eq!(error.key, "cloud_access_key");
        assert_eq!(error.source, ConfigSource::File("/etc/akosha.toml".into()));
        assert!(
            error.message.contains(&format!("{mode:04o}")),
            "{}",
            error.message
        );
        assert!(
            error.message.contains("`cloud_secret_key`"),
            "{}",
            error.message
        );
        assert_eq!(error.hint, "run `chmod 600 /etc/akosha.toml`");
        assert!(loaded.writes_allowed());
    }
    for (text, mode) in [
        (text, Some(0o600)),
        (text, Some(0o400)),
        (text, None),
        ("max_retries = 3", Some(0o644)),
        ("akosha_token = \"\"", Some(0o644)),
        ("store_url = \"postgres://host/db\"", Some(0o644)),
    ] {
        assert!(
            load_with_mode(text, mode).errors.is_empty(),
            "{text} {mode:?}"
        );
    }
    let url = "store_url = \"postgres://u:p@host/db\"";
    assert_eq!(keys(&load_with_mode(url, Some(0o644))), ["store_url"]);
}
