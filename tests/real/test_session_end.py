"""A session's end: queued is durable, whatever dies next."""

import json
import os
import signal
import subprocess
import time

import pytest
from servers import Moto
from support import folder_objects, free_port, wait_for


def uploaded(vault):
    """Returns how many memories the manifests of a folder vault hold."""
    return sum(
        json.loads(body)["conversation_count"]
        for key, body in folder_objects(vault).items()
        if key.endswith("/manifest.json")
    )


def finished(machine):
    """Returns whether nothing of this home runs any more."""
    return not machine.processes()


def assert_arrived(machine, node, vault, ids, seconds=15):
    """Waits until the vault holds exactly these memories and nothing is left running."""
    wait_for(lambda: uploaded(vault) >= len(ids), seconds, "the upload")
    wait_for(lambda: finished(machine), seconds, "the end of the child")
    reader = node("reader", cloud_bucket=vault.as_uri())
    assert reader.json("pull")["quarantined"] == []
    assert {memory_id for _, memory_id in reader.export()} == ids
    assert machine.json("status")["lag"]["unsynced_memories"] == 0


def fill(server, count, size=200):
    """Stores `count` memories of about `size` bytes and returns their ids."""
    ids = [f"m{i}" for i in range(count)]
    for start in range(0, count, 500):
        batch = [
            {"memory_id": memory_id, "text": f"{memory_id} " + os.urandom(size // 2).hex()}
            for memory_id in ids[start : start + 500]
        ]
        assert server.call("batch_store_memories", memories=batch)["failed"] == 0
    return set(ids)


@pytest.mark.parametrize("grace", [0.1, 0.0])
def test_the_server_is_killed_after_the_answer(node, vault, grace):
    machine = node(cloud_bucket=vault.as_uri())
    server = machine.stdio()
    ids = fill(server, 1500)
    ended = server.call("session_end", session_id="s", summary="What was found out.")
    assert ended["sync"]["queued"] is True and ended["sync"]["job_id"]
    server.process.stdin.close()
    time.sleep(grace)
    try:
        server.kill_group()
    except ProcessLookupError:
        pass
    server.process.wait()
    assert_arrived(machine, node, vault, ids | {ended["memory_id"]})


def test_the_server_is_told_to_end(node, vault):
    machine = node(cloud_bucket=vault.as_uri())
    server = machine.stdio()
    ids = fill(server, 100)
    server.call("session_end")
    started = time.monotonic()
    os.killpg(server.process.pid, signal.SIGTERM)
    assert server.process.wait(5) is not None
    assert time.monotonic() - started < 2, "clients wait two seconds"
    assert_arrived(machine, node, vault, ids)


def test_end_of_input_ends_the_server_in_time(node, vault):
    machine = node(cloud_bucket=vault.as_uri())
    server = machine.stdio()
    ids = fill(server, 100)
    server.call("session_end")
    started = time.monotonic()
    assert server.close() == 0
    assert time.monotonic() - started < 2, "clients wait two seconds"
    assert_arrived(machine, node, vault, ids)


def test_nothing_but_the_protocol_goes_to_standard_output(node, vault):
    machine = node(cloud_bucket=vault.as_uri())
    server = machine.stdio()
    server.call("store_memory", text="x")
    server.call("session_end")
    server.process.stdin.close()
    rest = server.buffer + server.process.stdout.read()
    for line in rest.splitlines():
        assert json.loads(line)["jsonrpc"] == "2.0"
    server.process.wait(10)


def hook(machine, event, payload):
    """Runs a hook as an assistant does and returns it with the seconds it took."""
    started = time.monotonic()
    done = subprocess.run(
        machine.command("hook", event),
        input=payload if isinstance(payload, bytes) else json.dumps(payload).encode(),
        capture_output=True,
        timeout=10,
        env=machine.env(),
    )
    return done, time.monotonic() - started


SESSION_END = {
    "session_id": "s1",
    "transcript_path": "transcript.jsonl",
    "cwd": ".",
    "hook_event_name": "SessionEnd",
    "reason": "exit",
}


def test_the_hook_leaves_a_child_that_syncs(node, vault):
    machine = node(cloud_bucket=vault.as_uri())
    with machine.stdio() as server:
        ids = fill(server, 1500)
    done, seconds = hook(machine, "session-end", SESSION_END)
    assert done.returncode == 0 and seconds < 1.5, (seconds, done.stderr)
    assert_arrived(machine, node, vault, ids)


def test_the_hook_is_killed_at_once_after_its_end(node, vault):
    """The client kills the hook's whole group as soon as it has ended."""
    machine = node(cloud_bucket=vault.as_uri())
    with machine.stdio() as server:
        ids = fill(server, 500)
    process = subprocess.Popen(
        machine.command("hook", "session-end"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=machine.env(),
        start_new_session=True,
    )
    # `communicate` returns at the end of both pipes: a child that kept them would hang it here.
    process.communicate(json.dumps(SESSION_END).encode(), timeout=5)
    assert process.returncode == 0
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    assert_arrived(machine, node, vault, ids)


@pytest.mark.parametrize(
    "payload",
    [b"", b"{", b"[]", b"null", b"\xff\xfe\x00", b'{"session_id": 7}', b"x" * (3 << 20)],
    ids=["empty", "half", "list", "null", "binary", "wrong type", "3 MiB"],
)
@pytest.mark.parametrize("event", ["session-start", "session-end"])
def test_the_hook_takes_any_input(node, vault, event, payload):
    machine = node(cloud_bucket=vault.as_uri())
    done, seconds = hook(machine, event, payload)
    assert done.returncode == 0 and seconds < 1.5, (seconds, done.stderr)
    wait_for(lambda: finished(machine), 10, "the end of the child")


def test_the_hook_survives_an_unwritable_home(node, vault):
    machine = node(cloud_bucket=vault.as_uri())
    # A file where the home should be: root may write everywhere, so permissions prove nothing.
    machine.home.write_text("no folder")
    for event in ("session-start", "session-end"):
        done, seconds = hook(machine, event, SESSION_END)
        assert done.returncode == 0 and seconds < 1.5, (seconds, done.stderr)
    assert machine.home.read_text() == "no folder"
    wait_for(lambda: finished(machine), 10, "the end of the child")


def test_an_unreachable_bucket_is_delivered_to_when_it_is_back(node):
    port = free_port()
    machine = node(
        cloud_bucket=Moto.BUCKET,
        cloud_endpoint=f"http://127.0.0.1:{port}",
        cloud_region="us-east-1",
        cloud_access_key=Moto.KEY,
        cloud_secret_key=Moto.SECRET,
    )
    machine.run("store", "--id", "a", "kept")
    done, seconds = hook(machine, "session-end", SESSION_END)
    assert done.returncode == 0 and seconds < 1.5, (seconds, done.stderr)
    wait_for(lambda: finished(machine), 20, "the end of the child")
    status = machine.json("status")
    assert status["queue"]["pending"] + status["queue"]["parked"] == 1, status["queue"]
    assert status["queue"]["last_error"], status["queue"]
    assert status["lag"]["unsynced_memories"] == 1


def drains(machine):
    """Returns the processes that drain this home."""
    found = []
    for pid in machine.processes():
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                if b"drain" in file.read().split(b"\0"):
                    found.append(pid)
        except OSError:
            pass
    return found


def test_the_drain_is_killed_in_the_middle(node, s3, moto):
    """Whichever process starts next finishes what the killed child began."""
    machine = node(**s3)
    with machine.stdio() as server:
        ids = fill(server, 8000, size=2000)
    hook(machine, "session-end", SESSION_END)
    child = wait_for(lambda: drains(machine), 5, "the child")
    time.sleep(0.15)
    for pid in child:
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not drains(machine), 5)
    lag = machine.json("status")["lag"]["unsynced_memories"]
    assert lag > 0, "the child was not killed in the middle"
    with machine.stdio():
        done = lambda: machine.json("status")["lag"]["unsynced_memories"] == 0  # noqa: E731
        wait_for(done, 90, "the sync by the next process")
    wait_for(lambda: finished(machine), 15, "the end of the child")
    reader = node("reader", **s3)
    report = reader.json("pull")
    assert report["quarantined"] == []
    assert {memory_id for _, memory_id in reader.export()} == ids


def test_many_session_ends_are_one_job(node, vault):
    machine = node(cloud_bucket=vault.as_uri())
    with machine.stdio() as server:
        ids = fill(server, 50)
        for _ in range(20):
            server.call("session_end")
    assert_arrived(machine, node, vault, ids)
    manifests = [key for key in folder_objects(vault) if key.endswith("/manifest.json")]
    assert len(manifests) <= 3, manifests
