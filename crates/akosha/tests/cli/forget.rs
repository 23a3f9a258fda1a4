//! `akosha forget`.

use serde_json::json;

use crate::support::Sandbox;

#[test]
fn a_forgotten_memory_is_found_no_more() {
    let sandbox = Sandbox::new();
    sandbox.store("a", "the text");
    let answer = sandbox.json(&["forget", "a"], 0);
    assert_eq!(answer["forgotten"], true);
    assert_eq!(answer["not_reached"], json!([]));
    assert_eq!(answer["already"], false);
    assert_eq!(sandbox.json(&["forget", "a"], 0)["already"], true);
    assert_eq!(sandbox.json(&["search", "text"], 0)["results"], json!([]));
    sandbox.error(&["get", "a"], 1);
    let history = sandbox.json(&["history", "a"], 0);
    assert_eq!(history["revisions"].as_array().unwrap().len(), 1);
}

#[test]
fn erased_content_is_gone() {
    let sandbox = Sandbox::with_vault();
    sandbox.store("a", "the text");
    sandbox.run(&["sync"]).ends(0);
    let answer = sandbox.json(&["forget", "a", "--erase"], 0);
    assert_eq!(answer["erased"], true);
    let note = answer["not_reached"][0].as_str().unwrap();
    assert!(note.contains("vault"), "{note}");
    assert_eq!(sandbox.json(&["history", "a"], 0)["revisions"], json!([]));
    let database = std::fs::read(sandbox.path("home/akosha.db")).unwrap();
    assert!(!database.windows(8).any(|bytes| bytes == b"the text"));
}

#[test]
fn forgetting_what_another_system_made_says_that_it_is_forgotten_here_alone() {
    let (_sender, receiver) = Sandbox::sender_and_receiver("the text");
    receiver.run(&["pull"]).ends(0);
    let place = "system `test-system`, which made the memory, its uploads and its other copies: \
                 forget it there too";
    let shown = receiver.run(&["forget", "a"]).ends(0).stdout;
    assert_eq!(shown, format!("forgotten a\nnot reached: {place}\n"));
    let answer = receiver.json(&["forget", "a"], 0);
    assert_eq!(answer["not_reached"], json!([place]));
    assert_eq!(receiver.json(&["status"], 0)["lag"]["unsynced_memories"], 0);
    let help = receiver.run(&["forget", "--help"]).ends(0).stdout;
    assert!(help.contains("forgotten here alone"), "{help}");
}

#[test]
fn an_unknown_id_is_an_error() {
    let (kind, message) = Sandbox::new().error(&["forget", "nowhere"], 1);
    assert_eq!(
        (kind.as_str(), message.as_str()),
        ("not_found", "no memory `nowhere`")
    );
}
