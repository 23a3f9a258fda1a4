//! One row of a segment as a change, with every rule that a row has to obey.

use akosha_core::{
    EMBEDDING_DIM, Embedding, IngestionMethod, Invalid, MAX_METADATA_BYTES, MAX_TEXT_BYTES,
    Metadata, SystemId, content_sha256, excerpt,
};
use akosha_store::{Change, Op};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{
    Array, Int64Array, ListArray, RecordBatch, StringViewArray, TimestampMicrosecondArray,
};
use chrono::{DateTime, Datelike, Utc};

use super::{MAX_REVISION, RowError, SegmentError};

/// Longest model name in bytes.
const MAX_MODEL_BYTES: usize = 255;

/// What every row of a segment must agree with.
#[derive(Debug, Clone)]
pub(super) struct Context {
    pub(super) system_id: SystemId,
    pub(super) min_seq: i64,
    pub(super) max_seq: i64,
}

/// The columns of some rows.
#[derive(Debug)]
pub(super) struct Columns {
    system_id: StringViewArray,
    memory_id: StringViewArray,
    revision: Int64Array,
    seq: Int64Array,
    op: StringViewArray,
    text: StringViewArray,
    metadata: StringViewArray,
    embedding: ListArray,
    embedding_model: StringViewArray,
    content_sha256: StringViewArray,
    created_at: TimestampMicrosecondArray,
    updated_at: TimestampMicrosecondArray,
    stored_at: TimestampMicrosecondArray,
    ingestion_method: StringViewArray,
}

impl Columns {
    /// Takes the columns out of a batch.
    ///
    /// # Errors
    /// Fails where the decoder gave a column another type than it was asked for.
    pub(super) fn new(batch: &RecordBatch) -> Result<Self, SegmentError> {
        let column = |name: &str| {
            batch
                .column_by_name(name)
                .ok_or_else(|| SegmentError::Damaged(format!("the column `{name}` is not there")))
        };
        let wrong =
            |name: &str| SegmentError::Damaged(format!("the column `{name}` has another type"));
        let text = |name| {
            let found = column(name)?.as_string_view_opt().cloned();
            found.ok_or_else(|| wrong(name))
        };
        let integer = |name| {
            let found = column(name)?.as_primitive_opt::<Int64Type>().cloned();
            found.ok_or_else(|| wrong(name))
        };
        let time = |name| {
            let found = column(name)?.as_primitive_opt::<TimestampMicrosecondType>();
            found.cloned().ok_or_else(|| wrong(name))
        };
        let vector = |name| {
            let found = column(name)?.as_list_opt::<i32>().cloned();
            found.ok_or_else(|| wrong(name))
        };
        Ok(Self {
            system_id: text("system_id")?,
            memory_id: text("memory_id")?,
            revision: integer("revision")?,
            seq: integer("seq")?,
            op: text("op")?,
            text: text("text")?,
            metadata: text("metadata")?,
            embedding: vector("embedding")?,
            embedding_model: text("embedding_model")?,
            content_sha256: text("content_sha256")?,
            created_at: time("created_at")?,
            updated_at: time("updated_at")?,
            stored_at: time("stored_at")?,
            ingestion_method: text("ingestion_method")?,
        })
    }

    /// Returns how many rows there are.
    pub(super) fn len(&self) -> usize {
        self.seq.len()
    }

    /// Reads the row at `at`, which is number `row` of the segment.
    ///
    /// # Errors
    /// Fails as a whole where the row belongs to another system; otherwise only the row fails.
    pub(super) fn change(
        &self,
        at: usize,
        row: u64,
        context: &Context,
    ) -> Result<Result<Change, RowError>, SegmentError> {
        let system = value(&self.system_id, at).unwrap_or("");
        if system != context.system_id.as_str() {
            return Err(SegmentError::WrongSystem {
                row,
                found: excerpt(system),
                expected: context.system_id.clone(),
            });
        }
        Ok(self.checked(at, context).map_err(|reason| RowError {
            row,
            memory_id: excerpt(value(&self.memory_id, at).unwrap_or("")),
            reason,
        }))
    }

