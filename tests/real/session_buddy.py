"""Databases as Session-Buddy writes them, for the suite of their import."""

import json
import subprocess
import sys
import tarfile
from pathlib import Path

from support import REAL

HERE = Path(__file__).parent
PYTHON = {"v1": REAL / "duckdb1/bin/python", "v2": Path(sys.executable)}
COMMAND = REAL / "venv/bin/duckdb"

# The tables of Session-Buddy 0.23 with the columns that matter, and those of its first versions.
NEW = """
CREATE TABLE conversations_v2 (id TEXT PRIMARY KEY, content TEXT NOT NULL, embedding FLOAT[384],
    category TEXT NOT NULL, importance_score REAL DEFAULT 0.5, access_count INTEGER DEFAULT 0,
    last_accessed TIMESTAMP, project TEXT, timestamp TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    session_id TEXT, metadata VARCHAR, fingerprint BLOB);
CREATE TABLE reflections_v2 (id TEXT PRIMARY KEY, content TEXT NOT NULL, embedding FLOAT[384],
    category TEXT NOT NULL, tags TEXT[], related_entities TEXT[],
    timestamp TIMESTAMP DEFAULT CURRENT_TIMESTAMP, created_at TIMESTAMP, metadata JSON);
"""
OLD = """
CREATE TABLE conversations (id VARCHAR PRIMARY KEY, content TEXT NOT NULL, embedding FLOAT[384],
    project VARCHAR, timestamp TIMESTAMP, metadata JSON);
CREATE TABLE reflections (id VARCHAR PRIMARY KEY, content TEXT NOT NULL, embedding FLOAT[384],
    tags VARCHAR[], timestamp TIMESTAMP, metadata JSON);
CREATE TABLE default_conversations (id VARCHAR PRIMARY KEY, content TEXT NOT NULL, metadata JSON,
    created_at TIMESTAMP NOT NULL, updated_at TIMESTAMP NOT NULL, embedding DOUBLE[]);
"""


def unpack(folder):
    """Unpacks the fixtures and returns the counts that they give."""
    with tarfile.open(HERE / "fixtures/session-buddy.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    return json.loads((folder / "expected.json").read_text())["rows"]


def run(version, code, *args, **more):
    """Runs Python with the library of a version and returns what it prints as JSON."""
    done = subprocess.run(
        [str(PYTHON[version]), "-c", "import duckdb, json, sys\n" + code, *map(str, args)],
        capture_output=True,
        text=True,
        timeout=120,
        **more,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout) if done.stdout.strip() else None


def start(version, code, *args):
    """Starts Python with the library of a version; its first line says that it is ready."""
    process = subprocess.Popen(
        [str(PYTHON[version]), "-c", "import duckdb, json, sys, time\n" + code, *map(str, args)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline().strip() == "ready"
    return process


def write(version, path, *statements, tables=NEW):
    """Writes a database."""
    code = (
        "db = duckdb.connect(sys.argv[1])\n"
        "for statement in json.loads(sys.stdin.read()): db.execute(statement)\n"
        "db.close()"
    )
    run(version, code, path, input=json.dumps([tables, *statements]))


def rewrite(source, target, is_live=False):
    """Writes what a database of DuckDB 1 holds as one of DuckDB 2; of a live one the rows stay in
    the log."""
    code = (
        "import os\n"
        "db = duckdb.connect()\n"
        "db.execute(\"SET checkpoint_threshold = '1TB'\")\n"
        "db.execute(f\"ATTACH '{sys.argv[1]}' AS one (READ_ONLY)\")\n"
        "db.execute(f\"ATTACH '{sys.argv[2]}' AS two\")\n"
        "db.execute('COPY FROM DATABASE one TO two')\n"
        "os._exit(0) if sys.argv[3] else db.close()"
    )
    run("v2", code, source, target, "live" if is_live else "")
    log = target.with_name(target.name + ".wal")
    assert (log.exists() and log.stat().st_size > 1000) == is_live


def rows(path, table, columns):
    """Returns rows of a table of a database that nobody writes."""
    code = (
        "db = duckdb.connect()\n"
        "db.execute(f\"ATTACH '{sys.argv[1]}' AS sb (READ_ONLY)\")\n"
        "rows = db.execute(f'SELECT {sys.argv[3]} FROM sb.{sys.argv[2]}').fetchall()\n"
        "print(json.dumps(rows, default=str))"
    )
    return run("v2", code, path, table, columns)


def literal(text):
    """Returns a text as SQL has it."""
    return "'" + text.replace("'", "''") + "'"
