"""`akosha import session-buddy` on databases of Session-Buddy, and on ones that DuckDB writes
meanwhile."""

import math
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
from session_buddy import (
    COMMAND,
    HERE,
    OLD,
    PYTHON,
    literal,
    rewrite,
    rows,
    run,
    start,
    unpack,
    write,
)
from support import vector, wait_for, watched

DATABASES = ("reflection.duckdb", "knowledge_graph.duckdb")


@pytest.fixture(scope="session", autouse=True)
def provisioned():
    missing = [str(path) for path in (COMMAND, *PYTHON.values()) if not path.exists()]
    assert not missing, f"missing: {missing}; `tests/real/run session_buddy` installs it"


@pytest.fixture
def duckdb2(tmp_path):
    """A command of DuckDB 2."""
    command = tmp_path / "duckdb2"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{HERE}/duckdb2.py" "$@"\n')
    command.chmod(0o755)
    return command


@pytest.fixture
def fixtures(tmp_path):
    """The unpacked fixtures and the counts that they give."""
    folder = tmp_path / "fixtures"
    return folder, unpack(folder)


def bring_in(node, folder, command=COMMAND, code=0, **more):
    """Imports and checks that nothing of the copies stays."""
    env = {"AKOSHA_DUCKDB": str(command)}
    answer = node.json("import", "session-buddy", str(folder), code=code, env=env, **more)
    assert list((node.home / "tmp").iterdir()) == []
    return answer


def memories(node):
    return {memory_id: memory for (_, memory_id), memory in node.export().items()}


def contents(folder):
    """Returns size and time of every file, to see that none was touched."""
    return {
        path.name: (path.stat().st_size, path.stat().st_mtime_ns) for path in folder.iterdir()
    }


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize("state", ["clean", "live"])
def test_every_row_of_the_fixtures_is_found(node, fixtures, duckdb2, tmp_path, state, version):
    folder, counts = fixtures
    folder = folder / state
    command = COMMAND
    if version == "v2":
        newer = tmp_path / "newer"
        newer.mkdir()
        for name in DATABASES:
            rewrite(folder / name, newer / name, state == "live")
        folder, command = newer, duckdb2
    before = contents(folder)
    laptop = node()
    answer = bring_in(laptop, folder, command)
    assert contents(folder) == before
    assert answer["stored"] == sum(counts.values()) == answer["read"], answer
    assert (answer["skipped"], answer["vectors_left_out"]) == ([], 0)

    stored = memories(laptop)
    reflection, graph = (folder / name for name in DATABASES)
    found = 0
    for row_id, content, project, made in rows(
        reflection, "conversations_v2", "id, content, project, timestamp"
    ):
        memory = stored[row_id]
        assert memory["text"] == content
        assert memory["metadata"]["type"] == "conversation"
        assert memory["metadata"]["original_id"] == row_id
        assert memory["metadata"].get("project") == project
        assert memory["metadata"]["category"] == "context"
        assert memory["created_at"] == made.replace(" ", "T") + "Z"
        assert memory["ingestion_method"] == "import"
        found += 1
    for row_id, content, tags in rows(reflection, "reflections_v2", "id, content, tags"):
        memory = stored[row_id]
        assert memory["text"] == content and memory["metadata"]["type"] == "reflection"
        assert memory["metadata"].get("tags", []) == (tags or [])
        found += 1
    names = {}
    for row_id, name, kind, observations in rows(
        graph, "kg_entities", "id, name, entity_type, observations"
    ):
        names[row_id] = name
        memory = stored[row_id]
        assert memory["text"] == "\n".join([f"{name} ({kind})", *observations])
        assert memory["metadata"]["type"] == "entity"
        found += 1
    for row_id, start_id, end_id, kind in rows(
        graph, "kg_relationships", "id, from_entity, to_entity, relation_type"
    ):
        memory = stored[row_id]
        assert memory["text"] == f"{names[start_id]} {kind} {names[end_id]}"
        assert memory["metadata"]["type"] == "relation"
        assert memory["metadata"]["from_entity"] == start_id
        found += 1
    assert found == len(stored)

    some = laptop.json("search", "login form two processes start at once")
    assert "login form" in some["results"][0]["text"]
    again = bring_in(laptop, folder, command)
    assert (again["stored"], again["updated"]) == (0, 0), again
    assert again["duplicates"] == answer["stored"]


