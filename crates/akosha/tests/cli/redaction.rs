//! The user's own redaction rules, by hand and by hook.

use crate::support::Sandbox;

const RULES: &str = "[[rule]]\nname = 'badge'\npattern = 'B-[0-9]{4}'\n";

#[test]
fn rules_of_the_users_own_hold_for_what_is_stored() {
    let sandbox = Sandbox::new();
    let file = sandbox.file("rules.toml", RULES);
    let sandbox = sandbox.with("AKOSHA_REDACTION_RULES", &file);
    let answer = sandbox.json(&["store", "--id", "a", "ask B-1234"], 0);
    assert_eq!(answer["redactions"], 1);
    sandbox.file("docs/a.md", "# One\n\nB-1234 and B-4321 came\n");
    let answer = sandbox.json(&["import", "markdown", "docs"], 0);
    assert_eq!(answer["redactions"], 2);
    let found = sandbox.json(&["list"], 0);
    let texts = found["memories"].to_string();
    assert!(
        texts.contains("[redacted:badge]") && !texts.contains("B-1"),
        "{texts}"
    );
    let shown = sandbox.json(&["config", "show"], 0);
    assert_eq!(shown["redaction_rules"]["value"], file);
}

#[test]
fn a_bad_rule_is_named_and_nothing_is_stored() {
    let sandbox = Sandbox::new();
    sandbox.file(
        "config/akosha/redaction.toml",
        format!("{RULES}[[rule]]\nname = 'pin'\npattern = 'x('\n"),
    );
    let checked = sandbox.json(&["config", "check"], 2);
    assert_eq!(checked["valid"], false);
    let error = &checked["errors"][0];
    assert_eq!(error["key"], "redaction_rules");
    let message = error["message"].as_str().unwrap();
    assert!(
        message.contains("rule `pin`") && message.contains("unclosed group"),
        "{message}"
    );
    sandbox.error(&["store", "ask B-1234"], 2);

    let summary =
        r#"{"session_id": "s", "hook_event_name": "PreCompact", "compact_summary": "B-1"}"#;
    sandbox.run_with(&["hook", "post-compact"], summary).ends(0);
    std::fs::remove_file(sandbox.path("config/akosha/redaction.toml")).unwrap();
    let found = sandbox.json(&["list"], 0);
    assert_eq!(found["memories"], serde_json::json!([]));
}
