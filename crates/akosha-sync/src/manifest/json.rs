//! JSON that has one meaning only (I-JSON): no key twice, integers of at most 53 bits, exact
//! floating-point numbers. A checksum over anything else could differ between two readers.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Number, Value};

use super::MAX_SAFE_INTEGER;

/// Deepest nesting.
const MAX_DEPTH: usize = 32;

/// Most values in one document.
const MAX_VALUES: usize = 2_000_000;

/// Reads a document.
///
/// # Errors
/// Says what is wrong with it.
pub(super) fn parse(bytes: &[u8]) -> Result<Value, String> {
    let raw: &RawValue = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    let mut budget = MAX_VALUES;
    value(raw, MAX_DEPTH, &mut budget)
}

fn value(raw: &RawValue, depth: usize, budget: &mut usize) -> Result<Value, String> {
    *budget = budget
        .checked_sub(1)
        .ok_or_else(|| format!("it has more than {MAX_VALUES} values"))?;
    let text = raw.get();
    let below = || {
        depth
            .checked_sub(1)
            .ok_or_else(|| format!("it is nested deeper than {MAX_DEPTH} levels"))
    };
    match text.as_bytes().first() {
        Some(b'{') => {
            let depth = below()?;
            let entries: Entries<'_> = read(text)?;
            let mut map = Map::new();
            for (key, raw) in entries.0 {
                let value = value(raw, depth, budget)?;
                if map.contains_key(&key) {
                    let shown: String = key.chars().take(60).collect();
                    return Err(format!("the key `{}` stands twice", shown.escape_debug()));
                }
                map.insert(key, value);
            }
            Ok(Value::Object(map))
        }
        Some(b'[') => {
            let depth = below()?;
            let items: Items<'_> = read(text)?;
            let items = items.0.into_iter();
            items
                .map(|raw| value(raw, depth, budget))
                .collect::<Result<_, _>>()
                .map(Value::Array)
        }
        Some(b'-' | b'0'..=b'9') => number(text).map(Value::Number),
        _ => read(text),
    }
}

fn read<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

fn number(text: &str) -> Result<Number, String> {
    let refused = || {
        let shown: String = text.chars().take(40).collect();
        format!("the number {shown} is not exact in every reader")
    };
    if text.bytes().any(|byte| matches!(byte, b'.' | b'e' | b'E')) || text == "-0" {
        // Not serde_json's own reading: that may be off in the last place.
        let number: f64 = text.parse().map_err(|_| refused())?;
        return Number::from_f64(number).ok_or_else(refused);
    }
    match text.parse::<i64>() {
        Ok(number) if number.abs() <= MAX_SAFE_INTEGER => Ok(number.into()),
        _ => Err(refused()),
    }
}

/// The entries of an object, in their order and not yet read.
struct Entries<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Entries<'de> {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Entries<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries<'de>, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    if entries.len() == MAX_VALUES {
                        return Err(A::Error::custom("too many entries"));
                    }
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }
        input.deserialize_map(Read)
    }
}

/// The items of an array, in their order and not yet read.
struct Items<'a>(Vec<&'a RawValue>);

impl<'de> Deserialize<'de> for Items<'de> {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Items<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Items<'de>, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element()? {
                    if items.len() == MAX_VALUES {
                        return Err(A::Error::custom("too many items"));
                    }
                    items.push(item);
                }
                Ok(Items(items))
            }
        }
        input.deserialize_seq(Read)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ordinary_documents_are_read() {
        let text = r#" {"a": [1, -2, 1.5, true, null], "b": {"c": "x\u00e9\n"}, "d": 1e2} "#;
        let expected = json!({"a": [1, -2, 1.5, true, null], "b": {"c": "xé\n"}, "d": 100.0});
        assert_eq!(parse(text.as_bytes()), Ok(expected));
        let edge = MAX_SAFE_INTEGER;
        assert_eq!(parse(edge.to_string().as_bytes()), Ok(json!(edge)));
    }

    #[test]
    fn what_two_readers_may_read_differently_is_refused() {
        let deep = "[".repeat(40) + &"]".repeat(40);
        let deepest = "[".repeat(100_000);
        for bad in [
            "",
            "{",
            "{}x",
            "{\"a\":1,\"a\":1}",
            "{\"b\":{\"a\":1,\"\\u0061\":2}}",
            "9007199254740992",
            "-9007199254740992",
            "18446744073709551616",
            "1e400",
            "01",
            "\"\\ud800\"",
            "NaN",
            "\u{feff}{}",
            &deep,
            &deepest,
        ] {
            assert!(parse(bad.as_bytes()).is_err(), "{bad:.60}");
        }
        assert!(parse(b"\"\xff\"").is_err());
    }
}
