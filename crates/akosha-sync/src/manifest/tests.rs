//! Round trips, every check, and hostile bytes.

use akosha_core::{SystemId, UploadId, time};
use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::ContentHash;
use crate::crypt::VaultKeys;

mod encrypted;

fn system() -> SystemId {
    "laptop".parse().unwrap()
}

fn upload() -> UploadId {
    "20260102_030405_laptop_00000a".parse().unwrap()
}

fn now() -> DateTime<Utc> {
    time::parse("2026-01-02T03:04:05Z").unwrap()
}

fn draft() -> ManifestDraft {
    let mut draft = ManifestDraft::new(system(), upload(), now());
    draft.segments = vec![SegmentEntry {
        sha256: ContentHash::of(b"segment"),
        size_bytes: 1000,
        rows: 3,
        min_seq: 1,
        max_seq: 9,
    }];
    draft.files = vec![FileEntry {
        name: "reflection.duckdb".into(),
        size_bytes: 70,
        sha256: ContentHash::of(b"file"),
        compression: Some(CompressionFormat::Zstd),
        chunks: vec![
            ChunkEntry {
                sha256: ContentHash::of(b"1"),
                size_bytes: 40,
                stored_bytes: 20,
                compression: Some(CompressionFormat::Zstd),
            },
            ChunkEntry {
                sha256: ContentHash::of(b"2"),
                size_bytes: 30,
                stored_bytes: 15,
                compression: Some(CompressionFormat::Zstd),
            },
        ],
    }];
    draft.metadata.hostname = Some("les.local".into());
    draft.metadata.trigger = "manual".into();
    draft
}

fn verify(bytes: &[u8]) -> Result<Manifest, ManifestError> {
    UnverifiedManifest::parse(bytes)?.verify(&Verification {
        system_id: &system(),
        upload_id: &upload(),
        now: now(),
        keys: &plain(),
    })
}

/// Returns what a home without keys reads and writes with.
fn plain() -> VaultKeys {
    VaultKeys::default()
}

fn value() -> Value {
    serde_json::from_slice(&draft().seal(&plain()).unwrap().bytes).unwrap()
}

/// Returns the bytes of a changed manifest with a checksum that fits.
fn resealed(mut value: Value) -> Vec<u8> {
    value["checksum"] = check::checksum(&value).unwrap().to_string().into();
    serde_json::to_vec(&value).unwrap()
}

fn changed(edit: impl FnOnce(&mut Value)) -> Result<Manifest, ManifestError> {
    let mut value = value();
    edit(&mut value);
    verify(&resealed(value))
}

#[test]
fn a_sealed_manifest_verifies_as_what_it_was() {
    let draft = draft();
    let sealed = draft.seal(&plain()).unwrap();
    assert_eq!(verify(&sealed.bytes), Ok(sealed.manifest.clone()));
    assert_eq!(draft.seal(&plain()).unwrap().bytes, sealed.bytes);
    let manifest = sealed.manifest;
    assert_eq!(manifest.conversation_count(), 3);
    assert_eq!(manifest.total_size_bytes(), 1070);
    assert_eq!(manifest.segments(), draft.segments);
    assert_eq!(manifest.files(), draft.files);
    assert_eq!(manifest.metadata(), &draft.metadata);
    assert_eq!((manifest.encryption(), manifest.signed_by()), (None, None));
}