def test_a_changed_row_is_a_revision_and_a_count_of_reads_is_none(node, tmp_path):
    path = tmp_path / "data" / "reflection.duckdb"
    path.parent.mkdir()
    insert = "INSERT INTO conversations_v2 (id, content, category) VALUES ('{0}', 'text {0}', 'x')"
    write("v1", path, *(insert.format(name) for name in "abc"))
    laptop = node()
    assert bring_in(laptop, path.parent)["stored"] == 3
    change = "UPDATE conversations_v2 SET access_count = 7, last_accessed = now()"
    edit = "UPDATE conversations_v2 SET content = 'new' WHERE id = 'b'"
    write("v1", path, change, edit, insert.format("d"), tables="")
    answer = bring_in(laptop, path)
    assert [answer[key] for key in ("stored", "updated", "duplicates")] == [1, 1, 2]
    history = laptop.json("history", "b")["revisions"]
    assert [revision["text"] for revision in history] == ["text b", "new"]


def test_tables_of_all_versions_give_each_row_once(node, tmp_path):
    path = tmp_path / "data" / "reflection.duckdb"
    path.parent.mkdir()
    write(
        "v1",
        path,
        OLD,
        "INSERT INTO conversations_v2 (id, content, category) VALUES ('moved', 'new', 'facts')",
        "INSERT INTO conversations VALUES ('moved', 'old', NULL, NULL, NULL, NULL),"
        " ('stayed', 'only old', NULL, 'p', '2024-02-03 04:05:06', '{\"a\": 1}')",
        "INSERT INTO default_conversations VALUES ('stayed', 'oldest', NULL, now(), now(), NULL),"
        " ('first', 'only oldest', '{\"b\": 2}', '2023-01-01', '2023-01-02', [1.0, 2.0])",
        "INSERT INTO reflections VALUES ('stayed', 'a reflection', NULL, ['t'],"
        " '2024-02-03 04:05:06', NULL)",
    )
    laptop = node()
    answer = bring_in(laptop, path.parent)
    assert (answer["stored"], answer["vectors_left_out"]) == (4, 1), answer
    stored = memories(laptop)
    assert {name: memory["text"] for name, memory in stored.items()} == {
        "moved": "new",
        "stayed": "only old",
        "first": "only oldest",
        "reflection:stayed": "a reflection",
    }
    assert stored["stayed"]["created_at"] == "2024-02-03T04:05:06Z"
    assert stored["stayed"]["metadata"]["metadata"] == {"a": 1}
    assert stored["reflection:stayed"]["metadata"]["original_id"] == "stayed"
    assert bring_in(laptop, path.parent)["duplicates"] == 4


def test_vectors_are_kept_and_bad_ones_left_out(node, tmp_path):
    path = tmp_path / "data" / "reflection.duckdb"
    path.parent.mkdir()
    good = {f"v{number}": vector(number) for number in range(5)}
    odd = {"nan": [math.nan] + [0.5] * 383, "inf": [0.5] * 383 + [-math.inf]}
    inserts = [
        f"INSERT INTO conversations_v2 (id, content, category, embedding) VALUES"
        f" ('{name}', 'text of {name}', 'x', {[str(number) for number in numbers]}::FLOAT[384])"
        for name, numbers in {**good, **odd}.items()
    ]
    write("v1", path, *inserts)
    laptop = node()
    answer = bring_in(laptop, path.parent)
    assert (answer["stored"], answer["vectors_left_out"]) == (7, 2), answer
    stored = memories(laptop)
    assert all(stored[name]["embedding_dim"] == 384 for name in good)
    assert all(stored[name]["embedding_dim"] is None for name in odd)
    with laptop.stdio() as client:
        for name, numbers in good.items():
            found = client.call(
                "search_memories", query="", mode="semantic", embedding=numbers, limit=1
            )["results"]
            assert found[0]["memory_id"] == name
            assert found[0]["score"] > 0.999
    assert bring_in(laptop, path.parent)["duplicates"] == 7


def test_odd_rows_fail_alone_and_are_named(node, tmp_path):
    path = tmp_path / "data" / "reflection.duckdb"
    path.parent.mkdir()
    odd = "quote ' \" back \\ slash, tab\t, line\nline, end\r\n, control \x01, 記憶 🦀 {\"a\": [1]}"
    deep = "[" * 500 + "]" * 500
    insert = "INSERT INTO conversations_v2 (id, content, category, metadata) VALUES "
    write(
        "v1",
        path,
        insert + f"('odd', {literal(odd)}, 'x', {literal(deep)})",
        insert + "('empty', '', 'x', NULL), ('blank', ' ', 'x', NULL)",
        insert + "('full', repeat('é', 524288), 'x', NULL)",
        insert + "('long', repeat('é', 524289), 'x', NULL)",
        insert + "('huge', repeat('x', 20000000), 'x', NULL)",
        insert + "('a' || chr(10), 'bad id', 'x', NULL), ('', 'no id', 'x', NULL)",
        insert + "('wide', 'text', 'x', '\"' || repeat('x', 300000) || '\"')",
        insert + "('zero', 'a' || chr(0) || 'b', 'x', NULL)",
        insert + f"('secret', 'key gh{'p_' + 'a1B2c3D4e5' * 4}', 'x', NULL)",
    )
    laptop = node()
    answer = bring_in(laptop, path.parent, code=3)
    named = {entry["path"].rsplit(" ", 1)[1]: entry["reason"] for entry in answer["skipped"]}
    assert sorted(named) == ["a", "blank", "empty", "huge", "id", "long", "wide"], named
    assert "is 1048578 bytes, the limit is 1048576" in named["long"]
    assert "is 20000" in named["huge"] and "4194304" in named["huge"]
    assert named["id"] == "has no id"
    assert (answer["stored"], answer["redactions"]) == (4, 1)
    stored = memories(laptop)
    assert stored["odd"]["text"] == odd
    assert stored["odd"]["metadata"]["metadata"] == deep
    assert stored["zero"]["text"] == "a\0b"
    assert stored["full"]["text"] == "é" * 524288
    assert stored["secret"]["text"] == "key [redacted:github-token]"


