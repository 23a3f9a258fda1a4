//! Takes typed fields out of a JSON object; every failure names the field with its place.

use akosha_core::excerpt;
use serde_json::{Map, Value};

use super::{CompressionFormat, ManifestError};
use crate::ContentHash;

/// An object of the manifest and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Object<'a> {
    map: &'a Map<String, Value>,
    place: String,
}

impl<'a> Object<'a> {
    /// Takes a value that must be an object; `place` is empty at the top.
    pub(super) fn new(value: &'a Value, place: String) -> Result<Self, ManifestError> {
        match value {
            Value::Object(map) => Ok(Self { map, place }),
            other => Err(ManifestError::Type {
                field: if place.is_empty() {
                    "manifest".into()
                } else {
                    place
                },
                found: shown(other),
                expected: "an object",
            }),
        }
    }

    /// Returns a field's name with its place, such as `segments[0].rows`.
    pub(super) fn name(&self, field: &str) -> String {
        if self.place.is_empty() {
            field.to_owned()
        } else {
            format!("{}.{field}", self.place)
        }
    }

    /// Returns a field, `None` where it is missing or null.
    pub(super) fn get(&self, field: &str) -> Option<&'a Value> {
        self.map.get(field).filter(|value| !value.is_null())
    }

    fn required(&self, field: &str) -> Result<&'a Value, ManifestError> {
        self.map.get(field).ok_or_else(|| ManifestError::Missing {
            field: self.name(field),
        })
    }

    fn wrong(&self, field: &str, value: &Value, expected: &'static str) -> ManifestError {
        ManifestError::Type {
            field: self.name(field),
            found: shown(value),
            expected,
        }
    }

    pub(super) fn text(&self, field: &str) -> Result<&'a str, ManifestError> {
        let value = self.required(field)?;
        value
            .as_str()
            .ok_or_else(|| self.wrong(field, value, "text"))
    }

    pub(super) fn optional_text(&self, field: &str) -> Result<Option<&'a str>, ManifestError> {
        self.get(field)
            .map(|value| {
                value
                    .as_str()
                    .ok_or_else(|| self.wrong(field, value, "text or null"))
            })
            .transpose()
    }

    pub(super) fn boolean(&self, field: &str) -> Result<bool, ManifestError> {
        let value = self.required(field)?;
        value
            .as_bool()
            .ok_or_else(|| self.wrong(field, value, "true or false"))
    }

    /// Returns an integer from `least` to `most`.
    pub(super) fn integer(&self, field: &str, least: i64, most: i64) -> Result<i64, ManifestError> {
        let value = self.required(field)?;
        let number = value
            .as_i64()
            .ok_or_else(|| self.wrong(field, value, "an integer"))?;
        if (least..=most).contains(&number) {
            return Ok(number);
        }
        Err(ManifestError::Range {
            field: self.name(field),
            value: number,
            least,
            most,
        })
    }

    /// Returns an integer from `least` to `most`, which are not negative.
    pub(super) fn count(&self, field: &str, least: u64, most: u64) -> Result<u64, ManifestError> {
        let number = self.integer(field, least.cast_signed(), most.cast_signed())?;
        Ok(number.unsigned_abs())
    }

    pub(super) fn hash(&self, field: &str) -> Result<ContentHash, ManifestError> {
        let text = self.text(field)?;
        text.parse()
            .map_err(|error| ManifestError::id(self.name(field), error))
    }

    pub(super) fn compression(
        &self,
        field: &str,
    ) -> Result<Option<CompressionFormat>, ManifestError> {
        let Some(value) = self.get(field) else {
            return Ok(None);
        };
        let known = [
            CompressionFormat::Zstd,
            CompressionFormat::Gzip,
            CompressionFormat::Lz4,
        ];
        known
            .into_iter()
            .find(|format| value.as_str() == Some(format.as_str()))
            .map(Some)
            .ok_or_else(|| self.wrong(field, value, "`zstd`, `gzip`, `lz4` or null"))
    }

    /// Returns the objects of a list of at most `limit`.
    pub(super) fn objects(
        &self,
        field: &'static str,
        limit: usize,
    ) -> Result<Vec<Object<'a>>, ManifestError> {
        let value = self.required(field)?;
        let list = value
            .as_array()
            .ok_or_else(|| self.wrong(field, value, "a list"))?;
        if list.len() > limit {
            return Err(ManifestError::TooMany {
                field,
                count: list.len(),
                limit,
            });
        }
        let name = self.name(field);
        list.iter()
            .enumerate()
            .map(|(at, value)| Object::new(value, format!("{name}[{at}]")))
            .collect()
    }

    pub(super) fn object(&self, field: &str) -> Result<Object<'a>, ManifestError> {
        Object::new(self.required(field)?, self.name(field))
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Array(_) => "a list".into(),
        Value::Object(_) => "an object".into(),
        Value::String(text) => format!("`{}`", excerpt(text)),
        other => other.to_string(),
    }
}