/// Computed with another program: Python's `json` and `hashlib` over sorted keys.
#[test]
fn the_checksum_is_that_of_canonical_json() {
    let text = br#"{"z": 1, "a": {"c": [1.0, 1e2], "b": "\u00e9\u20ac"}, "checksum": "x", "signature": "y"}"#;
    let value = json::parse(text).unwrap();
    assert_eq!(
        check::checksum(&value).unwrap(),
        ContentHash::of(r#"{"a":{"b":"é€","c":[1,100]},"z":1}"#.as_bytes())
    );
}

#[test]
fn newer_minor_versions_with_more_fields_are_read() {
    let manifest = changed(|value| {
        value["version"] = "1.7".into();
        value["later"] = json!({"ratio": 0.1, "tiny": 5e-324, "list": [1, null]});
        value["segments"][0]["later"] = 1.into();
    });
    assert!(manifest.is_ok(), "{manifest:?}");
    // Fields that are not known are still covered.
    let mut value = value();
    value["later"] = 1.into();
    let bytes = serde_json::to_vec(&value).unwrap();
    assert!(matches!(
        verify(&bytes),
        Err(ManifestError::Checksum { .. })
    ));
}

#[test]
fn times_are_utc_and_not_from_the_future() {
    let at = |text: &str| changed(|value| value["uploaded_at"] = text.into());
    assert_eq!(at("2026-01-02T03:04:05").unwrap().uploaded_at(), now());
    assert!(at("1999-01-01").is_ok());
    assert!(at("2026-01-02T03:09:05Z").is_ok());
    let late = at("2026-01-02T03:09:06Z");
    assert!(
        matches!(late, Err(ManifestError::InFuture { .. })),
        "{late:?}"
    );
    assert!(matches!(at("soon"), Err(ManifestError::Id { .. })));
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn each_broken_rule_has_its_error() {
    use ManifestError as E;
    type Check = fn(&E) -> bool;
    let range: Check = |error| matches!(error, E::Range { .. });
    let wrong_type: Check = |error| matches!(error, E::Type { .. });
    let total: Check = |error| matches!(error, E::Total { .. });
    let id: Check = |error| matches!(error, E::Id { .. });
    let name: Check = |error| matches!(error, E::Name { .. });
    let path: Check = |error| matches!(error, E::Path { .. });
    let compression: Check = |error| matches!(error, E::Compression { .. });
    let other_path = format!(
        "systems/other/segments/{}.parquet",
        ContentHash::of(b"segment")
    );
    let cases: Vec<(&str, Value, Check, &str)> = vec![
        (
            "/version",
            json!("1"),
            |e| matches!(e, E::Version { .. }),
            "version",
        ),
        (
            "/version",
            json!("1.0\n"),
            |e| matches!(e, E::Version { .. }),
            "version",
        ),
        (
            "/version",
            json!("2.0"),
            |e| matches!(e, E::UnknownMajor { .. }),
            "version",
        ),
        (
            "/version",
            json!("01.0"),
            |e| matches!(e, E::UnknownMajor { .. }),
            "version",
        ),
        ("/version", json!(1.0), wrong_type, "version"),
        (
            "/system_id",
            json!("other"),
            |e| matches!(e, E::WrongPlace { .. }),
            "system_id",
        ),
        ("/system_id", json!("laptop\n"), id, "system_id"),
        (
            "/upload_id",
            json!("x"),
            |e| matches!(e, E::WrongPlace { .. }),
            "upload_id",
        ),
        ("/upload_id", json!("../x"), id, "upload_id"),
        ("/kind", json!("backup"), wrong_type, "kind"),
        ("/name", json!("a\nb"), name, "name"),
        ("/parent", json!("a/b"), id, "parent"),
        (
            "/conversation_count",
            json!(-1),
            range,
            "conversation_count",
        ),
        (
            "/conversation_count",
            json!(1_000_001),
            range,
            "conversation_count",
        ),
        (
            "/conversation_count",
            json!("3"),
            wrong_type,
            "conversation_count",
        ),
        (
            "/conversation_count",
            json!(3.5),
            wrong_type,
            "conversation_count",
        ),
        ("/conversation_count", json!(4), total, "conversation_count"),
        (
            "/total_size_bytes",
            json!(100_000_000_001_u64),
            range,
            "total_size_bytes",
        ),
        ("/total_size_bytes", json!(1000), total, "total_size_bytes"),
        ("/compressed", json!(false), compression, "compressed"),
        (
            "/compression_format",
            json!(null),
            compression,
            "compressed",
        ),
        (
            "/compression_format",
            json!("brotli"),
            wrong_type,
            "compression_format",
        ),
        (
            "/compression_format",
            json!("gzip"),
            compression,
            "files[0].compression",
        ),
        ("/segments", json!({}), wrong_type, "segments"),
        ("/segments/0", json!(1), wrong_type, "segments[0]"),
        (
            "/segments/0/path",
            json!(other_path),
            path,
            "segments[0].path",
        ),
        (
            "/segments/0/path",
            json!("../../etc/passwd"),
            path,
            "segments[0].path",
        ),
        ("/segments/0/sha256", json!("A"), id, "segments[0].sha256"),
        ("/segments/0/rows", json!(0), range, "segments[0].rows"),
        ("/segments/0/rows", json!(2), total, "conversation_count"),
        (
            "/segments/0/size_bytes",
            json!(0),
            range,
            "segments[0].size_bytes",
        ),
        (
            "/segments/0/min_seq",
            json!(-1),
            range,
            "segments[0].min_seq",
        ),
        (
            "/segments/0/min_seq",
            json!(10),
            |e| matches!(e, E::SeqOrder { .. }),
            "segments[0]",
        ),
        ("/files/0/name", json!("../x"), name, "files[0].name"),
        ("/files/0/name", json!("a/b"), name, "files[0].name"),
        ("/files/0/name", json!("a\n"), name, "files[0].name"),
        (
            "/files/0/name",
            json!("x".repeat(256)),
            name,
            "files[0].name",
        ),
        (
            "/files/0/size_bytes",
            json!(71),
            total,
            "files[0].size_bytes",
        ),
        (
            "/files/0/sha256",
            json!(null),
            wrong_type,
            "files[0].sha256",
        ),
        (
            "/files/0/compression",
            json!(null),
            total,
            "files[0].chunks[0].stored_bytes",
        ),
        (
            "/files/0/compression",
            json!("gzip"),
            compression,
            "files[0].compression",
        ),
        (
            "/files/0/chunks/0/size_bytes",
            json!(0),
            range,
            "files[0].chunks[0].size_bytes",
        ),
        (
            "/files/0/chunks/0/stored_bytes",
            json!(1_i64 << 40),
            range,
            "files[0].chunks[0].stored_bytes",
        ),
        (
            "/encryption",
            json!({}),
            |e| matches!(e, E::Missing { .. }),
            "encryption.format",
        ),
        ("/encryption", json!("on"), wrong_type, "encryption"),
        ("/metadata", json!([]), wrong_type, "metadata"),
        (
            "/metadata/trigger",
            json!(1),
            wrong_type,
            "metadata.trigger",
        ),
        ("/signature", json!(1), wrong_type, "signature"),
    ];
    for (pointer, new, check, field) in cases {
        let result = changed(|value| *value.pointer_mut(pointer).unwrap() = new.clone());
        let error = result.expect_err(pointer);
        assert!(check(&error), "{pointer} {new}: {error:?}");
        assert!(
            error.to_string().contains(field),
            "{pointer} {new}: {error}"
        );
        assert!(error.to_string().len() < 400, "{error}");
    }
}

#[test]
fn missing_and_doubled_things_are_named() {
    for field in [
        "version",
        "uploaded_at",
        "segments",
        "files",
        "compressed",
        "metadata",
        "kind",
    ] {
        let result = changed(|value| {
            value.as_object_mut().unwrap().remove(field);
        });
        assert_eq!(
            result,
            Err(ManifestError::Missing {
                field: field.into()
            })
        );
    }
    let result = changed(|value| {
        let segment = value["segments"][0].clone();
        value["segments"].as_array_mut().unwrap().push(segment);
        value["conversation_count"] = 6.into();
    });
    assert!(matches!(
        result,
        Err(ManifestError::Duplicate {
            field: "segments",
            ..
        })
    ));
    let result = changed(|value| {
        let file = value["files"][0].clone();
        value["files"].as_array_mut().unwrap().push(file);
    });
    assert!(matches!(
        result,
        Err(ManifestError::Duplicate { field: "files", .. })
    ));
    let result = changed(|value| value["segments"] = json!(vec![json!({}); MAX_SEGMENTS + 1]));
    assert!(matches!(
        result,
        Err(ManifestError::TooMany {
            field: "segments",
            ..
        })
    ));
}

#[test]
fn only_a_checksum_in_lower_case_counts() {
    let mut value = value();
    for wrong in [
        json!(value["checksum"].as_str().unwrap().to_uppercase()),
        json!(""),
        json!(null),
    ] {
        value["checksum"] = wrong;
        assert!(verify(&serde_json::to_vec(&value).unwrap()).is_err());
    }
    // The signature is not covered, and one of another form is passed over.
    let mut value = self::value();
    value["signature"] = "abc".into();
    let manifest = verify(&serde_json::to_vec(&value).unwrap()).unwrap();
    assert_eq!(manifest.signed_by(), None);
}

#[test]
fn what_a_reader_would_refuse_is_not_sealed() {
    let mut ahead = draft();
    ahead.segments[0].rows = MAX_ROWS + 1;
    assert!(ahead.seal(&plain()).is_err());
    let mut named = draft();
    named.files[0].name = "../x".into();
    assert!(named.seal(&plain()).is_err());
}

#[test]
fn refusals_that_time_heals_are_known() {
    let encrypted = changed(|value| value["encryption"] = json!({"format": "akosha-2"}));
    assert!(encrypted.unwrap_err().may_pass_later());
    let mut late = draft();
    late.uploaded_at = now() + TimeDelta::hours(1);
    let error = verify(&late.seal(&plain()).unwrap().bytes).unwrap_err();
    assert!(error.may_pass_later());
    assert!(
        !changed(|value| value["kind"] = json!(1))
            .unwrap_err()
            .may_pass_later()
    );
}

#[test]
fn no_turned_bit_verifies() {
    let bytes = draft().seal(&plain()).unwrap().bytes;
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut changed = bytes.to_vec();
            changed[at] ^= 1 << bit;
            // White space and the signature do not count; here there is neither.
            assert!(verify(&changed).is_err(), "byte {at} bit {bit}");
        }
    }
    for len in 0..bytes.len() {
        assert!(verify(&bytes[..len]).is_err());
    }
}

