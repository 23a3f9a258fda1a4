"""What every kind of bucket has to pass, whichever server holds it."""

import json
import os
import threading


def comparable(export):
    """Returns an export without what differs by how a memory came in."""
    return {
        key: {name: value for name, value in row.items() if name != "ingestion_method"}
        for key, row in export.items()
    }


def fill(node, count, size=0):
    """Stores `count` memories over stdio, each with `size` bytes that cannot be compressed."""
    with node.stdio() as server:
        memories = [
            {"memory_id": f"fact-{i}", "text": f"fact number {i} {os.urandom(size // 2).hex()}"}
            for i in range(count)
        ]
        assert server.call("batch_store_memories", memories=memories)["stored"] == count


def push_and_pull(node, settings):
    """What one machine pushes another pulls, twice, and the vault proves whole."""
    laptop, desk = node("laptop", **settings), node("desk", **settings)
    fill(laptop, 300)
    laptop.run("store", "--id", "gone", "This one is forgotten.")
    laptop.run("forget", "gone")
    report = laptop.json("sync")
    assert report["success"] is True and report["method"] == "cloud", report
    pulled = desk.json("pull")
    assert pulled["success"] is True and pulled["quarantined"] == [], pulled
    assert comparable(desk.export()) == comparable(laptop.export())
    assert desk.json("pull")["uploads_merged"] == 0
    laptop.run("store", "--id", "fact-1", "Another text.")
    assert laptop.json("sync")["memories_uploaded"] == 1
    assert desk.json("pull")["memories_updated"] == 1
    assert laptop.json("vault", "verify", "--deep")["success"] is True
    assert laptop.json("sync")["memories_uploaded"] == 0
    return laptop, desk


def files_there_and_back(node, settings, tmp_path):
    """A file of several pieces comes back as it was; a change in it sends little."""
    path = tmp_path / "notes.bin"
    content = bytearray(os.urandom(9 << 20))
    path.write_bytes(content)
    machine = node("filer", files=[str(path)], **settings)
    assert machine.json("sync")["files_uploaded"] == ["notes.bin"]
    content[4 << 20 : (4 << 20) + 100] = os.urandom(100)
    path.write_bytes(content)
    second = machine.json("sync")
    assert second["bytes_transferred"] < len(content) / 2, second
    machine.json("files", "fetch", "notes.bin", "--to", str(tmp_path / "back"))
    assert (tmp_path / "back" / "notes.bin").read_bytes() == content


def large_segment(node, settings):
    """A segment larger than a part goes out in parts and comes back whole."""
    laptop, desk = node("large", **settings), node("reader", **settings)
    for _ in range(2):
        fill(laptop, 120, 100_000)
    report = laptop.json("sync")
    assert report["bytes_transferred"] > 6 << 20, report
    desk.run("pull")
    assert comparable(desk.export()) == comparable(laptop.export())


def conflict(node, settings):
    """A second machine under the same id is refused and changes nothing."""
    first = node("shared", folder="first", **settings)
    first.run("store", "--id", "a", "from the first")
    first.run("sync")
    second = node("shared", folder="second", **settings)
    second.run("store", "--id", "b", "from the second")
    second.run("sync", code=4)
    assert second.json("status")["lag"]["unsynced_memories"] == 1
    first.run("store", "--id", "c", "more")
    assert first.json("sync")["memories_uploaded"] == 1
    second.run("machines", "adopt")
    assert second.json("sync")["success"] is True
    first.run("store", "--id", "d", "again")
    first.run("sync", code=4)


def race(node, settings, count=6):
    """Of machines that claim one id at one moment exactly one wins."""
    machines = [node("raced", folder=f"racer-{i}", **settings) for i in range(count)]
    for i, machine in enumerate(machines):
        machine.run("store", "--id", f"from-{i}", f"text of machine {i}")
    results = [None] * count
    together = threading.Barrier(count)

    def push(i):
        together.wait()
        results[i] = machines[i].run("--json", "sync", code=None, timeout=120)

    threads = [threading.Thread(target=push, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    codes = [result.returncode for result in results]
    assert sorted(codes) == [0] + [4] * (count - 1), [(r.returncode, r.stderr[-300:]) for r in results]
    winner = codes.index(0)
    reader = node("judge", **settings)
    report = reader.json("pull", code=None)
    assert report["quarantined"] == [], report
    assert set(reader.export()) == {("raced", f"from-{winner}")}


def wrong_bucket_is_named(node, settings, name):
    """A bucket that is not there is named, and nothing is lost."""
    machine = node("lost", enable_fallback=False, **settings)
    machine.run("store", "x")
    answer = json.loads(machine.run("--json", "sync", code=1).stdout)
    assert answer["success"] is False, answer
    assert f"the bucket `{name}` does not exist" in answer["error"], answer
    assert machine.json("status")["lag"]["unsynced_memories"] == 1
