//! Times as Akosha reads and writes them: RFC 3339 in UTC with `Z`.

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, SecondsFormat, Utc};

use crate::Invalid;

/// Forms without an offset, which are read as UTC.
const NAIVE_FORMS: [&str; 4] = [
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%dT%H:%M",
    "%Y-%m-%d %H:%M",
];

/// Reads a time: RFC 3339, or without an offset (then UTC), or a date alone (then midnight UTC).
/// Parts below a microsecond are cut off.
///
/// # Errors
/// Fails where the text is none of these; the error names no field, callers add it.
pub fn parse(text: &str) -> Result<DateTime<Utc>, Invalid> {
    let text = text.trim();
    let with_offset = DateTime::parse_from_rfc3339(text)
        .or_else(|_| DateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f%#z"))
        .map(|time| time.with_timezone(&Utc));
    let time = with_offset.ok().or_else(|| {
        NAIVE_FORMS
            .iter()
            .find_map(|form| NaiveDateTime::parse_from_str(text, form).ok())
            .or_else(|| {
                NaiveDate::parse_from_str(text, "%Y-%m-%d")
                    .ok()?
                    .and_hms_opt(0, 0, 0)
            })
            .map(|naive| naive.and_utc())
    });
    let shown: String = text.chars().take(60).collect();
    // RFC 3339 has four digits for the year; other readers refuse more.
    let time = time.filter(|time| (0..=9999).contains(&time.year()));
    time.map(truncate_to_micros).ok_or_else(|| {
        Invalid::new(
            "time",
            format!(
                "is `{}`, expected RFC 3339 such as `2026-01-31T09:30:00Z`",
                shown.escape_debug()
            ),
        )
    })
}

/// Writes a time as RFC 3339 in UTC with `Z`, with as many digits below the second as it has.
pub fn format(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// Cuts off what is below a microsecond.
pub fn truncate_to_micros(time: DateTime<Utc>) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(time.timestamp_micros()).unwrap_or(time)
}

/// Serde for a time field: writes [`format`](format()), reads [`parse`].
pub mod serde_utc {
    use chrono::{DateTime, Utc};
    use serde::{Deserialize, Deserializer, Serializer};

    /// Writes the time as RFC 3339 with `Z`.
    pub fn serialize<S: Serializer>(time: &DateTime<Utc>, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(&super::format(*time))
    }

    /// Reads a time; without an offset it is UTC.
    pub fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<DateTime<Utc>, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(input)?;
        super::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_form_as_utc() {
        for text in [
            "2026-01-31T09:30:00Z",
            "2026-01-31T10:30:00+01:00",
            "2026-01-31T09:30:00",
            "2026-01-31 09:30:00.000000",
            "2026-01-31 09:30:00+00",
            "2026-01-31T09:30",
        ] {
            assert_eq!(
                format(parse(text).unwrap()),
                "2026-01-31T09:30:00Z",
                "{text}"
            );
        }
        assert_eq!(format(parse("2026-01-31").unwrap()), "2026-01-31T00:00:00Z");
        assert_eq!(
            format(parse("2026-01-31T09:30:00.123456789Z").unwrap()),
            "2026-01-31T09:30:00.123456Z"
        );
    }

    #[test]
    fn refuses_what_is_no_time() {
        for text in [
            "",
            "yesterday",
            "2026-13-01",
            "12:00",
            "2026-01-31T25:00:00Z",
            "+12345-01-01",
        ] {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }
}
