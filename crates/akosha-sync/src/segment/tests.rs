//! Round trips and hostile bytes.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::sync::Arc;

use akosha_core::{
    EMBEDDING_DIM, Embedding, IngestionMethod, MAX_TEXT_BYTES, Metadata, SystemId, time,
};
use akosha_store::{Change, Op};
use arrow_array::builder::{Int64Builder, StringBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::Float32Type;
use arrow_array::{ArrayRef, FixedSizeListArray, Float32Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use chrono::{DateTime, Utc};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use proptest::prelude::*;

use super::*;
use crate::ContentHash;
use crate::manifest::SegmentEntry;

fn system() -> SystemId {
    "laptop".parse().unwrap()
}

fn at() -> DateTime<Utc> {
    time::parse("2026-01-02T03:04:05.123456Z").unwrap()
}

fn change(seq: i64, text: &str) -> Change {
    Change {
        seq,
        op: Op::Put,
        system_id: system(),
        memory_id: format!("memory-{seq}").parse().unwrap(),
        revision: 1,
        text: text.into(),
        metadata: Metadata::from_json(r#"{"type":"note","tags":["a"]}"#).unwrap(),
        embedding: None,
        embedding_model: None,
        created_at: at(),
        updated_at: at(),
        stored_at: at(),
        ingestion_method: IngestionMethod::Local,
    }
}

/// Writes changes as one segment.
fn write(
    system_id: &SystemId,
    changes: impl IntoIterator<Item = Change>,
    file: File,
) -> Result<SegmentFile, SegmentError> {
    let mut writer = SegmentWriter::new(system_id, file)?;
    for change in changes {
        writer.push(&change)?;
    }
    writer.finish()
}

fn vector(seed: f32) -> Embedding {
    let numbers: Vec<f32> = (0..EMBEDDING_DIM)
        .map(|i| seed + i as f32 / 384.0)
        .collect();
    Embedding::try_from(numbers).unwrap()
}

fn deleted(seq: i64, op: Op) -> Change {
    Change {
        op,
        text: String::new(),
        metadata: Metadata::default(),
        ..change(seq, "")
    }
}

fn written(changes: &[Change]) -> (File, SegmentEntry) {
    let file = tempfile::tempfile().unwrap();
    let segment = write(&system(), changes.to_vec(), file.try_clone().unwrap()).unwrap();
    (file, segment.into())
}

fn bytes_of(mut file: &File) -> Vec<u8> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0)).unwrap();
    file.read_to_end(&mut bytes).unwrap();
    bytes
}

fn file_of(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file
}

type Rows = Vec<Result<Change, RowError>>;

fn read_all(file: File, entry: &SegmentEntry) -> Result<Rows, SegmentError> {
    let batches: Vec<Rows> = read(file, &system(), entry)?.collect::<Result<_, _>>()?;
    Ok(batches.into_iter().flatten().collect())
}

#[test]
fn rows_come_back_as_they_were() {
    let changes = [
        change(1, "plain"),
        Change {
            embedding: Some(vector(0.5)),
            embedding_model: Some("all-MiniLM-L6-v2".into()),
            revision: MAX_REVISION,
            ingestion_method: IngestionMethod::Import,
            ..change(2, "with a vector, ünïcödé 日本")
        },
        deleted(3, Op::Forget),
        deleted(7, Op::Erase),
    ];
    let (file, entry) = written(&changes);
    assert_eq!((entry.rows, entry.min_seq, entry.max_seq), (4, 1, 7));
    let bytes = bytes_of(&file);
    assert_eq!(entry.size_bytes, bytes.len() as u64);
    assert_eq!(entry.sha256, ContentHash::of(&bytes));
    let rows: Result<Vec<_>, _> = read_all(file, &entry).unwrap().into_iter().collect();
    assert_eq!(rows.unwrap(), changes);
}