WRITER = """
db = duckdb.connect(sys.argv[1])
db.execute("SET wal_autocheckpoint = '1MB'")
print("ready", flush=True)
done = 0
end = time.time() + float(sys.argv[2])
while time.time() < end:
    db.execute("BEGIN")
    for _ in range(5):
        db.execute("INSERT INTO conversations_v2 (id, content, category) VALUES (?, ?, 'x')",
            [f"n{done}", f"row {done} " * 50])
        done += 1
    db.execute("COMMIT")
    with open(sys.argv[1] + ".done", "w") as log:
        log.write(str(done))
print(done, flush=True)
"""


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_a_database_that_is_being_written_comes_in_as_of_one_moment(
    node, tmp_path, duckdb2, version
):
    path = tmp_path / "data" / "reflection.duckdb"
    path.parent.mkdir()
    write(version, path)
    command = COMMAND if version == "v1" else duckdb2
    writer = start(version, WRITER, path, 20)
    log = path.with_name(path.name + ".done")
    wait_for(log.exists, what="the first commit")
    laptop = node()
    rounds = 0
    while writer.poll() is None and rounds < 8:
        committed = int(log.read_text() or 0)
        bring_in(laptop, path.parent, command)
        numbers = sorted(int(name[1:]) for name in memories(laptop))
        assert numbers == list(range(len(numbers))), "a hole"
        assert len(numbers) % 5 == 0, "half a transaction"
        assert len(numbers) >= committed, "rows that were committed before are missing"
        rounds += 1
    assert rounds >= 3
    out, _ = writer.communicate(timeout=60)
    assert writer.returncode == 0, "the writer was disturbed"
    bring_in(laptop, path.parent, command)
    assert len(memories(laptop)) == int(out)


HOLDER = """
db = duckdb.connect(sys.argv[1])
insert = "INSERT INTO conversations_v2 (id, content, category) VALUES "
db.execute(insert + "('held', 'in the log', 'x')")
print("ready", flush=True)
sys.stdin.readline()
db.execute(insert + "('after', 'x', 'x')")
db.close()
"""


def test_a_locked_database_comes_in_and_its_holder_notices_nothing(node, tmp_path):
    path = tmp_path / "data" / "reflection.duckdb"
    path.parent.mkdir()
    write("v1", path)
    holder = start("v1", HOLDER, path)
    # DuckDB itself is kept out.
    refused = subprocess.run(
        [COMMAND, "-readonly", path, "-c", "SELECT 1"], capture_output=True, text=True
    )
    assert "lock" in refused.stderr, refused
    before = contents(path.parent)
    laptop = node()
    assert bring_in(laptop, path.parent)["stored"] == 1
    assert contents(path.parent) == before
    holder.communicate("go on\n", timeout=30)
    assert holder.returncode == 0
    assert bring_in(laptop, path.parent)["stored"] == 1
    assert set(memories(laptop)) == {"held", "after"}


def refused(node, folder, env):
    answer = node.json("import", "session-buddy", str(folder), code=1, env=env)
    assert node.export() == {}
    return answer["error"]


def test_without_the_command_it_says_what_to_install(node, fixtures):
    folder, _ = fixtures
    error = refused(node(), folder / "clean", {"PATH": "/nowhere"})
    assert "`duckdb`" in error["message"] and "pip install duckdb-cli" in error["hint"]
    # What is on the PATH is found.
    found = node("found").json(
        "import", "session-buddy", str(folder / "clean"),
        env={"PATH": f"{COMMAND.parent}:{os.environ['PATH']}"},
    )
    assert found["stored"] == 168


def test_another_command_is_told_from_duckdb(node, fixtures):
    folder, _ = fixtures
    error = refused(node(), folder / "clean", {"AKOSHA_DUCKDB": shutil.which("sh")})
    assert "is no command of DuckDB" in error["message"]


