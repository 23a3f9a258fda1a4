//! What one Akosha sends another for one memory: a memory as `store_memory` takes it, with an
//! envelope in its metadata that makes repeated and reordered pushes harmless.
//!
//! A receiver takes the owner from `metadata.source` and the time from `metadata.created_at`, so
//! the sender has to set both. The envelope, under the key [`KEY`], holds what they were before,
//! beside the revision and its times; the receiver puts them back and merges the change instead of
//! storing it as its own.
//!
//! ```json
//! {"revision": 3, "updated_at": "…Z", "stored_at": "…Z", "embedding_model": "…",
//!  "writer_id": "…", "epoch": 0, "push_id": "…", "after": ["…"],
//!  "restore": {"source": "session-buddy"}}
//! ```
//! In `restore` a key that is missing was absent. `writer_id` and `epoch` say which store writes as
//! the system, as the head of a vault does; a push without them comes from an unknown writer.
//! `push_id` names the push, and `after` the ones before it of the same store: where the receiver
//! knows neither as the newest, a copy of that store's home has pushed.

use akosha_core::{Invalid, SystemId, WriterId, time};
use akosha_store::{Change, Op, PushMark};
use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use crate::epoch;

/// The key of the envelope in a memory's metadata.
pub const KEY: &str = "akosha_sync";

/// Highest revision that is believed: the largest integer that every JSON reader keeps exactly.
const MAX_REVISION: i64 = crate::segment::MAX_REVISION;

/// Most pushes before that are read.
const MAX_AFTER: usize = 16;

/// The metadata keys that a sender overwrites.
const OVERWRITTEN: [&str; 3] = ["source", "created_at", KEY];

/// Which store writes as a system, and under which epoch: the higher one has it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Writer {
    /// The store's id as a writer.
    pub id: WriterId,
    /// Raised each time a store takes the system over, 0 to 2^53-1.
    pub epoch: i64,
    /// Which of its pushes it is, where it says so.
    pub mark: Option<PushMark>,
}

impl Writer {
    /// Creates a writer from what a push says of it in `said`; `None` where it says nothing.
    ///
    /// # Errors
    /// Names the key, below `place`, that breaks a rule.
    pub fn read(place: &str, said: &Map<String, Value>) -> Result<Option<Self>, Invalid> {
        let get = |key: &str| said.get(key).filter(|value| !value.is_null());
        let Some(id) = get("writer_id") else {
            return Ok(None);
        };
        let epoch = get("epoch");
        let invalid = |key: &str, reason: &str| Invalid::new(format!("{place}{key}"), reason);
        let push_id = |key: &str, id: &Value| {
            let id = text(Some(id)).and_then(|id| id.parse().ok());
            id.ok_or_else(|| invalid(key, "must be a ULID"))
        };
        let mark = match get("push_id") {
            None => None,
            Some(id) => {
                let after = get("after").and_then(Value::as_array);
                let after = after.into_iter().flatten().take(MAX_AFTER);
                Some(PushMark {
                    id: push_id("push_id", id)?,
                    after: after
                        .map(|id| push_id("after", id))
                        .collect::<Result<_, _>>()?,
                })
            }
        };
        Ok(Some(Self {
            id: text(Some(id))
                .and_then(|id| id.parse().ok())
                .ok_or_else(|| invalid("writer_id", "must be a ULID"))?,
            epoch: epoch
                .and_then(Value::as_i64)
                .and_then(epoch::checked)
                .ok_or_else(|| invalid("epoch", "must be a whole number from 0 to 2^53-1"))?,
            mark,
        }))
    }

    /// Says what [`Writer::read`] reads.
    pub(crate) fn tell(&self, said: &mut Map<String, Value>) {
        said.insert("writer_id".into(), json!(self.id));
        said.insert("epoch".into(), json!(self.epoch));
        if let Some(mark) = &self.mark {
            said.insert("push_id".into(), json!(mark.id));
            said.insert("after".into(), json!(mark.after));
        }
    }
}

