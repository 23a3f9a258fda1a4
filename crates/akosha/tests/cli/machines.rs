//! `akosha machines`.

use crate::support::Sandbox;

#[test]
fn adopting_settles_a_conflict() {
    let first = Sandbox::with_vault();
    let second = Sandbox::new().with("AKOSHA_CLOUD_BUCKET", &first.vault_url());
    first.store("a", "text");
    second.store("b", "text");
    first.run(&["sync"]).ends(0);
    second.run(&["sync"]).ends(4);
    let answer = second.json(&["machines", "adopt"], 0);
    assert_eq!(answer["system_id"], "test-system");
    assert!(answer["epoch"].as_i64().unwrap() > 0, "{answer}");
    second.run(&["sync"]).ends(0);
    first.store("c", "text");
    first.run(&["sync"]).ends(4);
}

#[test]
fn without_a_vault_it_is_a_configuration_error() {
    let (kind, _) = Sandbox::new().error(&["machines", "adopt"], 2);
    assert_eq!(kind, "config");
}
