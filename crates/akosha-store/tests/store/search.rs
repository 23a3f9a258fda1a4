//! What a search finds, in which order, and what it leaves out.

use akosha_core::{Embedding, NewMemory};
use akosha_store::{Filter, Hit, SearchMode, SearchQuery, Store};
use serde_json::json;

use crate::support::{Fixture, embedded, id, memory, store, system, time, vector, with};

pub(crate) fn query(text: &str) -> SearchQuery {
    SearchQuery {
        text: text.into(),
        limit: 10,
        ..SearchQuery::default()
    }
}

fn search(store: &Store, query: &SearchQuery) -> Vec<Hit> {
    let found = store.search(query).unwrap();
    assert_eq!(found.missing, []);
    assert!(found.hits.is_sorted_by(|a, b| a.score >= b.score));
    assert!(
        found
            .hits
            .iter()
            .all(|hit| (0.0..=1.0).contains(&hit.score))
    );
    found.hits
}

pub(crate) fn ids(store: &Store, query: &SearchQuery) -> Vec<String> {
    search(store, query)
        .into_iter()
        .map(|hit| hit.memory.memory_id.into())
        .collect()
}

#[test]
fn words_find_at_once_what_was_stored() {
    let store = store();
    store.remember("a", "The deploy failed because the token had expired.");
    store.remember(
        "b",
        "Tokens rotate every week; an expired token means a failed deploy.",
    );
    store.remember("c", "Nothing of the kind.");
    let hits = search(&store, &query("expired tokens"));
    let found: Vec<_> = hits
        .iter()
        .map(|hit| hit.memory.memory_id.as_str())
        .collect();
    assert_eq!(found, ["b", "a"]);
    assert!((hits[0].score - 1.0).abs() < 1e-9);
    assert!(hits.iter().all(|hit| hit.by_keyword && !hit.by_semantic));
    // The type of a memory is not one of its words.
    assert_eq!(ids(&store, &query("session memory")), [""; 0]);
}

#[test]
fn project_tags_and_place_are_words_too() {
    let store = store();
    store.put_as(
        "here",
        &with(
            "a",
            "text",
            &json!({"project": "walrus", "tags": ["narwhal"]}),
        ),
    );
    store.put_as(
        "here",
        &with(
            "b",
            "text",
            &json!({"headings": ["Orca", "Usage"], "path": "docs/beluga.md"}),
        ),
    );
    for (word, expected) in [
        ("walrus", "a"),
        ("narwhals", "a"),
        ("orca", "b"),
        ("beluga", "b"),
    ] {
        assert_eq!(ids(&store, &query(word)), [expected], "{word}");
    }
}

#[test]
fn superseded_and_forgotten_memories_are_never_found() {
    let store = store();
    store.put_as("here", &embedded("a", "old walrus", vector(&[1.0])));
    store.put_as("here", &embedded("a", "new narwhal", vector(&[0.0, 1.0])));
    store.put_as("here", &embedded("b", "walrus", vector(&[1.0])));
    store.forget(&id("b"), None, false).unwrap();
    for mode in [
        SearchMode::Hybrid,
        SearchMode::Keyword,
        SearchMode::Semantic,
    ] {
        let asked = SearchQuery {
            mode,
            embedding: Some(vector(&[1.0])),
            ..query("walrus")
        };
        assert_eq!(ids(&store, &asked), [""; 0], "{mode:?}");
    }
    assert_eq!(ids(&store, &query("narwhal")), ["a"]);
}

/// Cosine in the widest floats there are.
fn cosine(a: &Embedding, b: &Embedding) -> f64 {
    let pairs = || a.as_slice().iter().zip(b.as_slice());
    let dot: f64 = pairs().map(|(x, y)| f64::from(*x) * f64::from(*y)).sum();
    let norm = |v: &Embedding| -> f64 {
        let squares = v.as_slice().iter().map(|x| f64::from(*x).powi(2));
        squares.sum::<f64>().sqrt()
    };
    dot / (norm(a) * norm(b))
}

fn wavy(seed: usize) -> Embedding {
    let numbers: Vec<f32> = (0..384)
        .map(|i| ((i * (seed + 3)) as f32 * 0.37).sin() + 0.3)
        .collect();
    Embedding::try_from(numbers).unwrap()
}

