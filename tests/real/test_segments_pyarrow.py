"""A second implementation of the vault in plain Python: reads what Akosha writes, writes what it
has to read, and what it has to refuse."""

import hashlib
import io
import json
import math
import re
from datetime import datetime, timedelta, timezone

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import rfc8785
from support import folder_objects, vector, watched

SCHEMA = pa.schema(
    [
        ("system_id", pa.string()),
        ("memory_id", pa.string()),
        ("revision", pa.int64()),
        ("seq", pa.int64()),
        ("op", pa.string()),
        ("text", pa.string()),
        ("metadata", pa.string()),
        ("embedding", pa.list_(pa.float32(), 384)),
        ("embedding_model", pa.string()),
        ("content_sha256", pa.string()),
        ("created_at", pa.timestamp("us", tz="UTC")),
        ("updated_at", pa.timestamp("us", tz="UTC")),
        ("stored_at", pa.timestamp("us", tz="UTC")),
        ("ingestion_method", pa.string()),
    ]
)

UPLOAD_ID = re.compile(r"\d{8}_\d{6}_[A-Za-z0-9_-]{1,100}_[0-9a-f]{6}")

MANIFEST_FIELDS = {
    "version",
    "upload_id",
    "system_id",
    "kind",
    "name",
    "uploaded_at",
    "parent",
    "conversation_count",
    "total_size_bytes",
    "compressed",
    "compression_format",
    "segments",
    "files",
    "encryption",
    "checksum",
    "signature",
    "metadata",
}


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def checksum(manifest):
    """The checksum of docs/vault-format.md: RFC 8785 without `checksum` and `signature`."""
    covered = {k: v for k, v in manifest.items() if k not in ("checksum", "signature")}
    return sha256(rfc8785.dumps(covered))


def is_text(kind):
    """Whether a column holds text, however it is laid out in memory."""
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


# --- What Akosha writes ---------------------------------------------------------------------


@pytest.fixture
def written(node, vault):
    """A vault with two uploads of memories of every kind, and the node that wrote it."""
    laptop = node("laptop", cloud_bucket=vault.as_uri())
    with laptop.stdio() as server:
        server.call(
            "batch_store_memories",
            memories=[
                {"memory_id": f"m{i}", "text": f"fact {i} ünïcödé 🦀"} for i in range(200)
            ]
            + [
                {
                    "memory_id": "vec",
                    "text": "with a vector",
                    "embedding": vector(1),
                    "metadata": {"tags": ["a", "b"], "deep": {"x": [1.5, None]}, "project": "p"},
                }
            ],
        )
    laptop.run("store", "--id", "m1", "fact 1, revised")
    first = laptop.json("sync")
    laptop.run("forget", "m2")
    laptop.run("store", "--id", "late", "after the first upload")
    second = laptop.json("sync")
    return laptop, vault, first, second


def read_uploads(vault):
    """Returns every upload of a vault: its manifest and the rows of its segments."""
    objects = folder_objects(vault)
    uploads = {}
    for key, body in objects.items():
        match = re.fullmatch(r"systems/([^/]+)/uploads/([^/]+)/manifest\.json", key)
        if not match:
            continue
        manifest = json.loads(body)
        rows = []
        for segment in manifest["segments"]:
            rows += pq.read_table(io.BytesIO(objects[segment["path"]])).to_pylist()
        uploads[match[2]] = (manifest, rows)
    return uploads


