//! Rows of every table, and what a row may lack.

use serde_json::json;

use super::super::tables::{self, Described};
use super::*;

/// Makes an item of a row of a table with columns of these types.
fn item(table: &str, types: &[(&str, &str)], line: Value) -> Result<Item, String> {
    let described: Vec<Described> = types
        .iter()
        .map(|(column, sql_type)| Described {
            table: table.into(),
            column: (*column).into(),
            sql_type: (*sql_type).into(),
        })
        .collect();
    let (tables, faults) = tables::known(&described);
    assert_eq!(faults, []);
    let row: Row = serde_json::from_value(line).unwrap();
    row.item(&tables[0], "here".into())
}

fn line(columns: &Value) -> Value {
    json!({"id": columns["id"], "bytes": 10, "is_taken": false, "columns": columns})
}

const CONVERSATION: &[(&str, &str)] = &[
    ("id", "VARCHAR"),
    ("content", "VARCHAR"),
    ("embedding", "FLOAT[384]"),
    ("category", "VARCHAR"),
    ("importance_score", "FLOAT"),
    ("project", "VARCHAR"),
    ("timestamp", "TIMESTAMP"),
    ("session_id", "VARCHAR"),
    ("reasoning", "VARCHAR"),
    ("metadata", "VARCHAR"),
    ("source", "VARCHAR"),
    ("count", "INTEGER"),
];

#[test]
fn a_conversation_keeps_all_that_it_says() {
    let item = item(
        "conversations_v2",
        CONVERSATION,
        line(&json!({
            "id": "5eaa", "content": "text", "embedding": "[0.5, -1e-3]", "category": "context",
            "importance_score": "0.3", "project": "akosha", "session_id": null,
            "timestamp": "2026-11-20 10:58:20.735082", "reasoning": "", "count": 7,
            "metadata": "{\"nr\": {\"a\": 1}}", "source": "column",
        })),
    )
    .unwrap();
    assert_eq!(
        (item.memory_id.as_str(), item.text.as_str()),
        ("5eaa", "text")
    );
    assert_eq!(item.embedding, Some(vec![0.5, -0.001]));
    assert_eq!(
        Value::Object(item.metadata),
        json!({
            "source": "session-buddy", "type": "conversation", "table": "conversations_v2",
            "original_id": "5eaa", "created_at": "2026-11-20T10:58:20.735082Z",
            "category": "context", "importance_score": 0.3, "project": "akosha", "count": 7,
            "metadata": {"nr": {"a": 1}}, "session_buddy_source": "column",
        })
    );
}

#[test]
fn a_reflection_keeps_its_tags_and_times() {
    let item = item(
        "reflections_v2",
        &[
            ("id", "VARCHAR"),
            ("content", "VARCHAR"),
            ("tags", "VARCHAR[]"),
            ("related_entities", "VARCHAR[]"),
            ("timestamp", "TIMESTAMP"),
            ("created_at", "TIMESTAMP WITH TIME ZONE"),
            ("updated_at", "TIMESTAMP"),
            ("source_session_id", "VARCHAR"),
            ("metadata", "JSON"),
        ],
        line(&json!({
            "id": "01M", "content": "c", "tags": ["ci", null, " ", "rust"],
            "related_entities": [], "timestamp": "2026-11-20 11:00:00",
            "created_at": "2026-11-20 11:58:32.5+01", "updated_at": "infinity",
            "source_session_id": "s-1", "metadata": "{broken",
        })),
    )
    .unwrap();
    assert_eq!(
        Value::Object(item.metadata),
        json!({
            "source": "session-buddy", "type": "reflection", "table": "reflections_v2",
            "original_id": "01M", "created_at": "2026-11-20T10:58:32.500Z",
            "timestamp": "2026-11-20T11:00:00Z", "updated_at": "infinity",
            "tags": ["ci", "rust"], "session_id": "s-1", "metadata": "{broken",
        })
    );
    assert_eq!(item.embedding, None);
}

#[test]
fn entities_and_relations_become_sentences() {
    let entity = item(
        "kg_entities",
        &[
            ("id", "VARCHAR"),
            ("name", "VARCHAR"),
            ("entity_type", "VARCHAR"),
            ("observations", "VARCHAR[]"),
            ("properties", "JSON"),
        ],
        line(&json!({
            "id": "e1", "name": "DuckDB", "entity_type": "library",
            "observations": ["is columnar", "", "has one writer"], "properties": "{\"v\": 2}",
        })),
    )
    .unwrap();
    assert_eq!(entity.text, "DuckDB (library)\nis columnar\nhas one writer");
    assert_eq!(entity.metadata["entity_type"], "library");
    assert_eq!(entity.metadata["properties"], json!({"v": 2}));
    assert_eq!(entity.metadata["type"], "entity");

    let types = &[
        ("id", "VARCHAR"),
        ("from_entity", "VARCHAR"),
        ("to_entity", "VARCHAR"),
        ("relation_type", "VARCHAR"),
    ];
    let row = json!({"id": "r", "from_entity": "e1", "to_entity": "e2", "relation_type": "uses"});
    let mut known = line(&row);
    known["from"] = json!("Akosha");
    let relation = item("kg_relationships", types, known).unwrap();
    assert_eq!(relation.text, "Akosha uses e2");
    assert_eq!(relation.metadata["from_name"], "Akosha");
    assert_eq!(relation.metadata["from_entity"], "e1");
    assert!(!relation.metadata.contains_key("to_name"));
    assert_eq!(relation.metadata["type"], "relation");
}

#[test]
fn a_row_that_can_be_no_memory_says_why() {
    let too_large = json!({"id": "a", "bytes": 5_000_000, "is_taken": false, "columns": null});
    for (line, reason) in [
        (line(&json!({"id": null, "content": "x"})), "has no id"),
        (line(&json!({"id": "", "content": "x"})), "has no id"),
        (
            too_large,
            "is 5000000 bytes, more than the 4194304 that are read",
        ),
    ] {
        let error = item(
            "conversations",
            &[("id", "VARCHAR"), ("content", "VARCHAR")],
            line,
        );
        assert_eq!(error.unwrap_err(), reason);
    }
}

#[test]
fn an_id_that_another_kind_has_is_made_another() {
    let mut line = line(&json!({"id": "a", "content": "x"}));
    line["is_taken"] = json!(true);
    let types = &[("id", "VARCHAR"), ("content", "VARCHAR")];
    let item = item("reflections", types, line).unwrap();
    assert_eq!(item.memory_id, "reflection:a");
    assert_eq!(item.metadata["original_id"], "a");
}

#[test]
fn what_is_no_vector_is_told_from_none() {
    assert_eq!(vector("[1, 2.5]"), [1.0, 2.5]);
    assert!(
        vector("[nan, inf]")
            .iter()
            .all(|number| !number.is_finite())
    );
    for text in ["[]", "", "[1, NULL]", "{1}", "[a]"] {
        assert_eq!(vector(text), Vec::<f32>::new(), "{text}");
    }
}