#[test]
fn meaning_is_the_exact_cosine() {
    let store = store();
    let batch: Vec<_> = (0..200)
        .map(|i| (system("here"), embedded(&format!("m{i}"), "text", wavy(i))))
        .collect();
    store
        .put_batch(&batch, akosha_core::IngestionMethod::Local)
        .unwrap();
    let asked = wavy(1000);
    let mut expected: Vec<(String, f64)> = (0..200)
        .map(|i| (format!("m{i}"), cosine(&asked, &wavy(i))))
        .collect();
    expected.sort_by(|a, b| b.1.total_cmp(&a.1));
    let hits = search(
        &store,
        &SearchQuery {
            mode: SearchMode::Semantic,
            embedding: Some(asked),
            limit: 50,
            ..query("")
        },
    );
    assert_eq!(hits.len(), 50);
    for (hit, (id, cosine)) in hits.iter().zip(&expected) {
        assert_eq!(hit.memory.memory_id.as_str(), id);
        assert!((hit.score - cosine).abs() < 1e-5, "{} {cosine}", hit.score);
        assert!(hit.by_semantic && !hit.by_keyword);
    }
}

#[test]
fn length_does_not_count_and_what_points_away_is_not_near() {
    let store = store();
    for (id, numbers) in [
        ("same", [2.0, 0.0]),
        ("huge", [3e37, 3e37]),
        ("away", [-1.0, 0.0]),
        ("across", [0.0, 1.0]),
        ("zero", [0.0, 0.0]),
    ] {
        store.put_as("here", &embedded(id, "text", vector(&numbers)));
    }
    store.remember("none", "text");
    let asked = |embedding| SearchQuery {
        mode: SearchMode::Semantic,
        embedding: Some(embedding),
        ..query("")
    };
    let found = ids(&store, &asked(vector(&[1e30])));
    assert_eq!(found, ["same", "huge"]);
    assert_eq!(ids(&store, &asked(vector(&[]))), [""; 0]);
}