#[test]
fn what_stands_for_others_names_each_once_and_not_itself() {
    let replaced = |id: &str| Replaced {
        upload_id: id.parse().unwrap(),
        uploaded_at: now(),
        max_seq: 3,
        via: None,
    };
    let with = |ids: &[&str]| {
        let mut draft = draft();
        draft.replaces = ids.iter().map(|id| replaced(id)).collect();
        draft.seal(&plain()).map(drop)
    };
    assert!(with(&["a", "b"]).is_ok());
    for wrong in [&["a", "a"][..], &["a", upload().as_str()]] {
        let error = with(wrong).unwrap_err().to_string();
        assert!(error.contains("replaces"), "{error}");
    }
}

#[test]
fn seeds_are_read_as_ever() {
    let mut lists_no_files = draft();
    lists_no_files.files.clear();
    lists_no_files.files_from = Some(upload());
    lists_no_files.parent = Some(upload());
    let mut snapshot = draft();
    snapshot.kind = UploadKind::Snapshot;
    snapshot.name = Some("before the move".into());
    snapshot.files[0].chunks[1].compression = Some(CompressionFormat::Lz4);
    let mut sealed = draft();
    for chunk in &mut sealed.files[0].chunks {
        chunk.stored_bytes += crate::crypt::OVERHEAD;
    }
    let made = [
        ("good-files", draft(), plain()),
        ("good-memories", lists_no_files, plain()),
        ("good-snapshot", snapshot, plain()),
        ("good-sealed", sealed, crate::crypt::fuzz::keys(true)),
    ]
    .map(|(name, draft, keys)| (name, draft.seal(&keys).unwrap().bytes.to_vec()));
    crate::fuzz::seeds::check("manifest", &made, fuzz::manifest);
}