def test_manifests_are_what_the_format_says(written):
    _, vault, first, second = written
    objects = folder_objects(vault)
    uploads = read_uploads(vault)
    assert set(uploads) == {first["upload_id"], second["upload_id"]}
    for upload_id, (manifest, rows) in uploads.items():
        assert UPLOAD_ID.fullmatch(upload_id)
        assert set(manifest) >= MANIFEST_FIELDS
        assert manifest["version"] == "1.0" and manifest["kind"] == "sync"
        assert manifest["upload_id"] == upload_id and manifest["system_id"] == "laptop"
        assert manifest["checksum"] == checksum(manifest)
        assert manifest["uploaded_at"].endswith("Z")
        uploaded_at = datetime.fromisoformat(manifest["uploaded_at"])
        assert abs(datetime.now(timezone.utc) - uploaded_at) < timedelta(minutes=10)
        assert manifest["metadata"]["uploader"] == "akosha"
        assert manifest["metadata"]["trigger"] == "manual"
        assert manifest["compressed"] is True and manifest["compression_format"] == "zstd"
        assert manifest["files"] == [] and manifest["encryption"] is None
        assert manifest["conversation_count"] == len(rows)
        assert sum(segment["rows"] for segment in manifest["segments"]) == len(rows)
        assert manifest["total_size_bytes"] >= sum(s["size_bytes"] for s in manifest["segments"])
        for segment in manifest["segments"]:
            body = objects[segment["path"]]
            assert segment["path"] == f"systems/laptop/segments/{segment['sha256']}.parquet"
            assert sha256(body) == segment["sha256"] and len(body) == segment["size_bytes"]
    assert uploads[first["upload_id"]][0]["parent"] is None
    assert uploads[second["upload_id"]][0]["parent"] == first["upload_id"]
    head = json.loads(objects["systems/laptop/head.json"])
    assert set(head) >= {"version", "upload_id", "system_id", "writer_id", "epoch", "updated_at"}
    assert head["upload_id"] == second["upload_id"] and head["system_id"] == "laptop"
    markers = {key: body for key, body in objects.items() if key.startswith("inbox/")}
    assert markers == {f"inbox/{upload_id}": b"" for upload_id in uploads}
    known = {f"systems/laptop/uploads/{upload_id}/manifest.json" for upload_id in uploads}
    known |= {s["path"] for manifest, _ in uploads.values() for s in manifest["segments"]}
    known |= set(markers) | {"systems/laptop/head.json"}
    left = {key for key in set(objects) - known if not key.split("/")[-1].startswith(".")}
    assert left == set(), "a push leaves nothing beside what readers see"


def test_segments_are_what_the_format_says(written):
    _, vault, first, second = written
    objects = folder_objects(vault)
    uploads = read_uploads(vault)
    for manifest, _ in uploads.values():
        for segment in manifest["segments"]:
            file = pq.ParquetFile(io.BytesIO(objects[segment["path"]]))
            assert file.metadata.num_rows == segment["rows"]
            schema = file.schema_arrow
            assert set(schema.names) >= set(SCHEMA.names)
            for field in SCHEMA:
                found = schema.field(field.name).type
                if pa.types.is_string(field.type):
                    assert is_text(found), (field.name, found)
                else:
                    assert found == field.type or (
                        pa.types.is_fixed_size_list(found)
                        and (found.list_size, found.value_type) == (384, pa.float32())
                    ), (field.name, found)
            column = file.metadata.row_group(0).column(0)
            assert column.compression == "ZSTD"
    rows = uploads[first["upload_id"]][1]
    by_id = {}
    for row in rows:
        by_id.setdefault(row["memory_id"], []).append(row)
        assert row["system_id"] == "laptop" and row["op"] == "put"
        assert row["content_sha256"] == sha256(row["text"].encode())
        assert row["revision"] >= 1 and row["seq"] >= 1
        assert row["ingestion_method"] == "local"
        assert isinstance(json.loads(row["metadata"]), dict)
        assert row["created_at"] <= row["updated_at"]
    assert by_id["m7"][0]["text"] == "fact 7 ünïcödé 🦀"
    assert by_id["m7"][0]["embedding"] is None
    assert max(by_id["m1"], key=lambda row: row["revision"])["text"] == "fact 1, revised"
    vec = by_id["vec"][0]
    assert json.loads(vec["metadata"]) == {
        "tags": ["a", "b"],
        "deep": {"x": [1.5, None]},
        "project": "p",
    }
    assert all(
        math.isclose(a, b, rel_tol=1e-6) for a, b in zip(vec["embedding"], vector(1), strict=True)
    )
    segments = uploads[first["upload_id"]][0]["segments"]
    seqs = sorted(row["seq"] for row in rows)
    assert segments[0]["min_seq"] == seqs[0] and segments[-1]["max_seq"] == seqs[-1]
    later = {row["memory_id"]: row for row in uploads[second["upload_id"]][1]}
    assert set(later) == {"m2", "late"}
    assert later["m2"]["op"] == "forget" and later["late"]["op"] == "put"
    assert min(row["seq"] for row in later.values()) > seqs[-1]


