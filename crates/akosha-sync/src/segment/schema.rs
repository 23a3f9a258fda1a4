//! The columns of a segment.

use std::sync::Arc;

use akosha_core::EMBEDDING_DIM;
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};

use super::SegmentError;

/// The columns in their order.
pub(super) const COLUMNS: [&str; 14] = [
    "system_id",
    "memory_id",
    "revision",
    "seq",
    "op",
    "text",
    "metadata",
    "embedding",
    "embedding_model",
    "content_sha256",
    "created_at",
    "updated_at",
    "stored_at",
    "ingestion_method",
];

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    OptionalText,
    Integer,
    Time,
    Vector,
}

fn kind(column: &str) -> Kind {
    match column {
        "revision" | "seq" => Kind::Integer,
        "embedding" => Kind::Vector,
        "embedding_model" => Kind::OptionalText,
        "created_at" | "updated_at" | "stored_at" => Kind::Time,
        _ => Kind::Text,
    }
}

/// Returns the item of the embedding's list.
pub(super) fn vector_item() -> Arc<Field> {
    Arc::new(Field::new("element", DataType::Float32, false))
}

/// Returns the type of the time columns.
pub(super) fn time_type() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// Returns the schema as it is written.
pub(super) fn written() -> SchemaRef {
    let fields: Vec<Field> = COLUMNS
        .iter()
        .map(|name| match kind(name) {
            Kind::Text => Field::new(*name, DataType::Utf8, false),
            Kind::OptionalText => Field::new(*name, DataType::Utf8, true),
            Kind::Integer => Field::new(*name, DataType::Int64, false),
            Kind::Time => Field::new(*name, time_type(), false),
            Kind::Vector => Field::new(
                *name,
                DataType::FixedSizeList(vector_item(), EMBEDDING_DIM as i32),
                true,
            ),
        })
        .collect();
    Arc::new(Schema::new(fields))
}

/// Checks that every column is there with its type and returns the schema to read with: text as
/// views, which do not copy what they show.
///
/// # Errors
/// Names the first column that is missing, there twice, or of another type.
pub(super) fn to_read(found: &Schema) -> Result<SchemaRef, SegmentError> {
    for column in COLUMNS {
        let mut same_name = found.fields().iter().filter(|field| field.name() == column);
        let (expected, matches): (&'static str, fn(&DataType) -> bool) = match kind(column) {
            Kind::Text | Kind::OptionalText => ("text", |found| *found == DataType::Utf8),
            Kind::Integer => ("a 64-bit integer", |found| *found == DataType::Int64),
            Kind::Time => ("a timestamp in microseconds, UTC", |found| {
                matches!(found, DataType::Timestamp(TimeUnit::Microsecond, Some(_)))
            }),
            Kind::Vector => (
                "a list of 32-bit floats",
                |found| matches!(found, DataType::List(item) if *item.data_type() == DataType::Float32),
            ),
        };
        let found = match (same_name.next(), same_name.next()) {
            (Some(field), None) if matches(field.data_type()) => continue,
            (Some(field), None) => format!("{}", field.data_type()),
            (Some(_), Some(_)) => "there twice".into(),
            (None, _) => "missing".into(),
        };
        return Err(SegmentError::Column {
            column,
            found: found.chars().take(80).collect(),
            expected,
        });
    }
    let fields: Vec<_> = found
        .fields()
        .iter()
        .map(|field| match field.data_type() {
            DataType::Utf8 if COLUMNS.contains(&field.name().as_str()) => {
                Arc::new(field.as_ref().clone().with_data_type(DataType::Utf8View))
            }
            _ => Arc::clone(field),
        })
        .collect();
    Ok(Arc::new(Schema::new(fields)))
}
