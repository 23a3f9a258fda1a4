//! Any text is a valid query, and any text can be found again.

use akosha_store::SearchQuery;
use proptest::prelude::*;

use crate::search::{ids, query};
use crate::support::{Fixture, memory, store};

fn sample() -> Fixture {
    let store = store();
    store.remember("a", "The walrus and the carpenter");
    store.remember("b", "to be or not to be");
    store.remember("c", "C++ && operator-> isn't \"quoted\" 100%");
    store
}

#[test]
fn operators_quotes_and_oddities_are_plain_text() {
    let store = sample();
    for text in [
        "",
        " ",
        "\0",
        "\"",
        "'",
        "\"unclosed",
        "walrus\" OR \"1",
        "walrus*",
        "text:walrus",
        "labels : walrus",
        "NEAR(walrus carpenter, 2)",
        "AND OR NOT",
        "-walrus",
        "^walrus",
        "{text labels}: walrus",
        "walrus + carpenter",
        "'; DROP TABLE changes; --",
        "the of and",
        "!?.,;:()[]{}<>|&%$#@~`^*-+=/\\",
        "🦀🦀🦀",
        "👩‍👩‍👧‍👦 walrus",
        "\u{202e}surlaw",
        "e\u{301}\u{301}\u{301}",
        "ⓐⓑ",
        "\u{fdd0}\u{10ffff}",
        "ﷺ",
    ] {
        let found = ids(&store, &query(text));
        if text.contains("walrus") {
            assert_eq!(found.first().map(String::as_str), Some("a"), "{text:?}");
        }
    }
    assert_eq!(ids(&store, &query("to be or not to be")), ["b"]);
    assert_eq!(ids(&store, &query("C++ operator->")), ["c"]);
    assert_eq!(ids(&store, &query("!!! ???")), [""; 0]);
}

#[test]
fn ten_thousand_characters_are_a_query() {
    let store = sample();
    for text in [
        "walrus ".repeat(1500),
        "x".repeat(10_000),
        "a.b/".repeat(2500),
        "\"".repeat(10_000),
        "日本語".repeat(3334),
        "the ".repeat(2500),
        (0..2000)
            .map(|i| format!("w{i}-"))
            .collect::<Vec<_>>()
            .concat(),
        "walrus".to_owned() + &"\0".repeat(10_000),
    ] {
        let shown: String = text.chars().take(7).collect();
        let found = store.search(&query(&text));
        assert!(found.is_ok(), "{shown:?} {:?}", found.unwrap_err());
    }
    assert_eq!(ids(&store, &query(&"walrus ".repeat(1500))), ["a"]);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn no_text_is_an_error(text in any::<String>(), more in r#"["'*:^(){}+\-\x00 aAND]{0,40}"#) {
        thread_local! {
            static STORE: Fixture = sample();
        }
        STORE.with(|store| {
            for text in [&text, &more, &format!("{more}{text}{more}")] {
                store.search(&query(text)).unwrap();
            }
        });
    }

    #[test]
    fn a_word_finds_the_text_that_holds_it(
        before in any::<String>(),
        word in "[a-z]{12,20}|[а-я]{12,20}|[0-9]{12,20}|[一-龥]{2,6}",
        after in any::<String>(),
    ) {
        thread_local! {
            static STORE: Fixture = store();
        }
        STORE.with(|store| {
            let text = format!("{before} {word} {after}");
            let stored = store.put_as("here", &akosha_core::NewMemory {
                memory_id: None,
                ..memory("unused", &text)
            });
            let read = store.get(&stored.memory_id, None).unwrap().unwrap();
            assert_eq!(read.text, text);
            let asked = SearchQuery { limit: 100, ..query(&word) };
            assert!(ids(store, &asked).contains(&stored.memory_id.to_string()), "{text:?}");
        });
    }
}