def test_rows_in_python_are_what_export_shows(written):
    laptop, vault, *_ = written
    heads = {}
    for _, rows in read_uploads(vault).values():
        for row in rows:
            key = (row["system_id"], row["memory_id"])
            if key not in heads or heads[key]["revision"] < row["revision"]:
                heads[key] = row
    texts = {key: row["text"] for key, row in heads.items() if row["op"] == "put"}
    assert texts == {key: row["text"] for key, row in laptop.export().items()}


# --- What Akosha reads ----------------------------------------------------------------------


class Writer:
    """Writes uploads into a folder vault as the format says, or otherwise."""

    def __init__(self, vault):
        self.vault = vault
        self.count = 0

    def put(self, key, body):
        path = self.vault / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)

    def row(self, system, memory_id, text, **more):
        at = datetime(2026, 1, 2, 3, 4, 5, 678901, timezone.utc)
        self.count += 1
        return {
            "system_id": system,
            "memory_id": memory_id,
            "revision": 1,
            "seq": self.count,
            "op": "put",
            "text": text,
            "metadata": "{}",
            "embedding": None,
            "embedding_model": None,
            "content_sha256": sha256(text.encode()),
            "created_at": at,
            "updated_at": at,
            "stored_at": at,
            "ingestion_method": "local",
            **more,
        }

    def parquet(self, rows, schema=SCHEMA, compression="zstd"):
        table = rows if isinstance(rows, pa.Table) else pa.Table.from_pylist(rows, schema)
        out = io.BytesIO()
        pq.write_table(table, out, compression=compression)
        return out.getvalue()

    def segment(self, system, rows, /, **more):
        """Writes a segment and returns its entry; `body` replaces the bytes written."""
        body = self.parquet(rows)
        seqs = rows["seq"].to_pylist() if isinstance(rows, pa.Table) else [r["seq"] for r in rows]
        entry = {
            "path": f"systems/{system}/segments/{sha256(body)}.parquet",
            "sha256": sha256(body),
            "size_bytes": len(body),
            "rows": len(seqs),
            "min_seq": min(seqs),
            "max_seq": max(seqs),
        }
        self.put(entry["path"], more.pop("body", lambda body: body)(body))
        return {**entry, **more}

    def upload(self, system, segments, folder=None, suffix="000001", raw=None, **more):
        """Writes manifest, head and marker; returns the upload's id."""
        upload_id = more.get("upload_id", f"20260102_030405_{system}_{suffix}")
        manifest = {
            "version": "1.0",
            "upload_id": upload_id,
            "system_id": system,
            "kind": "sync",
            "name": None,
            "uploaded_at": "2026-01-02T03:04:06Z",
            "parent": None,
            "conversation_count": sum(segment["rows"] for segment in segments),
            "total_size_bytes": sum(segment["size_bytes"] for segment in segments),
            "compressed": True,
            "compression_format": "zstd",
            "segments": segments,
            "files": [],
            "encryption": None,
            "signature": None,
            "metadata": {"uploader": "python", "uploader_version": "0", "trigger": "manual"},
        }
        manifest.update(more)
        manifest.setdefault("checksum", checksum(manifest))
        body = json.dumps(manifest).encode() if raw is None else raw
        place = folder or upload_id
        self.put(f"systems/{system}/uploads/{place}/manifest.json", body)
        self.put(f"inbox/{place}", b"")
        return place


@pytest.fixture
def writer(vault):
    return Writer(vault)