proptest! {
    #[test]
    fn random_bytes_never_verify(bytes in proptest::collection::vec(any::<u8>(), 0..500)) {
        prop_assert!(verify(&bytes).is_err());
    }

    #[test]
    fn random_json_never_panics(text in "[\\[\\]{}\":,0-9a-e.+\\-\\\\ ]{0,120}") {
        prop_assert!(verify(text.as_bytes()).is_err());
    }

    #[test]
    fn any_files_come_back_plain_and_sealed(
        names in proptest::collection::hash_set("[A-Za-z0-9_-]{1,60}(\\.[a-z]{1,8})?", 0..6),
        pieces in proptest::collection::vec((1..1_000_000_u64, 0..4_u8), 0..6),
        compression in 0..4_u8,
        encrypts: bool,
    ) {
        let keys = if encrypts { crate::crypt::fuzz::keys(true) } else { plain() };
        let overhead = if encrypts { crate::crypt::OVERHEAD } else { 0 };
        let formats = [
            None,
            Some(CompressionFormat::Zstd),
            Some(CompressionFormat::Gzip),
            Some(CompressionFormat::Lz4),
        ];
        let chunks: Vec<ChunkEntry> = pieces
            .iter()
            .map(|(size_bytes, format)| ChunkEntry {
                sha256: ContentHash::of(&size_bytes.to_le_bytes()),
                size_bytes: *size_bytes,
                stored_bytes: size_bytes + overhead,
                compression: formats[usize::from(*format)],
            })
            .collect();
        let mut draft = draft();
        draft.compression = formats[usize::from(compression)];
        draft.files = names
            .into_iter()
            .map(|name| FileEntry {
                sha256: ContentHash::of(name.as_bytes()),
                name,
                size_bytes: chunks.iter().map(|chunk| chunk.size_bytes).sum(),
                compression: draft.compression,
                chunks: chunks.clone(),
            })
            .collect();
        let bytes = draft.seal(&keys).unwrap().bytes;
        let (system_id, upload_id) = (system(), upload());
        let against = Verification {
            system_id: &system_id,
            upload_id: &upload_id,
            now: now(),
            keys: &keys,
        };
        let manifest = UnverifiedManifest::parse(&bytes).unwrap().verify(&against).unwrap();
        prop_assert_eq!(manifest.files(), &draft.files[..]);
    }

    #[test]
    fn any_draft_comes_back(
        segments in proptest::collection::vec((1..1000_u64, 1..1000_u64, 0..1000_i64, 0..1000_i64), 0..20),
        name in proptest::option::of("[^\\p{C}]{0,60}"),
        host in proptest::option::of("[^\\p{C}]{0,60}"),
        replaced in proptest::collection::vec((0..1000_i64, any::<bool>()), 0..20),
        is_snapshot: bool,
        holds_more: bool,
    ) {
        let mut draft = draft();
        draft.holds_more = holds_more;
        draft.replaces = replaced
            .into_iter()
            .enumerate()
            .map(|(at, (max_seq, is_inherited))| Replaced {
                upload_id: format!("upload-{at}").parse().unwrap(),
                uploaded_at: now() - TimeDelta::seconds(max_seq),
                max_seq,
                via: is_inherited.then(|| "upload-0".parse().unwrap()),
            })
            .collect();
        draft.segments = segments
            .into_iter()
            .enumerate()
            .map(|(at, (size_bytes, rows, seq, more))| SegmentEntry {
                sha256: ContentHash::of(&at.to_le_bytes()),
                size_bytes,
                rows,
                min_seq: seq,
                max_seq: seq + more,
            })
            .collect();
        draft.name = name;
        draft.metadata.hostname = host;
        if is_snapshot {
            draft.kind = UploadKind::Snapshot;
        }
        let sealed = draft.seal(&plain()).unwrap();
        let manifest = verify(&sealed.bytes).unwrap();
        prop_assert_eq!(manifest.name(), draft.name.as_deref());
        prop_assert_eq!(manifest.segments(), &draft.segments[..]);
        prop_assert_eq!(manifest.replaces(), &draft.replaces[..]);
        prop_assert_eq!(manifest.holds_more(), draft.holds_more);
        prop_assert_eq!(manifest, sealed.manifest);
    }
}