    fn checked(&self, at: usize, context: &Context) -> Result<Change, Invalid> {
        let op_name = required("op", value(&self.op, at))?;
        let op = Op::from_name(op_name).ok_or_else(|| {
            let shown = excerpt(op_name);
            Invalid::new("op", format!("is `{shown}`, expected put, forget or erase"))
        })?;
        let text = required("text", value(&self.text, at))?;
        let metadata = required("metadata", value(&self.metadata, at))?;
        check_content(op, text, metadata)?;
        let hash = required("content_sha256", value(&self.content_sha256, at))?;
        if hash != content_sha256(text) {
            return Err(Invalid::new(
                "content_sha256",
                "is not the hash of the text",
            ));
        }
        let embedding = self.embedding(at)?;
        let embedding_model = value(&self.embedding_model, at);
        if embedding_model.is_some_and(|model| model.len() > MAX_MODEL_BYTES) {
            return Err(Invalid::new(
                "embedding_model",
                format!("is longer than {MAX_MODEL_BYTES} bytes"),
            ));
        }
        let method = required("ingestion_method", value(&self.ingestion_method, at))?;
        let ingestion_method = IngestionMethod::from_name(method).ok_or_else(|| {
            let shown = excerpt(method);
            Invalid::new(
                "ingestion_method",
                format!("is `{shown}`, which is unknown"),
            )
        })?;
        Ok(Change {
            seq: integer("seq", &self.seq, at, context.min_seq, context.max_seq)?,
            op,
            system_id: context.system_id.clone(),
            memory_id: required("memory_id", value(&self.memory_id, at))?.parse()?,
            revision: integer("revision", &self.revision, at, 1, MAX_REVISION)?,
            text: text.to_owned(),
            metadata: Metadata::from_json(metadata)?,
            embedding: embedding.filter(|_| op == Op::Put),
            embedding_model: embedding_model.filter(|_| op == Op::Put).map(str::to_owned),
            created_at: time("created_at", &self.created_at, at)?,
            updated_at: time("updated_at", &self.updated_at, at)?,
            stored_at: time("stored_at", &self.stored_at, at)?,
            ingestion_method,
        })
    }

    fn embedding(&self, at: usize) -> Result<Option<Embedding>, Invalid> {
        if self.embedding.is_null(at) {
            return Ok(None);
        }
        let numbers = self.embedding.value(at);
        let numbers = numbers
            .as_primitive_opt::<Float32Type>()
            .filter(|numbers| numbers.null_count() == 0)
            .ok_or_else(|| Invalid::new("embedding", "has numbers that are missing"))?;
        if numbers.len() != EMBEDDING_DIM {
            return Err(Invalid::new(
                "embedding",
                format!("has {} numbers, expected {EMBEDDING_DIM}", numbers.len()),
            ));
        }
        Embedding::try_from(numbers.values().to_vec()).map(Some)
    }
}

/// Checks what a row carries: a text within bounds where something is put, nothing elsewhere.
fn check_content(op: Op, text: &str, metadata: &str) -> Result<(), Invalid> {
    if text.len() > MAX_TEXT_BYTES {
        return Err(Invalid::new(
            "text",
            format!("is {} bytes, the limit is {MAX_TEXT_BYTES}", text.len()),
        ));
    }
    // Before it is read: it may have white space that does not count against its own limit.
    if metadata.len() > 2 * MAX_METADATA_BYTES {
        return Err(Invalid::new(
            "metadata",
            format!("is {} bytes of JSON", metadata.len()),
        ));
    }
    match op {
        Op::Put if text.trim().is_empty() => Err(Invalid::new("text", "is empty")),
        Op::Forget | Op::Erase if !text.is_empty() => Err(Invalid::new(
            "text",
            "is there although the memory is deleted",
        )),
        Op::Forget | Op::Erase if metadata.trim() != "{}" => Err(Invalid::new(
            "metadata",
            "is there although the memory is deleted",
        )),
        _ => Ok(()),
    }
}

fn value(column: &StringViewArray, at: usize) -> Option<&str> {
    (!column.is_null(at)).then(|| column.value(at))
}

fn required<T>(field: &str, value: Option<T>) -> Result<T, Invalid> {
    value.ok_or_else(|| Invalid::new(field, "is missing"))
}

fn integer(
    field: &str,
    column: &Int64Array,
    at: usize,
    least: i64,
    most: i64,
) -> Result<i64, Invalid> {
    let number = required(field, (!column.is_null(at)).then(|| column.value(at)))?;
    if (least..=most).contains(&number) {
        return Ok(number);
    }
    Err(Invalid::new(
        field,
        format!("is {number}, expected {least} to {most}"),
    ))
}

fn time(
    field: &str,
    column: &TimestampMicrosecondArray,
    at: usize,
) -> Result<DateTime<Utc>, Invalid> {
    let micros = required(field, (!column.is_null(at)).then(|| column.value(at)))?;
    DateTime::from_timestamp_micros(micros)
        .filter(|time| (0..=9999).contains(&time.year()))
        .ok_or_else(|| Invalid::new(field, "is outside of the years 0 to 9999"))
}