def test_an_upload_written_in_python_comes_in(node, vault, writer):
    rows = [writer.row("pi", f"p{i}", f"made in Python, number {i} 🐍") for i in range(50)]
    rows[0] |= {
        "embedding": [round(x, 3) for x in vector(5)],
        "embedding_model": "all-MiniLM-L6-v2",
        "metadata": json.dumps({"tags": ["snake"], "project": "pi"}),
    }
    upload_id = writer.upload("pi", [writer.segment("pi", rows)])
    # A later minor version with fields nobody knows yet, a naive time, uncompressed.
    later = [writer.row("pi", "p1", "made in Python, revised", revision=2)]
    later.append(writer.row("pi", "p2", "", op="forget", revision=2))
    body = writer.parquet(later, compression="none")
    entry = {
        "path": f"systems/pi/segments/{sha256(body)}.parquet",
        "sha256": sha256(body),
        "size_bytes": len(body),
        "rows": 2,
        "min_seq": later[0]["seq"],
        "max_seq": later[1]["seq"],
        "hue": "blue",
    }
    writer.put(entry["path"], body)
    writer.upload(
        "pi",
        [entry],
        suffix="000002",
        version="1.3",
        parent=upload_id,
        uploaded_at="2026-01-02T03:05:06",
        future={"x": [1, 2.5, "é"]},
    )
    desk = node("desk", cloud_bucket=vault.as_uri())
    report = desk.json("pull")
    assert report["success"] is True and report["quarantined"] == [], report
    assert report["uploads_merged"] == 2
    export = desk.export()
    assert len(export) == 49 and ("pi", "p2") not in export
    assert export[("pi", "p1")]["text"] == "made in Python, revised"
    first = export[("pi", "p0")]
    assert first["embedding_dim"] == 384 and first["metadata"]["tags"] == ["snake"]
    assert first["created_at"].startswith("2026-01-02T03:04:05.678901")
    found = desk.json("search", "python revised")
    assert found["results"][0]["memory_id"] == "p1"
    assert desk.json("pull")["uploads_merged"] == 0


