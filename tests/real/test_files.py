"""Databases that others write while they are synced arrive as they were at one moment."""

import subprocess
import sys
import time

import duckdb
import pytest

# Writes rows one transaction after another and keeps them in the log: `checkpoint` says how much
# may gather there. Prints the newest row that is committed, so the test knows what must arrive.
WRITER = """
import sys, duckdb
path, checkpoint = sys.argv[1:]
db = duckdb.connect(path)
db.execute(f"SET checkpoint_threshold = '{checkpoint}'")
db.execute("CREATE TABLE IF NOT EXISTS notes (id BIGINT, text VARCHAR)")
row = db.execute("SELECT coalesce(max(id), 0) FROM notes").fetchone()[0]
print("ready", flush=True)
for line in sys.stdin:
    for _ in range(int(line)):
        row += 1
        db.execute("INSERT INTO notes VALUES (?, repeat('word ', 200))", [row])
    print(row, flush=True)
import os
os._exit(0)  # without the checkpoint of a proper end
"""


class Writer:
    """A process that has a database open and writes it."""

    def __init__(self, path, checkpoint):
        self.process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), checkpoint],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout.readline() == "ready\n"

    def ask(self, rows):
        self.process.stdin.write(f"{rows}\n")
        self.process.stdin.flush()

    def done(self):
        return int(self.process.stdout.readline())

    def write(self, rows):
        self.ask(rows)
        return self.done()

    def close(self):
        self.process.stdin.close()
        self.process.wait(30)
        self.process.stdout.close()


def rows_of(path):
    """Returns the ids in a fetched database, which DuckDB recovers on opening."""
    with duckdb.connect(str(path)) as db:
        return [row[0] for row in db.execute("SELECT id FROM notes ORDER BY id").fetchall()]


@pytest.mark.parametrize("checkpoint", ["1GB", "64KB"])
def test_a_live_database_arrives_complete(node, vault, tmp_path, checkpoint):
    path = tmp_path / "reflection.duckdb"
    writer = Writer(path, checkpoint)
    machine = node(cloud_bucket=vault.as_uri(), files=[str(path)])
    try:
        for turn in range(5):
            committed = writer.write(200)
            # Idle while it is copied: everything that is committed has to arrive.
            report = machine.json("sync")
            assert report["files_uploaded"] == ["reflection.duckdb"], report
            back = tmp_path / f"back-{turn}"
            machine.json("files", "fetch", "reflection.duckdb", "--to", str(back))
            assert rows_of(back / "reflection.duckdb") == list(range(1, committed + 1))
    finally:
        writer.close()


def test_a_database_that_is_written_during_the_sync_is_one_moment_or_said_to_be_busy(
    node, vault, tmp_path
):
    path = tmp_path / "knowledge_graph.duckdb"
    writer = Writer(path, "256KB")
    before = writer.write(100)
    machine = node(cloud_bucket=vault.as_uri(), files=[str(path)])
    arrived = 0
    try:
        for turn in range(8):
            writer.ask(300 - 40 * turn)
            time.sleep(0.05 * turn)
            done = machine.run("--json", "sync", code=None)
            after = writer.done()
            assert done.returncode in (0, 1, 3), done
            if done.returncode:
                assert "keeps changing" in done.stdout + done.stderr
            else:
                arrived += 1
                back = tmp_path / f"back-{turn}"
                machine.json("files", "fetch", "knowledge_graph.duckdb", "--to", str(back))
                rows = rows_of(back / "knowledge_graph.duckdb")
                assert rows == list(range(1, len(rows) + 1)), "a torn copy"
                assert before <= len(rows) <= after
            before = after
        assert arrived, "no sync found a moment, so no copy was checked"
        # It holds still now.
        assert machine.json("sync")["success"]
        back = tmp_path / "last"
        machine.json("files", "fetch", "knowledge_graph.duckdb", "--to", str(back))
        assert rows_of(back / "knowledge_graph.duckdb") == list(range(1, after + 1))
    finally:
        writer.close()


def test_the_defaults_are_the_databases_of_session_buddy(node, vault):
    machine = node(cloud_bucket=vault.as_uri())
    data = machine.folder / ".claude" / "data"
    data.mkdir(parents=True)
    for name in ("reflection.duckdb", "knowledge_graph.duckdb"):
        with duckdb.connect(str(data / name)) as db:
            db.execute("CREATE TABLE notes AS SELECT 1 AS id")
    with machine.stdio() as server:
        report = server.call("sync_to_akosha", upload_knowledge_graph=False)
        assert report["success"], report
        assert report["files_uploaded"] == ["reflection.duckdb"], report
        report = server.call("sync_to_akosha")
        assert report["files_uploaded"] == ["knowledge_graph.duckdb"], report
    names = [file["name"] for file in machine.json("files", "list")["files"]]
    assert names == ["knowledge_graph.duckdb", "reflection.duckdb"]