#[test]
fn hybrid_puts_words_in_front_and_adds_meaning() {
    let store = store();
    for (id, text, numbers) in [
        ("both", "walrus", [1.0, 0.0]),
        ("words", "walrus", [-1.0, 0.0]),
        ("near", "pinniped", [1.0, 0.1]),
        ("far", "teapot", [0.1, 1.0]),
    ] {
        store.put_as("here", &embedded(id, text, vector(&numbers)));
    }
    store.remember("bare", "walrus");
    let asked = SearchQuery {
        embedding: Some(vector(&[1.0, 0.0])),
        ..query("walrus")
    };
    let hits = search(&store, &asked);
    let shown: Vec<_> = hits
        .iter()
        .map(|hit| {
            (
                hit.memory.memory_id.as_str(),
                hit.by_keyword,
                hit.by_semantic,
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            ("both", true, true),
            ("bare", true, false),
            ("words", true, false),
            ("near", false, true)
        ]
    );
    // Without words or without an embedding the other side stands alone.
    let only_near = SearchQuery {
        text: String::new(),
        ..asked.clone()
    };
    assert_eq!(ids(&store, &only_near), ["both", "near"]);
    let only_words = SearchQuery {
        embedding: None,
        ..asked
    };
    assert_eq!(ids(&store, &only_words).len(), 3);
}

#[test]
fn a_semantic_search_without_an_embedding_says_what_is_missing() {
    let store = store();
    store.remember("a", "walrus");
    let found = store
        .search(&SearchQuery {
            mode: SearchMode::Semantic,
            ..query("walrus")
        })
        .unwrap();
    assert_eq!(found.hits, []);
    assert_eq!(found.missing.len(), 1);
    assert_eq!(found.missing[0].backend, "embedding");
}

#[test]
fn filters_apply_before_the_best_are_chosen() {
    let store = store();
    let mut batch: Vec<(_, NewMemory)> = Vec::new();
    for i in 0..400 {
        // All of these match better than the one that is asked for.
        batch.push((
            system("here"),
            embedded(&format!("m{i}"), "walrus walrus", vector(&[1.0])),
        ));
    }
    let rare =
        json!({"project": "p", "type": "note", "tags": ["t", "u"], "created_at": "2020-01-01"});
    let mut one = with(
        "rare",
        "a walrus among many other words that make it weaker",
        &rare,
    );
    one.embedding = Some(vector(&[0.5, 0.5]));
    batch.push((system("there"), one));
    store
        .put_batch(&batch, akosha_core::IngestionMethod::Local)
        .unwrap();
    let all = Filter::default;
    let filters = [
        Filter {
            system_id: Some(system("there")),
            ..all()
        },
        Filter {
            project: Some("p".into()),
            ..all()
        },
        Filter {
            kind: Some("note".into()),
            ..all()
        },
        Filter {
            tags: vec!["u".into(), "t".into()],
            ..all()
        },
        Filter {
            until: Some(time("2020-01-02")),
            ..all()
        },
        Filter {
            since: Some(time("2020-01-01")),
            until: Some(time("2020-01-02")),
            ..all()
        },
    ];
    for filter in filters {
        for mode in [
            SearchMode::Hybrid,
            SearchMode::Keyword,
            SearchMode::Semantic,
        ] {
            let asked = SearchQuery {
                limit: 1,
                mode,
                embedding: Some(vector(&[1.0])),
                filter: filter.clone(),
                ..query("walrus")
            };
            assert_eq!(ids(&store, &asked), ["rare"], "{mode:?} {filter:?}");
        }
    }
}

#[test]
fn the_least_score_and_the_limit_cut_the_answer() {
    let store = store();
    store.remember("good", "walrus tusk");
    store.remember(
        "weak",
        "a walrus and much more besides, so much that it hardly counts",
    );
    store.remember("other", "tusk");
    let with = |limit, min_score| SearchQuery {
        limit,
        min_score,
        ..query("walrus tusk")
    };
    assert_eq!(ids(&store, &with(10, None)).len(), 3);
    assert_eq!(ids(&store, &with(10, Some(0.99))), ["good"]);
    assert_eq!(ids(&store, &with(10, Some(0.0))).len(), 3);
    assert_eq!(ids(&store, &with(1, None)), ["good"]);
    for (limit, min_score, field) in [
        (0, None, "limit"),
        (101, None, "limit"),
        (1, Some(1.1), "min_score"),
        (1, Some(-0.1), "min_score"),
        (1, Some(f64::NAN), "min_score"),
    ] {
        let error = store
            .search(&with(limit, min_score))
            .unwrap_err()
            .to_string();
        assert!(error.starts_with(&format!("`{field}` is")), "{error}");
    }
}

#[test]
fn every_script_is_found() {
    let store = store();
    let texts = [
        ("ru", "Миграция базы данных заняла час", "базы миграция"),
        ("el", "Η μετεγκατάσταση της βάσης", "βάσης"),
        ("ar", "استغرقت هجرة قاعدة البيانات ساعة", "قاعدة البيانات"),
        ("he", "העברת מסד הנתונים", "הנתונים"),
        ("hi", "डेटाबेस का स्थानांतरण", "डेटाबेस"),
        ("ja", "データベースの移行に一時間かかった", "移行"),
        ("zh", "数据库迁移花了一个小时", "数据库的迁移"),
        (
            "ko",
            "데이터베이스를 이전하는 데 한 시간이 걸렸다",
            "데이터베이스",
        ),
        ("th", "การย้ายฐานข้อมูลใช้เวลาหนึ่งชั่วโมง", "ฐานข้อมูล"),
        ("de", "Die Überführung dauerte länger", "uberfuhrung"),
        ("mixed", "Rust言語のlifetime", "Rust言語"),
    ];
    for (id, text, _) in texts {
        store.put_as("here", &memory(id, text));
    }
    for (id, _, asked) in texts {
        assert_eq!(
            ids(&store, &query(asked)).first().map(String::as_str),
            Some(id),
            "{asked}"
        );
    }
}

#[test]
fn one_answer_holds_at_most_what_was_asked_of_many_matches() {
    let store: Fixture = store();
    let batch: Vec<_> = (0..500)
        .map(|i| (system("here"), memory(&format!("m{i}"), "walrus")))
        .collect();
    store
        .put_batch(&batch, akosha_core::IngestionMethod::Local)
        .unwrap();
    for limit in [1, 10, 100] {
        let found = ids(
            &store,
            &SearchQuery {
                limit,
                ..query("walrus")
            },
        );
        assert_eq!(found.len(), limit);
    }
}