def hostile(writer):
    """Writes one bad upload per system; returns by system what its reason may say."""
    good_row = lambda system: [writer.row(system, "m", f"text of {system}")]  # noqa: E731
    segment = lambda system, **more: writer.segment(system, good_row(system), **more)  # noqa: E731
    reasons = {}

    def bad(system, pattern):
        reasons[system] = pattern
        return system

    name = bad("bad-checksum", "checksum")
    writer.upload(name, [segment(name)], checksum="0" * 64)
    name = bad("upper-checksum", "checksum|hex")
    manifest_segments = [segment(name)]
    writer.upload(name, manifest_segments, checksum="A" * 64)
    name = bad("edited-later", "checksum")
    segments = [segment(name)]
    writer.upload(name, segments, conversation_count=1, checksum=checksum({"other": 1}))

    name = bad("path-escape", "path|prefix|segment")
    escaped = segment(name, path="../../../../outside.parquet")
    writer.upload(name, [escaped])
    name = bad("path-absolute", "path|prefix|segment")
    writer.upload(name, [segment(name, path="/etc/hosts")])
    name = bad("path-neighbour", "path|prefix|segment|system")
    stolen = segment("good-one")
    writer.upload(name, [stolen])

    name = bad("from-the-future", "future|ahead|uploaded_at|clock")
    ahead = datetime.now(timezone.utc) + timedelta(hours=2)
    writer.upload(name, [segment(name)], uploaded_at=ahead.strftime("%Y-%m-%dT%H:%M:%SZ"))
    name = bad("no-time", "uploaded_at")
    writer.upload(name, [segment(name)], uploaded_at="last tuesday")

    name = bad("others-rows", "belongs to")
    writer.upload(name, [writer.segment(name, good_row("good-one"))])

    name = bad("truncated", "size|bytes|sha|hash|truncat")
    writer.upload(name, [segment(name, body=lambda body: body[:-50])])
    name = bad("flipped-bit", "sha|hash|checksum")
    flip = lambda body: body[:60] + bytes([body[60] ^ 1]) + body[61:]  # noqa: E731
    writer.upload(name, [segment(name, body=flip)])
    name = bad("missing-segment", "missing|not found|is not there|no such|does not exist")
    gone = segment(name)
    (writer.vault / gone["path"]).unlink()
    writer.upload(name, [gone])
    name = bad("no-parquet", "parquet|segment")
    junk = b"PAR1" + b"junk" * 50 + b"PAR1"
    entry = {
        "path": f"systems/{name}/segments/{sha256(junk)}.parquet",
        "sha256": sha256(junk),
        "size_bytes": len(junk),
        "rows": 1,
        "min_seq": 1,
        "max_seq": 1,
    }
    writer.put(entry["path"], junk)
    writer.upload(name, [entry])
    name = bad("wrong-columns", "column|memory_id|schema|missing")
    table = pa.table({"system_id": [name], "seq": [1], "words": ["x"]})
    writer.upload(name, [writer.segment(name, table)])
    name = bad("wrong-types", "column|revision|type")
    schema = SCHEMA.set(2, pa.field("revision", pa.string()))
    table = pa.Table.from_pylist([writer.row(name, "m", "x", revision="1")], schema)
    writer.upload(name, [writer.segment(name, table)])

    name = bad("too-few-rows", "row")
    writer.upload(name, [segment(name, rows=5)])
    name = bad("too-many-rows", "row")
    many = [writer.row(name, f"m{i}", f"x{i}") for i in range(3)]
    writer.upload(name, [writer.segment(name, many, rows=1)])
    name = bad("count-lies", "conversation_count|count|row")
    writer.upload(name, [segment(name)], conversation_count=7)
    name = bad("count-negative", "conversation_count")
    writer.upload(name, [segment(name)], conversation_count=-1)
    name = bad("count-huge", "conversation_count|row")
    writer.upload(name, [segment(name)], conversation_count=1_000_001)
    name = bad("size-huge", "total_size_bytes")
    writer.upload(name, [segment(name)], total_size_bytes=100_000_000_001)

    # 100 MB of one byte in a few hundred KB, and 300 GB by way of a dictionary.
    name = bad("bomb-plain", "text|large|limit|bytes|size|bound|MiB")
    writer.upload(name, [writer.segment(name, [writer.row(name, "m", "a" * (100 << 20))])])
    name = bad("bomb-dictionary", "text|large|limit|bytes|size|bound|MiB")
    huge = "b" * (30 << 20)
    rows = [writer.row(name, f"m{i}", "") for i in range(10_000)]
    table = pa.Table.from_pylist(rows, SCHEMA)
    texts = pa.DictionaryArray.from_arrays(pa.array([0] * len(rows), pa.int32()), [huge])
    table = table.set_column(5, "text", texts)
    writer.upload(name, [writer.segment(name, table)])

    name = bad("newline-in-memory", "memory_id|memory id|control")
    writer.upload(name, [writer.segment(name, [writer.row(name, "m\n", "x")])])
    name = bad("newline-in-upload", "upload")
    writer.upload(
        name,
        [segment(name)],
        folder=f"20260102_030405_{name}_000001",
        upload_id=f"20260102_030405_{name}_000001\n",
    )
    name = bad("newline-in-system", "system")
    writer.upload(
        name,
        [segment(name)],
        folder=f"20260102_030405_{name}_000001",
        system_id=f"{name}\n",
        upload_id=f"20260102_030405_{name}_000001",
    )
    name = bad("other-upload-id", "upload")
    writer.upload(
        name,
        [segment(name)],
        folder=f"20260102_030405_{name}_000001",
        upload_id=f"20260102_030405_{name}_000002",
    )

    name = bad("version-two", "version")
    writer.upload(name, [segment(name)], version="2.0")
    name = bad("version-word", "version")
    writer.upload(name, [segment(name)], version="1.0\n")
    name = bad("no-json", "json|manifest")
    writer.upload(name, [segment(name)], raw=b"{ not json")
    name = bad("empty-manifest", "json|manifest|empty")
    writer.upload(name, [segment(name)], raw=b"")
    name = bad("json-list", "object|manifest|list")
    writer.upload(name, [segment(name)], raw=b"[1, 2]")
    name = bad("twice-a-key", "twice|duplicate|key")
    writer.upload(name, [segment(name)], raw=b'{"version": "1.0", "version": "1.0"}')
    name = bad("compression-lies", "compress")
    writer.upload(name, [segment(name)], compressed=True, compression_format=None)
    name = bad("file-escapes", "name|file")
    sneaky = {"name": "../evil", "size_bytes": 0, "sha256": "0" * 64, "compression": None}
    writer.upload(name, [segment(name)], files=[{**sneaky, "chunks": []}])

    name = bad("empty-text", "text|empty")
    writer.upload(name, [writer.segment(name, [writer.row(name, "m", "")])])
    name = bad("wrong-content-hash", "content_sha256|hash|content")
    lie = writer.row(name, "m", "x", content_sha256="0" * 64)
    writer.upload(name, [writer.segment(name, [lie])])
    name = bad("not-a-number", "embedding|finite")
    nan = writer.row(name, "m", "x", embedding=[math.nan] * 384)
    writer.upload(name, [writer.segment(name, [nan])])
    name = bad("metadata-no-json", "metadata")
    writer.upload(name, [writer.segment(name, [writer.row(name, "m", "x", metadata="{")])])
    name = bad("unknown-op", "op")
    writer.upload(name, [writer.segment(name, [writer.row(name, "m", "x", op="explode")])])
    name = bad("revision-zero", "revision")
    writer.upload(name, [writer.segment(name, [writer.row(name, "m", "x", revision=0)])])
    return reasons


