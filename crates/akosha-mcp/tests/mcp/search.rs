//! `search_memories`.

use crate::support::{Node, vector};
use serde_json::{Value, json};

async fn filled() -> Node {
    let node = Node::start().await;
    node.good(
        "batch_store_memories",
        json!({"memories": [
            {"memory_id": "a", "text": "Builds run with cargo nextest", "embedding": vector(1),
             "metadata": {"project": "shop", "type": "fact", "tags": ["ci", "rust"],
                          "created_at": "2026-01-10T00:00:00Z"}},
            {"memory_id": "b", "text": "The user prefers tabs in cargo files", "embedding": vector(2),
             "metadata": {"project": "akosha", "tags": ["style"],
                          "created_at": "2026-02-10T00:00:00Z"}},
            {"memory_id": "c", "text": "Deploys happen on Fridays"},
        ]}),
    )
    .await;
    node
}

fn ids(answer: &Value) -> Vec<&str> {
    answer["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|result| result["memory_id"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn words_and_meaning_find_memories() {
    let node = filled().await;
    let answer = node
        .good("search_memories", json!({"query": "nextest"}))
        .await;
    assert_eq!(ids(&answer), ["a"]);
    let found = &answer["results"][0];
    assert_eq!(found["system_id"], "node");
    assert_eq!(found["tier"], "hot");
    assert_eq!(found["created_at"], "2026-01-10T00:00:00Z");
    assert_eq!(found["metadata"]["project"], "shop");
    assert_eq!(found["matched"], json!(["keyword"]));
    assert_eq!(answer["partial"], false);
    assert_eq!(answer["missing"], json!([]));
    let answer = node
        .good(
            "search_memories",
            json!({"query": "", "embedding": vector(2), "mode": "semantic", "limit": 1}),
        )
        .await;
    assert_eq!(ids(&answer), ["b"]);
    assert_eq!(answer["results"][0]["matched"], json!(["semantic"]));
}

#[tokio::test]
async fn the_text_holds_what_was_found() {
    let node = filled().await;
    let called = node
        .call("search_memories", json!({"query": "fridays"}))
        .await;
    assert!(
        called.text.contains("Deploys happen on Fridays"),
        "{}",
        called.text
    );
    assert!(called.text.contains('c'));
    let called = node
        .call("search_memories", json!({"query": "zebra"}))
        .await;
    assert!(!called.is_error);
    assert_eq!(called.text, "Nothing found.");
}

#[tokio::test]
async fn filters_apply() {
    let node = filled().await;
    for (filter, expected) in [
        (json!({"project": "shop"}), vec!["a"]),
        (json!({"type": "fact"}), vec!["a"]),
        (json!({"tags": ["style"]}), vec!["b"]),
        (json!({"tags": ["ci", "style"]}), vec![]),
        (json!({"since": "2026-02-01"}), vec!["b"]),
        (json!({"until": "2026-02-01T00:00:00"}), vec!["a"]),
        (json!({"system_id": "other"}), vec![]),
        (json!({"min_score": 1}), vec!["a"]),
    ] {
        let mut arguments = json!({"query": "cargo", "mode": "keyword"});
        for (key, value) in filter.as_object().unwrap() {
            arguments[key] = value.clone();
        }
        let answer = node.good("search_memories", arguments).await;
        if filter.get("min_score").is_some() {
            assert_eq!(ids(&answer).len(), 1, "{filter}");
        } else {
            assert_eq!(ids(&answer), expected, "{filter}");
        }
    }
}

#[tokio::test]
async fn any_text_is_a_valid_query() {
    let node = filled().await;
    for query in [
        "",
        " ",
        "\"",
        "a\" OR \"b",
        "NEAR(",
        "-",
        "*",
        "text:cargo",
        "'; DROP TABLE changes; --",
        "AND OR NOT",
        "\u{0}",
        "🦀",
        "(((((",
        "col : x",
        "^cargo",
    ] {
        let answer = node.good("search_memories", json!({"query": query})).await;
        assert_eq!(answer["error"], Value::Null, "{query:?}");
        if query.trim().is_empty() {
            assert_eq!(answer["results"], json!([]), "{query:?}");
            assert_eq!(answer["partial"], false, "{query:?}");
        }
    }
    let found = node
        .good(
            "search_memories",
            json!({"query": "cargo AND (nextest* -\"tabs"}),
        )
        .await;
    assert!(ids(&found).contains(&"a"));
}

#[tokio::test]
async fn a_semantic_search_without_a_vector_says_that_it_is_partial() {
    let node = filled().await;
    let answer = node
        .good(
            "search_memories",
            json!({"query": "cargo", "mode": "semantic"}),
        )
        .await;
    assert_eq!(answer["partial"], true);
    assert_eq!(answer["missing"][0]["backend"], "embedding");
    assert!(answer["missing"][0]["reason"].is_string());
}

#[tokio::test]
async fn arguments_out_of_range_are_named() {
    let node = filled().await;
    for (arguments, names) in [
        (json!({}), "missing argument `query`"),
        (json!({"query": 1}), "`query`"),
        (
            json!({"query": "x", "limit": 0}),
            "`limit` is `0`, expected 1 to 100",
        ),
        (
            json!({"query": "x", "limit": 101}),
            "`limit` is `101`, expected 1 to 100",
        ),
        (json!({"query": "x", "limit": -1}), "`limit`"),
        (json!({"query": "x", "limit": 1.5}), "`limit`"),
        (json!({"query": "x", "mode": "fuzzy"}), "`mode`"),
        (
            json!({"query": "x", "embedding": [0.5, 0.5]}),
            "`embedding`",
        ),
        (json!({"query": "x", "since": "soon"}), "`since`"),
        (json!({"query": "x", "until": "2026-13-01"}), "`until`"),
        (json!({"query": "x", "system_id": "a b"}), "`system_id`"),
        (json!({"query": "x", "tags": "ci"}), "`tags`"),
        (
            json!({"query": "x", "tags": [""]}),
            "`tags` must not hold an empty tag",
        ),
        (json!({"query": "x", "min_score": 2}), "`min_score`"),
        (
            json!({"query": "x", "top_k": 3}),
            "unknown argument `top_k`",
        ),
    ] {
        let failed = node.bad("search_memories", arguments).await;
        assert_eq!(failed["results"], json!([]));
        let error = failed["error"].as_str().unwrap();
        assert!(error.contains(names), "{error} should name {names}");
    }
    let nulls =
        json!({"query": "cargo", "limit": null, "mode": null, "tags": null, "embedding": null});
    assert_eq!(ids(&node.good("search_memories", nulls).await).len(), 2);
}

#[tokio::test]
async fn what_several_systems_say_is_one_result() {
    let node = filled().await;
    for system in ["desktop", "laptop"] {
        node.merge_from(system, "x", "Deploys happen on Fridays");
    }
    let called = node
        .call("search_memories", json!({"query": "fridays"}))
        .await;
    assert_eq!(called.value["results"].as_array().unwrap().len(), 1);
    let one = &called.value["results"][0];
    assert_eq!(one["also_in"].as_array().unwrap().len(), 2);
    assert!(called.text.contains(", also in "), "{}", called.text);
    let own = json!({"query": "fridays", "system_id": "node"});
    let answer = node.good("search_memories", own).await;
    assert_eq!(ids(&answer), ["c"]);
    assert_eq!(
        answer["results"][0]["also_in"],
        json!(["desktop", "laptop"])
    );
}