/// What an envelope said.
#[derive(Debug, Clone, PartialEq)]
pub struct Received {
    /// Whose memory it is.
    pub system_id: SystemId,
    /// The revision, 1 to 2^53.
    pub revision: i64,
    /// When the memory was made.
    pub created_at: DateTime<Utc>,
    /// When this revision was made.
    pub updated_at: DateTime<Utc>,
    /// When this revision was durable on the node that made it.
    pub stored_at: DateTime<Utc>,
    /// The model that made the embedding, where known.
    pub embedding_model: Option<String>,
    /// The store that pushes it, where it says so.
    pub writer: Option<Writer>,
}

/// Returns `change`, which must be a put, as an entry of `batch_store_memories` that `writer`
/// pushes.
pub fn wrap(change: &Change, writer: &Writer) -> Value {
    debug_assert_eq!(change.op, Op::Put, "deletions travel by `forget_memory`");
    let mut metadata = change.metadata.as_map().clone();
    let restore: Map<String, Value> = OVERWRITTEN
        .into_iter()
        .filter_map(|key| Some((key.to_owned(), metadata.get(key)?.clone())))
        .collect();
    let mut envelope = Map::from_iter([
        ("revision".into(), json!(change.revision)),
        ("updated_at".into(), json!(time::format(change.updated_at))),
        ("stored_at".into(), json!(time::format(change.stored_at))),
        ("restore".into(), json!(restore)),
    ]);
    writer.tell(&mut envelope);
    if let Some(model) = &change.embedding_model {
        envelope.insert("embedding_model".into(), json!(model));
    }
    metadata.insert("source".into(), json!(change.system_id));
    metadata.insert("created_at".into(), json!(time::format(change.created_at)));
    metadata.insert(KEY.into(), envelope.into());
    let mut entry = json!({
        "memory_id": change.memory_id,
        "text": change.text,
        "metadata": metadata,
    });
    if let Some(embedding) = &change.embedding {
        entry["embedding"] = json!(embedding.as_slice());
    }
    entry
}

/// Takes the envelope out of `metadata` and puts back what it replaced; `None` where there is
/// no envelope and nothing was changed.
///
/// # Errors
/// Names the key of an envelope that breaks a rule.
pub fn unwrap(metadata: &mut Map<String, Value>) -> Result<Option<Received>, Invalid> {
    let Some(envelope) = metadata.remove(KEY) else {
        return Ok(None);
    };
    let Value::Object(mut envelope) = envelope else {
        return Err(invalid("", "must be an object"));
    };
    let system_id = text(metadata.get("source"))
        .and_then(|source| source.parse().ok())
        .ok_or_else(|| Invalid::new("metadata.source", "must be a system id in a push"))?;
    let created_at = metadata.get("created_at");
    let received = Received {
        system_id,
        revision: envelope
            .get("revision")
            .and_then(Value::as_i64)
            .filter(|revision| (1..=MAX_REVISION).contains(revision))
            .ok_or_else(|| invalid("revision", "must be a whole number from 1 to 2^53"))?,
        created_at: moment(created_at)
            .ok_or_else(|| Invalid::new("metadata.created_at", "must be a time in a push"))?,
        updated_at: moment(envelope.get("updated_at"))
            .ok_or_else(|| invalid("updated_at", "must be a time"))?,
        stored_at: moment(envelope.get("stored_at"))
            .ok_or_else(|| invalid("stored_at", "must be a time"))?,
        embedding_model: text(envelope.get("embedding_model")).map(str::to_owned),
        writer: Writer::read("metadata.akosha_sync.", &envelope)?,
    };
    let Some(Value::Object(mut restore)) = envelope.remove("restore") else {
        return Err(invalid("restore", "must be an object"));
    };
    for key in OVERWRITTEN {
        match restore.remove(key) {
            Some(value) => metadata.insert(key.into(), value),
            None => metadata.remove(key),
        };
    }
    Ok(Some(received))
}