#[test]
fn a_batch_is_bounded_by_what_its_rows_take_in_memory() {
    // 200 KB of JSON, and many times as much when it is parsed.
    let metadata = format!(r#"{{"a":[{}]}}"#, vec!["[1]"; 50_000].join(","));
    let metadata = Metadata::from_json(&metadata).unwrap();
    let changes: Vec<Change> = (1..20)
        .map(|seq| Change {
            metadata: metadata.clone(),
            ..change(seq, "text")
        })
        .collect();
    let most = read::BATCH_BYTES + size_in_memory(&changes[0]);
    let (file, entry) = written(&changes);
    let mut rows = Vec::new();
    for batch in read(file, &system(), &entry).unwrap() {
        let batch: Vec<Change> = batch.unwrap().into_iter().map(Result::unwrap).collect();
        assert!(batch.iter().map(size_in_memory).sum::<usize>() <= most);
        rows.extend(batch);
    }
    assert_eq!(rows, changes);
}

#[test]
fn equal_rows_give_equal_bytes() {
    let changes: Vec<_> = (1..=3000)
        .map(|seq| change(seq, &format!("text {seq}")))
        .collect();
    assert_eq!(written(&changes).1, written(&changes).1);
}

#[test]
fn many_and_long_rows_are_cut_into_groups_and_batches() {
    let mut changes: Vec<_> = (1..=25_000).map(|seq| change(seq, "short")).collect();
    changes.extend((25_001..=25_040).map(|seq| change(seq, &"long ".repeat(MAX_TEXT_BYTES / 5))));
    let (file, entry) = written(&changes);
    let groups = ParquetRecordBatchReaderBuilder::try_new(file.try_clone().unwrap()).unwrap();
    assert!(groups.metadata().num_row_groups() >= 7);
    let mut seqs = Vec::new();
    for batch in read(file, &system(), &entry).unwrap() {
        let batch = batch.unwrap();
        assert!(batch.len() <= 1000);
        let bytes: usize = batch
            .iter()
            .map(|row| row.as_ref().unwrap().text.len())
            .sum();
        assert!(bytes <= (8 << 20) + MAX_TEXT_BYTES, "{bytes}");
        seqs.extend(batch.into_iter().map(|row| row.unwrap().seq));
    }
    assert!(seqs.into_iter().eq(1..=25_040));
}

#[test]
fn a_writer_tells_when_it_is_full() {
    let mut writer = SegmentWriter::new(&system(), tempfile::tempfile().unwrap()).unwrap();
    let text = "x".repeat(MAX_TEXT_BYTES);
    let mut rows = 0;
    while !writer.is_full() {
        rows += 1;
        writer.push(&change(rows, &text)).unwrap();
    }
    assert_eq!(rows, 16);
}

#[test]
fn empty_segments_and_foreign_rows_are_not_written() {
    let file = || tempfile::tempfile().unwrap();
    assert!(matches!(
        write(&system(), [], file()),
        Err(SegmentError::Empty)
    ));
    let foreign = Change {
        system_id: "other".parse().unwrap(),
        ..change(1, "x")
    };
    let result = write(&system(), [foreign], file());
    assert!(matches!(
        result,
        Err(SegmentError::WrongSystem { row: 0, .. })
    ));
}

#[test]
fn what_a_manifest_says_wrongly_is_found() {
    let (file, entry) = written(&[change(5, "a"), change(6, "b")]);
    let read_as = |entry: SegmentEntry| read_all(file.try_clone().unwrap(), &entry);
    for rows in [1, 3] {
        let result = read_as(SegmentEntry { rows, ..entry });
        assert!(
            matches!(result, Err(SegmentError::Rows { found: 2, .. })),
            "{result:?}"
        );
    }
    let rows = read_as(SegmentEntry {
        min_seq: 6,
        ..entry
    })
    .unwrap();
    assert_eq!(rows[0].as_ref().unwrap_err().reason.field, "seq");
    assert!(rows[1].is_ok());
    let other: SystemId = "other".parse().unwrap();
    let mut reader = read(file.try_clone().unwrap(), &other, &entry).unwrap();
    let first = reader.next().unwrap();
    assert!(matches!(
        first,
        Err(SegmentError::WrongSystem { row: 0, .. })
    ));
    assert!(reader.next().is_none());
}

/// Rewrites a segment with some of its columns changed.
fn rewritten(
    changes: &[Change],
    change: impl Fn(&str, ArrayRef) -> Option<ArrayRef>,
) -> (File, SegmentEntry) {
    let (file, entry) = written(changes);
    let reader = ParquetRecordBatchReaderBuilder::try_new(file)
        .unwrap()
        .build()
        .unwrap();
    let out = tempfile::tempfile().unwrap();
    let mut writer = None;
    for batch in reader {
        let batch = batch.unwrap();
        let schema = batch.schema();
        let columns: Vec<(String, ArrayRef)> = schema
            .fields()
            .iter()
            .zip(batch.columns())
            .filter_map(|(field, column)| {
                Some((
                    field.name().clone(),
                    change(field.name(), Arc::clone(column))?,
                ))
            })
            .collect();
        let batch = RecordBatch::try_from_iter_with_nullable(
            columns
                .into_iter()
                .map(|(name, column)| (name, column, true)),
        )
        .unwrap();
        writer
            .get_or_insert_with(|| {
                ArrowWriter::try_new(out.try_clone().unwrap(), batch.schema(), None).unwrap()
            })
            .write(&batch)
            .unwrap();
    }
    writer.unwrap().close().unwrap();
    (out, entry)
}

#[test]
fn a_bad_row_stops_only_itself() {
    let changes = [
        change(1, "first"),
        Change {
            embedding: Some(vector(1.0)),
            ..change(2, "second")
        },
        deleted(3, Op::Forget),
    ];
    let texts =
        |values: [Option<&str>; 3]| Arc::new(StringArray::from(values.to_vec())) as ArrayRef;
    let long = "x".repeat(MAX_TEXT_BYTES + 1);
    let hash = |text: &str| akosha_core::content_sha256(text);
    let first = Some("first");
    for (column, second, field) in [
        ("memory_id", Some(" bad"), "memory_id"),
        ("memory_id", None, "memory_id"),
        ("text", Some(""), "text"),
        ("text", Some("  "), "text"),
        ("text", Some(long.as_str()), "text"),
        ("text", Some("another"), "content_sha256"),
        ("text", None, "text"),
        ("metadata", Some("[]"), "metadata"),
        ("metadata", Some("{\"tags\":1}"), "metadata.tags"),
        ("metadata", Some("{"), "metadata"),
        ("op", Some("drop"), "op"),
        ("ingestion_method", Some("magic"), "ingestion_method"),
        ("content_sha256", Some("x"), "content_sha256"),
    ] {
        let (file, entry) = rewritten(&changes, |name, old| {
            if name != column {
                return Some(old);
            }
            let old = old.as_string::<i32>();
            Some(texts([Some(old.value(0)), second, Some(old.value(2))]))
        });
        let rows = read_all(file, &entry).unwrap();
        let error = rows[1].as_ref().unwrap_err();
        assert_eq!(
            (error.reason.field.as_str(), error.row),
            (field, 1),
            "{error}"
        );
        assert!(error.to_string().len() < 400, "{error}");
        assert!(rows[0].is_ok() && rows[2].is_ok());
    }
    // A deletion that carries text.
    let (file, entry) = rewritten(&changes, |name, old| {
        Some(match name {
            "text" => texts([first, Some("second"), Some("third")]),
            "content_sha256" => texts([
                Some(&hash("first")),
                Some(&hash("second")),
                Some(&hash("third")),
            ]),
            _ => old,
        })
    });
    let rows = read_all(file, &entry).unwrap();
    assert_eq!(rows[2].as_ref().unwrap_err().reason.field, "text");
}

#[test]
fn bad_numbers_stop_only_their_row() {
    let changes = [change(1, "a"), change(2, "b")];
    for revision in [0, -1, MAX_REVISION + 1, i64::MAX, i64::MIN] {
        let (file, entry) = rewritten(&changes, |name, old| {
            let mut builder = Int64Builder::new();
            builder.append_slice(&[1, revision]);
            Some(if name == "revision" {
                Arc::new(builder.finish())
            } else {
                old
            })
        });
        let rows = read_all(file, &entry).unwrap();
        assert!(rows[0].is_ok());
        assert_eq!(rows[1].as_ref().unwrap_err().reason.field, "revision");
    }
    let with_vectors = changes.map(|change| Change {
        embedding: Some(vector(0.0)),
        ..change
    });
    for bad in [f32::NAN, f32::INFINITY] {
        let (file, entry) = rewritten(&with_vectors, |name, old| {
            if name != "embedding" {
                return Some(old);
            }
            let list = old.as_fixed_size_list();
            let mut numbers = list
                .values()
                .as_primitive::<Float32Type>()
                .values()
                .to_vec();
            numbers[400] = bad;
            let item = Arc::new(Field::new("element", DataType::Float32, false));
            let numbers = Arc::new(Float32Array::from(numbers));
            Some(Arc::new(FixedSizeListArray::new(item, 384, numbers, None)))
        });
        let rows = read_all(file, &entry).unwrap();
        assert!(rows[0].is_ok());
        assert_eq!(rows[1].as_ref().unwrap_err().reason.field, "embedding[16]");
    }
}

#[test]
fn columns_may_be_more_but_not_fewer_or_other() {
    let changes = [change(1, "a")];
    for column in schema::COLUMNS {
        let (file, entry) = rewritten(&changes, |name, old| (name != column).then_some(old));
        let result = read_all(file, &entry);
        assert!(
            matches!(&result, Err(SegmentError::Column { column: named, .. }) if *named == column),
            "{column}: {result:?}"
        );
    }
    let (file, entry) = rewritten(&changes, |name, old| {
        let wrong: ArrayRef = Arc::new(StringArray::from(vec!["1"]));
        Some(if name == "seq" { wrong } else { old })
    });
    assert!(matches!(
        read_all(file, &entry),
        Err(SegmentError::Column { column: "seq", .. })
    ));
    // What other Parquet writers do by default, and one column more, is read.
    let (file, entry) = with_another_column(&changes);
    assert_eq!(read_all(file, &entry).unwrap()[0], Ok(changes[0].clone()));
}

fn with_another_column(changes: &[Change]) -> (File, SegmentEntry) {
    let (file, entry) = written(changes);
    let mut reader = ParquetRecordBatchReaderBuilder::try_new(file)
        .unwrap()
        .build()
        .unwrap();
    let batch = reader.next().unwrap().unwrap();
    let mut fields = vec![Arc::new(Field::new("later", DataType::Utf8, true))];
    fields.extend(batch.schema().fields().iter().cloned());
    let mut later = StringBuilder::new();
    later.append_value("x");
    let mut columns: Vec<ArrayRef> = vec![Arc::new(later.finish())];
    columns.extend(batch.columns().iter().cloned());
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap();
    let out = tempfile::tempfile().unwrap();
    let mut writer = ArrowWriter::try_new(out.try_clone().unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    (out, entry)
}

/// Reads bytes that nobody vouches for; whatever happens must be an answer.
fn survives(bytes: &[u8], entry: &SegmentEntry) {
    if let Ok(rows) = read_all(file_of(bytes), entry) {
        assert!(rows.len() as u64 <= entry.rows);
    }
}

#[test]
fn cut_and_swollen_files_are_refused() {
    let (file, entry) = written(&[change(1, "a"), change(2, "b")]);
    let bytes = bytes_of(&file);
    for len in (0..bytes.len()).step_by(7) {
        assert!(read_all(file_of(&bytes[..len]), &entry).is_err(), "{len}");
    }
    let mut footer_too_long = bytes.clone();
    let at = footer_too_long.len() - 8;
    footer_too_long[at..at + 4].copy_from_slice(&u32::MAX.to_le_bytes());
    let result = read_all(file_of(&footer_too_long), &entry);
    assert!(matches!(result, Err(SegmentError::TooLarge { .. })));
}

/// Every byte of the footer and of the page headers, each bit turned.
#[test]
fn turned_bits_never_panic() {
    let changes: Vec<_> = (1..=20)
        .map(|seq| Change {
            embedding: (seq % 2 == 0).then(|| vector(seq as f32)),
            ..change(seq, "some text")
        })
        .collect();
    let (file, entry) = written(&changes);
    let bytes = bytes_of(&file);
    for at in 0..bytes.len() {
        let mut turned = bytes.clone();
        turned[at] ^= 1 << (at % 8);
        survives(&turned, &entry);
    }
}

fn any_change() -> impl Strategy<Value = Change> {
    let text = "\\PC{0,200}";
    (
        (1..1_000_000_i64, 1..=MAX_REVISION, text, "[!-~]{1,40}"),
        (
            proptest::option::of(-1e6_f32..1e6),
            0..4_000_000_000_000_000_i64,
            0..3_u8,
        ),
    )
        .prop_map(|((seq, revision, text, id), (seed, micros, op))| {
            let op = [Op::Put, Op::Forget, Op::Erase][usize::from(op)];
            if op != Op::Put {
                return deleted(seq, op);
            }
            let time = DateTime::from_timestamp_micros(micros).unwrap();
            Change {
                revision,
                text: format!("t{text}"),
                memory_id: id.parse().unwrap(),
                embedding: seed.map(vector),
                embedding_model: seed.map(|_| "model".to_owned()),
                created_at: time,
                updated_at: time,
                ..change(seq, "")
            }
        })
}

#[test]
fn seeds_are_read_as_ever() {
    let with_vector = Change {
        embedding: Some(vector(0.5)),
        embedding_model: Some("all-MiniLM-L6-v2".into()),
        ..change(2, "with a vector")
    };
    let made = [
        ("good-text", vec![change(1, "plain")]),
        ("good-vector", vec![with_vector]),
        (
            "good-deletions",
            vec![deleted(3, Op::Forget), deleted(7, Op::Erase)],
        ),
    ]
    .map(|(name, changes)| {
        let (file, entry) = written(&changes);
        let rows = (entry.rows as u16).to_be_bytes();
        (name, [rows.to_vec(), bytes_of(&file)].concat())
    });
    crate::fuzz::seeds::check("segment", &made, fuzz::segment);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_rows_come_back(changes in proptest::collection::vec(any_change(), 1..40)) {
        let (file, entry) = written(&changes);
        let rows: Result<Vec<_>, _> = read_all(file, &entry).unwrap().into_iter().collect();
        prop_assert_eq!(rows.unwrap(), changes);
    }

    #[test]
    fn random_bytes_never_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let (_, entry) = written(&[change(1, "a")]);
        survives(&bytes, &entry);
        let footer = bytes.len() as u32;
        bytes.extend(footer.to_le_bytes());
        bytes.extend(b"PAR1");
        survives(&bytes, &entry);
    }

    #[test]
    fn several_changed_bytes_never_panic(
        edits in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..12)
    ) {
        let (file, entry) = written(&[change(1, "a"), deleted(2, Op::Forget)]);
        let mut bytes = bytes_of(&file);
        for (at, byte) in edits {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        survives(&bytes, &entry);
    }
}