def test_a_file_of_duckdb_2_is_too_new_for_a_command_of_1(node, fixtures, tmp_path):
    folder, _ = fixtures
    newer = tmp_path / "newer"
    newer.mkdir()
    for name in DATABASES:
        rewrite(folder / "clean" / name, newer / name)
    laptop = node()
    error = refused(laptop, newer, {"AKOSHA_DUCKDB": str(COMMAND)})
    assert "written by DuckDB v2" in error["message"] and "v1.5" in error["message"]
    assert "or newer" in error["hint"] and "AKOSHA_DUCKDB" in error["hint"]
    # The other database comes in nevertheless.
    shutil.copy(folder / "clean/knowledge_graph.duckdb", newer)
    answer = bring_in(laptop, newer, code=3)
    assert answer["stored"] == 24
    [skipped] = answer["skipped"]
    assert skipped["path"] == "reflection.duckdb" and "v2" in skipped["reason"]


@pytest.mark.parametrize("damage", ["garbage", "empty", "cut", "bits", "foreign"])
def test_a_damaged_file_is_named(node, fixtures, tmp_path, damage):
    folder, _ = fixtures
    data = tmp_path / "data"
    data.mkdir()
    path = data / "reflection.duckdb"
    good = (folder / "clean/reflection.duckdb").read_bytes()
    if damage == "foreign":
        write("v1", path, tables="CREATE TABLE other (id TEXT)")
    else:
        path.write_bytes({
            "garbage": os.urandom(100_000),
            "empty": b"",
            "cut": good[:200_000],
            "bits": good[:300_000] + os.urandom(1_000_000) + good[1_300_000:],
        }[damage])
    laptop = node()
    env = {"AKOSHA_DUCKDB": str(COMMAND)}
    answer = laptop.json("import", "session-buddy", str(data), code=1, env=env)
    assert str(path) in answer["error"]["message"], answer
    assert str(laptop.home) not in answer["error"]["message"], "the copy is named"
    assert answer["error"]["kind"] == "data"
    # It does not keep the other one out.
    shutil.copy(folder / "clean/knowledge_graph.duckdb", data)
    assert bring_in(laptop, data, code=3)["skipped"][-1]["path"] == "reflection.duckdb"


MANY = """
db = duckdb.connect(sys.argv[1])
db.execute('''INSERT INTO conversations_v2 (id, content, category, embedding)
    SELECT 'n' || i, repeat('word ' || i || ' ', 100), 'x',
        list_transform(range(384), k -> random())::FLOAT[384]
    FROM range(CAST(? AS BIGINT)) t(i)''', [int(sys.argv[2])])
"""


def test_memory_does_not_grow_with_the_database(node, tmp_path):
    peaks = []
    for count in (2_000, 40_000):
        folder = tmp_path / f"data-{count}"
        folder.mkdir()
        write("v1", folder / "reflection.duckdb")
        run("v1", MANY, folder / "reflection.duckdb", count)
        laptop = node(f"laptop-{count}")
        laptop.env = lambda made=laptop.env, **more: made(AKOSHA_DUCKDB=str(COMMAND), **more)
        code, out, seconds, peak = watched(laptop, "import", "session-buddy", str(folder))
        assert code == 0, out
        print(f"\n{count} rows: {seconds:.1f} s, peak {peak / 1e6:.1f} MB")
        peaks.append(peak)
    assert peaks[1] < peaks[0] + 30e6, peaks


def test_what_a_killed_import_leaves_is_removed_by_the_next(node, fixtures, tmp_path):
    folder, _ = fixtures
    slow = tmp_path / "slow"
    slow.write_text(f'#!/bin/sh\n[ "$1" = --version ] || sleep 60\nexec "{COMMAND}" "$@"\n')
    slow.chmod(0o755)
    laptop = node()
    process = subprocess.Popen(
        laptop.command("import", "session-buddy", str(folder / "clean")),
        env=laptop.env(AKOSHA_DUCKDB=str(slow)),
        start_new_session=True,
    )
    temporary = laptop.home / "tmp"
    copies = lambda: list(temporary.glob("session-buddy-*/database.duckdb"))  # noqa: E731
    wait_for(copies, what="the copy")
    [left] = temporary.iterdir()
    assert left.stat().st_mode & 0o777 == 0o700
    # The copy of an import that is under way is left alone.
    answer = laptop.json(
        "import", "session-buddy", str(folder / "live"), env={"AKOSHA_DUCKDB": str(COMMAND)}
    )
    assert answer["stored"] == 168 and left.exists()
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    past = time.time() - 300
    os.utime(left, (past, past))
    assert bring_in(laptop, folder / "live")["duplicates"] == 168
    assert not left.exists()