def test_bad_uploads_are_set_aside_and_good_ones_come_in(node, vault, writer):
    for system in ("aaa-good", "good-one", "zzz-good"):
        rows = [writer.row(system, f"g{i}", f"good text {i} of {system}") for i in range(20)]
        writer.upload(system, [writer.segment(system, rows)])
    reasons = hostile(writer)
    # Things that lie about and mean nothing.
    writer.put("systems/half/segments/" + "0" * 64 + ".parquet", b"half an upload")
    writer.put("inbox/no such upload", b"")
    writer.put("README.txt", b"hello")
    writer.put("systems/bad id/uploads/x/manifest.json", b"{}")

    desk = node("desk", cloud_bucket=vault.as_uri())
    done = desk.run("--json", "pull", code=3, timeout=180)
    report = json.loads(done.stdout)
    assert report["uploads_merged"] >= 3
    good = {key for key in desk.export() if key[1].startswith("g")}
    assert len(good) == 60

    by_system = {}
    for entry in report["quarantined"]:
        by_system.setdefault(entry["system_id"].strip(), []).append(entry["reason"])
        assert entry["upload_id"]
        assert "\n" not in entry["reason"] and len(entry["reason"]) < 1000
    problems = []
    for system, pattern in reasons.items():
        said = by_system.get(system)
        if not said:
            problems.append(f"{system}: not set aside")
        elif not re.search(pattern, " ".join(said), re.IGNORECASE):
            problems.append(f"{system}: reason {said} does not say {pattern}")
    assert not problems, "\n".join(problems)
    assert not set(by_system) & {"aaa-good", "good-one", "zzz-good"}
    # Nothing of a bad upload is found.
    export = set(desk.export())
    kept = {key for key in export if key[0] in reasons} | (export & {("good-one", "m")})
    assert kept == set(), kept

    shown = {entry["system_id"].strip() for entry in desk.json("status")["quarantine"]}
    assert shown >= set(reasons)
    again = json.loads(desk.run("--json", "pull", code=None).stdout)
    assert again["memories_added"] == 0 and again["uploads_merged"] == 0


def test_a_bomb_does_not_eat_the_memory(node, vault, writer):
    """A pull of 300 GB in a few hundred KB stays below 512 MiB of resident memory."""
    huge = "b" * (30 << 20)
    rows = [writer.row("bomb", f"m{i}", "") for i in range(10_000)]
    texts = pa.DictionaryArray.from_arrays(pa.array([0] * len(rows), pa.int32()), [huge])
    table = pa.Table.from_pylist(rows, SCHEMA).set_column(5, "text", texts)
    writer.upload("bomb", [writer.segment("bomb", table)])
    desk = node("desk", cloud_bucket=vault.as_uri())
    code, out, _, peak = watched(desk, "--json", "pull")
    assert code == 3, out[-500:]
    assert peak < 512 << 20, f"{peak >> 20} MiB"


def test_one_good_upload_repairs_nothing_of_a_bad_one(node, vault, writer):
    """A system whose first upload is bad still delivers its later ones."""
    bad = [writer.row("mixed", "a", "first")]
    writer.upload("mixed", [writer.segment("mixed", bad)], checksum="0" * 64)
    fine = [writer.row("mixed", "b", "second")]
    writer.upload("mixed", [writer.segment("mixed", fine)], suffix="000002")
    desk = node("desk", cloud_bucket=vault.as_uri())
    report = desk.json("pull", code=3)
    assert len(report["quarantined"]) == 1 and report["memories_added"] == 1
    assert set(desk.export()) == {("mixed", "b")}
