//! `akosha doctor`.

use serde_json::Value;

use crate::support::Sandbox;

/// Returns the states of the checks of a name.
fn states<'a>(answer: &'a Value, name: &str) -> Vec<&'a str> {
    let checks = answer["checks"].as_array().unwrap().iter();
    let named = checks.filter(|check| check["name"] == name);
    named
        .map(|check| check["state"].as_str().unwrap())
        .collect()
}

#[test]
fn a_machine_in_order_is_healthy() {
    let sandbox = Sandbox::with_vault();
    sandbox.store("a", "text");
    let answer = sandbox.json(&["doctor"], 0);
    assert_eq!(answer["healthy"], true, "{answer}");
    assert_eq!(states(&answer, "lag"), ["warning"], "{answer}");
    sandbox.json(&["sync"], 0);
    let answer = sandbox.json(&["doctor"], 0);
    for name in ["configuration", "home", "keys", "queue", "lag"] {
        assert_eq!(states(&answer, name), ["ok"], "{name}: {answer}");
    }
    let text = sandbox.run(&["doctor"]).ends(0).stdout;
    assert!(text.contains("nothing stands in the way"), "{text}");
}

#[test]
fn each_thing_in_the_way_is_named_with_what_to_do() {
    let sandbox = Sandbox::with_vault().with("AKOSHA_MAX_RETRIES", "99");
    let answer = sandbox.json(&["doctor"], 1);
    assert_eq!(states(&answer, "configuration"), ["failed"], "{answer}");
    let failed = answer["checks"].as_array().unwrap().iter();
    for check in failed.filter(|check| check["state"] != "ok") {
        assert!(check["hint"].is_string(), "{check}");
    }
}