fn text(value: Option<&Value>) -> Option<&str> {
    value.and_then(Value::as_str)
}

fn moment(value: Option<&Value>) -> Option<DateTime<Utc>> {
    time::parse(text(value)?).ok()
}

fn invalid(key: &str, reason: &str) -> Invalid {
    let dot = if key.is_empty() { "" } else { "." };
    Invalid::new(format!("metadata.{KEY}{dot}{key}"), reason)
}

#[cfg(test)]
mod tests {
    use akosha_core::{Embedding, IngestionMethod, Metadata};
    use proptest::prelude::*;

    use super::*;

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "\\PC{0,20}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 20, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::hash_map("[a-z]{1,6}", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_change_comes_back(
            others in prop::collection::hash_map("[a-z_]{1,12}", any_value(), 0..6),
            source in prop::option::of("\\PC{0,20}"),
            own in prop::option::of(any_value()),
            revision in 1..=MAX_REVISION,
            epoch in 0..=crate::manifest::MAX_SAFE_INTEGER,
            micros in 0..4_000_000_000_000_000_i64,
        ) {
            let mut metadata: Map<String, Value> = others
                .into_iter()
                .filter(|(key, _)| Metadata::new([(key.clone(), json!([1]))].into_iter().collect()).is_ok())
                .collect();
            metadata.extend(source.map(|text| ("source".to_owned(), Value::from(text))));
            metadata.extend(own.map(|value| (KEY.to_owned(), value)));
            let change = Change {
                revision,
                metadata: Metadata::new(metadata.clone()).unwrap(),
                updated_at: DateTime::from_timestamp_micros(micros).unwrap(),
                ..change(&json!({}))
            };
            let writer = Writer { epoch, ..writer() };
            let mut sent = metadata_of(&wrap(&change, &writer));
            let received = unwrap(&mut sent).unwrap().unwrap();
            prop_assert_eq!(sent, metadata);
            prop_assert_eq!(received.revision, revision);
            prop_assert_eq!(received.updated_at, change.updated_at);
            prop_assert_eq!(received.writer, Some(writer));
        }

        #[test]
        fn no_envelope_makes_the_reader_panic(value in any_value(), source in any_value()) {
            let mut metadata = metadata_of(&json!({"metadata": {"source": source}}));
            metadata.insert(KEY.into(), value);
            let _ = unwrap(&mut metadata);
        }

        #[test]
        fn what_lacks_a_part_or_has_another_in_its_place_is_named(
            part in prop::sample::select(vec!["revision", "updated_at", "stored_at", "restore"]),
            other in prop::option::of(any::<bool>().prop_map(Value::from)),
        ) {
            let mut sent = metadata_of(&wrap(&change(&json!({})), &writer()));
            let envelope = sent[KEY].as_object_mut().unwrap();
            envelope.remove(part);
            envelope.extend(other.map(|value| (part.to_owned(), value)));
            let error = unwrap(&mut sent).unwrap_err();
            prop_assert!(error.to_string().contains(part), "{}", error);
        }
    }

    fn at(text: &str) -> DateTime<Utc> {
        time::parse(text).unwrap()
    }

    fn change(metadata: &Value) -> Change {
        Change {
            seq: 9,
            op: Op::Put,
            system_id: "laptop".parse().unwrap(),
            memory_id: "m 1".parse().unwrap(),
            revision: 3,
            text: "text".into(),
            metadata: Metadata::from_json(&metadata.to_string()).unwrap(),
            embedding: Some(Embedding::try_from(vec![0.25; 384]).unwrap()),
            embedding_model: Some("model".into()),
            created_at: at("2026-01-01T00:00:00.123456Z"),
            updated_at: at("2026-02-01T00:00:00Z"),
            stored_at: at("2026-02-01T00:00:00.5Z"),
            ingestion_method: IngestionMethod::Local,
        }
    }

    fn writer() -> Writer {
        Writer {
            id: "01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap(),
            epoch: 2,
            mark: Some(PushMark {
                id: "01ARZ3NDEKTSV4RRFFQ69G5FB0".parse().unwrap(),
                after: vec!["01ARZ3NDEKTSV4RRFFQ69G5FB1".parse().unwrap()],
            }),
        }
    }

    fn metadata_of(entry: &Value) -> Map<String, Value> {
        entry["metadata"].as_object().unwrap().clone()
    }

    #[test]
    fn what_is_wrapped_is_unwrapped_unchanged() {
        for metadata in [
            json!({}),
            json!({"source": "session-buddy", "created_at": "2020-05-05", "tags": ["a"]}),
            json!({"source": null, "created_at": null}),
            json!({"akosha_sync": {"mine": 1}}),
        ] {
            let change = change(&metadata);
            let entry = wrap(&change, &writer());
            assert_eq!(entry["memory_id"], "m 1");
            assert_eq!(entry["embedding"].as_array().unwrap().len(), 384);
            let mut sent = metadata_of(&entry);
            assert_eq!(sent["source"], "laptop");
            let received = unwrap(&mut sent).unwrap().unwrap();
            assert_eq!(Value::Object(sent), metadata);
            assert_eq!(
                received,
                Received {
                    system_id: change.system_id,
                    revision: 3,
                    created_at: change.created_at,
                    updated_at: change.updated_at,
                    stored_at: change.stored_at,
                    embedding_model: change.embedding_model,
                    writer: Some(writer()),
                }
            );
        }
    }

    #[test]
    fn a_writer_that_does_not_say_who_it_is_is_unknown() {
        let mut sent = metadata_of(&wrap(&change(&json!({})), &writer()));
        sent[KEY].as_object_mut().unwrap().remove("writer_id");
        assert_eq!(unwrap(&mut sent).unwrap().unwrap().writer, None);
    }

    #[test]
    fn metadata_without_an_envelope_is_left_alone() {
        let mut metadata = metadata_of(&json!({"metadata": {"source": "x", "a": 1}}));
        let before = metadata.clone();
        assert_eq!(unwrap(&mut metadata), Ok(None));
        assert_eq!(metadata, before);
    }

    #[test]
    fn a_bad_envelope_is_named() {
        let good = metadata_of(&wrap(&change(&json!({})), &writer()));
        for (pointer, value, field) in [
            ("/akosha_sync", json!(1), "metadata.akosha_sync"),
            (
                "/akosha_sync/revision",
                json!(0),
                "metadata.akosha_sync.revision",
            ),
            (
                "/akosha_sync/revision",
                json!((1_i64 << 53) + 1),
                "metadata.akosha_sync.revision",
            ),
            (
                "/akosha_sync/revision",
                json!("1"),
                "metadata.akosha_sync.revision",
            ),
            (
                "/akosha_sync/updated_at",
                json!("soon"),
                "metadata.akosha_sync.updated_at",
            ),
            (
                "/akosha_sync/stored_at",
                json!(null),
                "metadata.akosha_sync.stored_at",
            ),
            (
                "/akosha_sync/restore",
                json!([]),
                "metadata.akosha_sync.restore",
            ),
            (
                "/akosha_sync/writer_id",
                json!("me"),
                "metadata.akosha_sync.writer_id",
            ),
            (
                "/akosha_sync/epoch",
                json!(-1),
                "metadata.akosha_sync.epoch",
            ),
            ("/source", json!("a b"), "metadata.source"),
            ("/created_at", json!(1), "metadata.created_at"),
        ] {
            let mut metadata = Value::Object(good.clone());
            *metadata.pointer_mut(pointer).unwrap() = value;
            let Value::Object(mut metadata) = metadata else {
                panic!("an object");
            };
            assert_eq!(unwrap(&mut metadata).unwrap_err().field, field);
        }
    }
}
