//! What is remembered: a text with its metadata and, where there is one, its embedding.

use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::redact::{Redactor, is_nothing_else};
use crate::{Invalid, MemoryId, Metadata, SystemId, check_tag, time};

/// Numbers in an embedding: the width of all-MiniLM-L6-v2.
pub const EMBEDDING_DIM: usize = 384;

/// Longest text in bytes of UTF-8: 1 MiB.
pub const MAX_TEXT_BYTES: usize = 1 << 20;

/// Largest metadata in bytes of JSON: 256 KiB.
pub const MAX_METADATA_BYTES: usize = 256 << 10;

/// Most memories in one batch.
pub const MAX_BATCH: usize = 1000;

/// 384 finite numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Embedding(Vec<f32>);

impl Embedding {
    /// Returns the 384 numbers.
    pub fn as_slice(&self) -> &[f32] {
        &self.0
    }

    /// Returns the numbers as 1536 little-endian bytes: how they are stored.
    pub fn to_le_bytes(&self) -> Vec<u8> {
        self.0
            .iter()
            .flat_map(|number| number.to_le_bytes())
            .collect()
    }

    /// Reads what [`Embedding::to_le_bytes`] wrote.
    ///
    /// # Errors
    /// Fails where these are not 384 finite numbers.
    pub fn from_le_bytes(bytes: &[u8]) -> Result<Self, Invalid> {
        let (numbers, rest) = bytes.as_chunks::<4>();
        if !rest.is_empty() {
            return Err(Invalid::new(
                "embedding",
                "is not a whole number of 32-bit floats",
            ));
        }
        Self::try_from(
            numbers
                .iter()
                .map(|number| f32::from_le_bytes(*number))
                .collect::<Vec<_>>(),
        )
    }
}

impl TryFrom<Vec<f32>> for Embedding {
    type Error = Invalid;

    fn try_from(numbers: Vec<f32>) -> Result<Self, Invalid> {
        if numbers.len() != EMBEDDING_DIM {
            return Err(Invalid::new(
                "embedding",
                format!("has {} numbers, expected {EMBEDDING_DIM}", numbers.len()),
            ));
        }
        match numbers.iter().position(|number| !number.is_finite()) {
            Some(at) => Err(Invalid::new(
                format!("embedding[{at}]"),
                "is not a finite number",
            )),
            None => Ok(Self(numbers)),
        }
    }
}

/// How a memory came into this node's store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IngestionMethod {
    /// Stored here, by tool or command.
    Local,
    /// Sent here over HTTP.
    HttpPush,
    /// Pulled from a vault.
    CloudPull,
    /// Imported here from files or another tool.
    Import,
}

impl IngestionMethod {
    /// Returns the name used in JSON and in segments.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::HttpPush => "http_push",
            Self::CloudPull => "cloud_pull",
            Self::Import => "import",
        }
    }

    /// Reads the name used in JSON and in segments.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Local, Self::HttpPush, Self::CloudPull, Self::Import]
            .into_iter()
            .find(|method| method.as_str() == name)
    }
}

/// Where a memory lies: new ones are hot, a server ages them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// In the local store, whole.
    Hot,
    /// In the local store, quantised and summarised.
    Warm,
    /// In the vault, as Parquet.
    Cold,
}

/// A memory as a store holds it.
///
/// Serialises as `get` shows it: `embedding_dim` stands for the embedding itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Memory {
    /// The machine or node whose memory it is.
    pub system_id: SystemId,
    /// The id within that system.
    pub memory_id: MemoryId,
    /// The text.
    pub text: String,
    /// The metadata, whole.
    pub metadata: Metadata,
    /// The embedding, where there is one.
    pub embedding: Option<Embedding>,
    /// When the memory was made: `metadata.created_at`, else when it was first stored.
    pub created_at: DateTime<Utc>,
    /// When this revision was made.
    pub updated_at: DateTime<Utc>,
    /// When this revision was first durable on the node that made it.
    pub stored_at: DateTime<Utc>,
    /// 1 for the first content under this key, one more for every change.
    pub revision: i64,
    /// How it came into this store.
    pub ingestion_method: IngestionMethod,
    /// Where it lies.
    pub tier: Tier,
}

impl Serialize for Memory {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Shown<'a> {
            memory_id: &'a MemoryId,
            system_id: &'a SystemId,
            text: &'a str,
            metadata: &'a Metadata,
            created_at: String,
            updated_at: String,
            stored_at: String,
            revision: i64,
            embedding_dim: Option<usize>,
            ingestion_method: IngestionMethod,
            tier: Tier,
        }
        Shown {
            memory_id: &self.memory_id,
            system_id: &self.system_id,
            text: &self.text,
            metadata: &self.metadata,
            created_at: time::format(self.created_at),
            updated_at: time::format(self.updated_at),
            stored_at: time::format(self.stored_at),
            revision: self.revision,
            embedding_dim: self.embedding.as_ref().map(|_| EMBEDDING_DIM),
            ingestion_method: self.ingestion_method,
            tier: self.tier,
        }
        .serialize(out)
    }
}

/// A memory as a caller gives it, not yet checked.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemoryInput {
    /// The id; a ULID is made where there is none.
    #[serde(default)]
    pub memory_id: Option<String>,
    /// The text.
    pub text: String,
    /// 384 numbers.
    #[serde(default)]
    pub embedding: Option<Vec<f32>>,
    /// Any JSON object.
    #[serde(default)]
    pub metadata: Option<Map<String, Value>>,
}

