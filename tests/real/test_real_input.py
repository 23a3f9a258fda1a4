"""Real text through the whole loop: the documentation of every crate in the local cargo registry
is imported, synced, pulled by another machine and found there."""

import os
import shutil
import time
from pathlib import Path

import pytest

NAMES = ("readme", "changelog", "changes", "history", "releases")


def registry():
    """Returns the folders of crate sources that cargo has unpacked."""
    home = Path(os.environ.get("CARGO_HOME", Path.home() / ".cargo"))
    return sorted(home.glob("registry/src/*/*"))


@pytest.fixture(scope="module")
def documents(tmp_path_factory):
    """README and CHANGELOG files of every crate, below a folder named like the crate."""
    root = tmp_path_factory.mktemp("crates")
    files = size = 0
    for crate in registry():
        for file in sorted(crate.glob("*.md")):
            if file.stem.lower().startswith(NAMES):
                (root / crate.name).mkdir(exist_ok=True)
                shutil.copyfile(file, root / crate.name / file.name)
                files += 1
                size += file.stat().st_size
    assert files > 300, f"only {files} files in the registry's cache"
    print(f"\n{files} files, {size / 1e6:.1f} MB")
    return root


# Query, and what a section that answers it has in its path and its text. A person can check
# each in the README or CHANGELOG of a crate that our own Cargo.lock names.
ASKED = [
    ("content defined chunking algorithm", "fastcdc", "chunking"),
    ("retry an async function with exponential backoff", "backon", "retry"),
    ("walk a directory recursively and follow symbolic links", "walkdir", "symbolic links"),
    ("fast search for one, two or three bytes in a string", "memchr", "bytes"),
    ("keep secrets from being logged and wipe them from memory", "secrecy", "wiped"),
    ("mutex and condvar smaller and faster than the standard library", "parking_lot", "faster"),
    ("vector that keeps a few items on the stack", "smallvec", "stack"),
    ("securely create temporary files", "tempfile", "temporary file"),
    ("how do I decode base64 that contains whitespace?", "base64", "whitespace"),
    ("lexicographically sortable unique identifiers", "ulid", "sortable"),
]


def comparable(export):
    """Returns an export without what differs by how a memory came in."""
    return {
        key: {name: value for name, value in row.items() if name != "ingestion_method"}
        for key, row in export.items()
    }


def timed(work):
    started = time.monotonic()
    result = work()
    return result, time.monotonic() - started


@pytest.fixture(params=["folder", "s3"])
def settings(request, vault):
    if request.param == "folder":
        return {"cloud_bucket": vault.as_uri()}
    return request.getfixturevalue("s3")


def test_documentation_of_every_crate(node, documents, settings):
    laptop, desk = node("laptop", **settings), node("desk", **settings)
    imported, import_seconds = timed(
        lambda: laptop.json("import", "markdown", str(documents), timeout=600)
    )
    assert imported["stored"] > 2000, imported
    exported = laptop.export()
    assert len(exported) == imported["stored"]
    again = laptop.json("import", "markdown", str(documents), timeout=600)
    assert again["stored"] == 0 and again["updated"] == 0, "imported twice"
    assert again["duplicates"] == imported["read"]

    pushed, push_seconds = timed(lambda: laptop.json("sync", timeout=600))
    assert pushed["success"] is True and pushed["method"] == "cloud", pushed
    pulled, pull_seconds = timed(lambda: desk.json("pull", timeout=600))
    assert pulled["success"] is True and pulled["quarantined"] == [], pulled["quarantined"][:5]
    assert pulled["memories_added"] == imported["stored"]
    assert comparable(desk.export()) == comparable(exported)
    assert laptop.json("sync")["memories_uploaded"] == 0

    size = sum(len(row["text"].encode()) for row in exported.values())
    print(
        f"\n{imported['stored']} sections, {size / 1e6:.1f} MB of text,"
        f" {pushed['bytes_transferred'] / 1e6:.1f} MB sent:"
        f" import {import_seconds:.2f} s, sync {push_seconds:.2f} s, pull {pull_seconds:.2f} s"
    )

    problems = []
    for query, crate, word in ASKED:
        found = desk.json("search", query, "--limit", "5")["results"]
        answers = [(r["metadata"].get("path", ""), r["text"]) for r in found]
        if not any(path.startswith(f"{crate}-") and word.lower() in text.lower() for path, text in answers):
            problems.append(f"{query!r}: {[path for path, _ in answers]}")
    assert not problems, "\n".join(problems)
