//! `akosha token`: the secret is shown once and kept nowhere.

use crate::support::Sandbox;

#[test]
fn a_secret_is_shown_once_and_not_kept() {
    let sandbox = Sandbox::new();
    let made = sandbox.json(
        &[
            "token",
            "create",
            "--name",
            "ci",
            "--scope",
            "write",
            "--expires",
            "90d",
        ],
        0,
    );
    let secret = made["token"].as_str().unwrap();
    assert!(
        secret.starts_with("akosha_") && secret.len() == 71,
        "{secret}"
    );
    assert_eq!(made["scopes"], serde_json::json!(["read", "write"]));
    let listed = sandbox.run(&["token", "list"]).ends(0).stdout;
    assert!(listed.contains("ci  write, until "), "{listed}");
    assert!(!listed.contains(secret));
    for entry in std::fs::read_dir(sandbox.path("home")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            let found = bytes
                .windows(secret.len())
                .any(|part| part == secret.as_bytes());
            assert!(!found, "{}", path.display());
        }
    }
}

#[test]
fn a_token_is_taken_back_and_forgotten() {
    let sandbox = Sandbox::new();
    let bound = ["token", "create", "--name", "les", "--system", "laptop"];
    let made = sandbox.json(&bound, 0);
    assert_eq!(made["system_id"], "laptop");
    assert_eq!(made["scopes"], serde_json::json!(["read"]));
    let (kind, message) = sandbox.error(&bound, 2);
    assert_eq!(
        (kind.as_str(), message.contains("`les`")),
        ("invalid", true)
    );
    let revoked = sandbox.json(&["token", "revoke", made["id"].as_str().unwrap()], 0);
    assert_eq!(revoked["revoked"]["standing"], "revoked");
    let (kind, _) = sandbox.error(&["token", "revoke", "les"], 1);
    assert_eq!(kind, "not_found");
    assert_eq!(sandbox.json(&["token", "prune"], 0)["removed"], 1);
    let listed = sandbox.run(&["token", "list"]).ends(0).stdout;
    assert!(listed.contains("no tokens"), "{listed}");
}

#[test]
fn rights_that_contradict_each_other_are_refused() {
    let sandbox = Sandbox::new();
    let create = ["token", "create", "--name", "x"];
    for more in [
        &["--scope", "admin", "--system", "laptop"][..],
        &["--scope", "root"],
        &["--system", "a b"],
        &["--expires", "yesterday"],
        &["--expires", "2020-01-01"],
    ] {
        sandbox.error(&[&create[..], more].concat(), 2);
    }
}
