//! `get_memory`, `list_memories`, `forget_memory`.

use crate::support::{Node, config, id};
use akosha_mcp::Origin;
use serde_json::{Value, json};

#[tokio::test]
async fn a_memory_is_shown_whole() {
    let node = Node::start().await;
    node.good(
        "store_memory",
        json!({"memory_id": "a b/ä", "text": "hello", "metadata": {"type": "note", "created_at": "2026-01-01"}}),
    )
    .await;
    let called = node.call("get_memory", json!({"memory_id": "a b/ä"})).await;
    assert!(called.text.contains("hello"));
    let memory = called.value;
    assert_eq!(memory["text"], "hello");
    assert_eq!(memory["created_at"], "2026-01-01T00:00:00Z");
    assert_eq!(memory["revision"], 1);
    assert_eq!(memory["tier"], "hot");
    assert_eq!(memory["embedding_dim"], Value::Null);
}

#[tokio::test]
async fn an_unknown_memory_is_an_error() {
    let node = Node::start().await;
    for tool in ["get_memory", "forget_memory"] {
        let failed = node
            .bad(tool, json!({"memory_id": "nope", "system_id": "node"}))
            .await;
        assert_eq!(failed["kind"], "not_found");
        assert_eq!(failed["error"], "no memory `nope`");
        assert_eq!(failed["memory_id"], "nope");
        for arguments in [
            json!({}),
            json!({"memory_id": ""}),
            json!({"memory_id": "x", "system_id": "a b"}),
            json!({"memory_id": 1}),
            json!({"memory_id": "x", "id": "x"}),
        ] {
            let failed = node.bad(tool, arguments).await;
            assert_eq!(failed["kind"], "invalid");
        }
    }
}

#[tokio::test]
async fn an_id_of_several_systems_needs_its_system() {
    let node = Node::start().await;
    node.merge_from("one", "shared", "from one");
    node.merge_from("two", "shared", "from two");
    let failed = node.bad("get_memory", json!({"memory_id": "shared"})).await;
    assert!(failed["error"].as_str().unwrap().contains("one, two"));
    assert!(failed["hint"].as_str().unwrap().contains("system_id"));
    let memory = node
        .good(
            "get_memory",
            json!({"memory_id": "shared", "system_id": "two"}),
        )
        .await;
    assert_eq!(memory["text"], "from two");
}

#[tokio::test]
async fn lists_go_in_pages_newest_first() {
    let node = Node::start().await;
    for day in 1..=5 {
        let created_at = format!("2026-01-0{day}");
        let project = if day % 2 == 0 { "even" } else { "odd" };
        node.good(
            "store_memory",
            json!({"memory_id": created_at, "text": "x", "metadata": {"created_at": created_at, "project": project}}),
        )
        .await;
    }
    let mut seen = Vec::new();
    let mut cursor = Value::Null;
    loop {
        let page = node
            .good("list_memories", json!({"limit": 2, "cursor": cursor}))
            .await;
        for memory in page["memories"].as_array().unwrap() {
            seen.push(memory["memory_id"].as_str().unwrap().to_owned());
        }
        cursor = page["next_cursor"].clone();
        if cursor.is_null() {
            break;
        }
    }
    assert_eq!(
        seen,
        [
            "2026-01-05",
            "2026-01-04",
            "2026-01-03",
            "2026-01-02",
            "2026-01-01"
        ]
    );
    let even = node
        .good(
            "list_memories",
            json!({"filters": {"project": "even", "since": "2026-01-03"}}),
        )
        .await;
    assert_eq!(even["memories"].as_array().unwrap().len(), 1);
    for (arguments, names) in [
        (json!({"limit": 0}), "`limit`"),
        (json!({"limit": 1001}), "`limit`"),
        (json!({"cursor": "x"}), "`cursor`"),
        (json!({"filters": {"since": "soon"}}), "`filters.since`"),
        (json!({"filters": {"tags": [" "]}}), "`filters.tags`"),
        (
            json!({"filters": {"color": "red"}}),
            "unknown argument `color`",
        ),
        (json!({"project": "x"}), "unknown argument `project`"),
    ] {
        let failed = node.bad("list_memories", arguments).await;
        let error = failed["error"].as_str().unwrap();
        assert!(error.contains(names), "{error} should name {names}");
    }
}

#[tokio::test]
async fn what_is_forgotten_is_found_no_more() {
    let node = Node::start().await;
    node.good(
        "store_memory",
        json!({"memory_id": "a", "text": "secret plan"}),
    )
    .await;
    let answer = node.good("forget_memory", json!({"memory_id": "a"})).await;
    assert_eq!(answer["forgotten"], true);
    assert_eq!(answer["erased"], false);
    assert_eq!(answer["already"], false);
    assert_eq!(answer["revision"], 2);
    assert_eq!(answer["not_reached"], json!([]));
    let again = node.good("forget_memory", json!({"memory_id": "a"})).await;
    assert_eq!(again["already"], true);
    assert_eq!(again["revision"], 2);
    node.bad("get_memory", json!({"memory_id": "a"})).await;
    let found = node
        .good("search_memories", json!({"query": "secret"}))
        .await;
    assert_eq!(found["results"], json!([]));
    let erased = node
        .good("forget_memory", json!({"memory_id": "a", "erase": true}))
        .await;
    assert_eq!(erased["erased"], true);
    assert_eq!(erased["not_reached"], json!([]), "nothing was pushed");
}

#[tokio::test]
async fn a_deletion_of_what_another_system_made_says_what_it_does_not_reach() {
    let node = Node::start().await;
    node.merge_from("laptop", "a", "from laptop");
    for (erase, verb) in [(false, "forget"), (true, "erase")] {
        let arguments = json!({"memory_id": "a", "erase": erase});
        let called = node.call("forget_memory", arguments).await;
        let place = format!(
            "system `laptop`, which made the memory, its uploads and its other copies: {verb} it \
             there too"
        );
        assert_eq!(called.value["not_reached"], json!([place]));
        assert!(called.text.ends_with(&place), "{}", called.text);
    }
}

#[tokio::test]
async fn a_bound_client_forgets_only_its_own() {
    let origin = Origin::Http {
        bound: Some(id("laptop")),
    };
    let node = Node::with(origin, config()).await;
    node.merge_from("laptop", "mine", "from laptop");
    node.merge_from("other", "theirs", "from other");
    let refused = node
        .bad(
            "forget_memory",
            json!({"memory_id": "theirs", "system_id": "other"}),
        )
        .await;
    assert_eq!(refused["kind"], "auth");
    let missing = node
        .bad("forget_memory", json!({"memory_id": "theirs"}))
        .await;
    assert_eq!(missing["kind"], "not_found");
    node.good("forget_memory", json!({"memory_id": "mine"}))
        .await;
}