/// A checked memory, ready to be stored.
#[derive(Debug, Clone, PartialEq)]
pub struct NewMemory {
    /// The id, where the caller gave one.
    pub memory_id: Option<MemoryId>,
    /// The text after redaction: 1 byte to 1 MiB, not only white space.
    pub text: String,
    /// The embedding.
    pub embedding: Option<Embedding>,
    /// The metadata after redaction.
    pub metadata: Metadata,
    /// How many secrets were taken out.
    pub redactions: usize,
}

impl NewMemory {
    /// Checks `input` and takes secrets out of it.
    ///
    /// # Errors
    /// Names the first field that breaks a rule: an empty text, one that is empty without its
    /// secrets or one over 1 MiB, a bad id, an embedding that is not 384 finite numbers, bad
    /// metadata, an empty tag.
    pub fn check(input: MemoryInput, redactor: &Redactor) -> Result<Self, Invalid> {
        check_text(&input.text)?;
        let memory_id = input.memory_id.map(MemoryId::try_from).transpose()?;
        let embedding = input.embedding.map(Embedding::try_from).transpose()?;
        let mut redactions = 0;
        let text = redactor.redact(input.text, &mut redactions);
        // Markers may be longer than what they stand for.
        check_text(&text)?;
        if redactions > 0 && is_nothing_else(&text) {
            return Err(Invalid::new(
                "text",
                "is empty once what is private is taken out of it",
            ));
        }
        let metadata = redactor.redact_map(input.metadata.unwrap_or_default(), &mut redactions);
        let metadata = Metadata::new(metadata)?;
        // A rule for what is new alone: what other versions stored and sent is still read.
        for tag in metadata.tags() {
            check_tag(tag).map_err(|error| Invalid::new("metadata.tags", error.reason))?;
        }
        Ok(Self {
            memory_id,
            text,
            embedding,
            metadata,
            redactions,
        })
    }
}

/// Checks a text: not empty, not only white space, at most [`MAX_TEXT_BYTES`].
///
/// # Errors
/// Says which rule it breaks.
pub(crate) fn check_text(text: &str) -> Result<(), Invalid> {
    if text.trim().is_empty() {
        return Err(Invalid::new("text", "is empty"));
    }
    if text.len() > MAX_TEXT_BYTES {
        return Err(Invalid::new(
            "text",
            format!("is {} bytes, the limit is {MAX_TEXT_BYTES}", text.len()),
        ));
    }
    Ok(())
}

/// Returns the lower-case hex SHA-256 of a text's UTF-8 bytes: equal texts have equal values on
/// every machine.
pub fn content_sha256(text: &str) -> String {
    let mut hex = String::with_capacity(64);
    for byte in Sha256::digest(text.as_bytes()) {
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

/// Returns the first eight bytes of a text's SHA-256 as one number: a short key by which equal texts
/// are looked up. Different texts can share it, so whoever finds one compares the texts.
pub fn content_key(text: &str) -> i64 {
    let digest: [u8; 32] = Sha256::digest(text.as_bytes()).into();
    digest.first_chunk().copied().map_or(0, i64::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(value: Value) -> Result<NewMemory, Invalid> {
        NewMemory::check(
            serde_json::from_value(value).unwrap(),
            &Redactor::built_in(),
        )
    }

    #[test]
    fn bad_fields_are_named() {
        let mut vector = vec![0.5; 384];
        for (value, field) in [
            (json!({"text": ""}), "text"),
            (json!({"text": " \n\t"}), "text"),
            (json!({"text": "x".repeat(MAX_TEXT_BYTES + 1)}), "text"),
            (json!({"text": "x", "memory_id": "a\n"}), "memory_id"),
            (json!({"text": "x", "embedding": [1.0]}), "embedding"),
            (
                json!({"text": "x", "metadata": {"tags": 1}}),
                "metadata.tags",
            ),
            (
                json!({"text": "x", "metadata": {"tags": ["a", ""]}}),
                "metadata.tags",
            ),
            (
                json!({"text": "x", "metadata": {"tags": [" "]}}),
                "metadata.tags",
            ),
        ] {
            assert_eq!(check(value).unwrap_err().field, field);
        }
        vector[17] = f32::NAN;
        assert_eq!(
            Embedding::try_from(vector).unwrap_err().field,
            "embedding[17]"
        );
        assert!(check(json!({"text": "x".repeat(MAX_TEXT_BYTES)})).is_ok());
    }

    #[test]
    fn a_text_that_is_private_as_a_whole_is_empty() {
        for text in [
            "<private>all of it</private>",
            "  <private>a</private>\n<private>never closed",
        ] {
            let error = check(json!({ "text": text })).unwrap_err();
            assert_eq!(error.field, "text");
            assert!(error.reason.contains("private"), "{error}");
        }
        let kept = check(json!({"text": "the pin: <private>1234</private>"})).unwrap();
        assert_eq!(kept.text, "the pin: [redacted:private]");
        // What was redacted before is stored again as it is, by an import or a push.
        let again = check(json!({"text": "[redacted:private]"})).unwrap();
        assert_eq!(again.redactions, 0);
    }

    #[test]
    fn an_empty_tag_that_is_stored_already_is_read() {
        let stored = Metadata::from_json(r#"{"tags": [""]}"#).unwrap();
        assert_eq!(stored.tags().collect::<Vec<_>>(), [""]);
    }

    #[test]
    fn embeddings_survive_their_bytes() {
        let numbers: Vec<f32> = (0..384).map(|i| (i as f32).sin()).collect();
        let embedding = Embedding::try_from(numbers).unwrap();
        assert_eq!(
            Embedding::from_le_bytes(&embedding.to_le_bytes()).unwrap(),
            embedding
        );
        assert!(Embedding::from_le_bytes(&[0; 1535]).is_err());
    }

    #[test]
    fn content_hash_is_sha256_of_the_text() {
        // FIPS 180-2, appendix B.1.
        assert_eq!(
            content_sha256("abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
