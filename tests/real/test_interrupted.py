"""A push that is killed, interrupted or cancelled in the middle of an object: it stops at once,
leaves the vault whole and no parts behind, and the next one brings everything."""

import signal
import subprocess
import time

import pytest
from line import Line

from vault_suite import comparable, fill


@pytest.fixture
def line(moto):
    made = Line(moto.port)
    yield made
    made.close()


@pytest.fixture
def machine(node, s3, line):
    """A node with a segment of several parts to push, over the line."""
    s3["cloud_endpoint"] = f"http://127.0.0.1:{line.port}"
    machine = node("laptop", enable_fallback=False, **s3)
    for _ in range(2):
        fill(machine, 120, 100_000)
    return machine


def unfinished(moto, bucket):
    """Returns the objects with parts that are not finished."""
    found = moto.client().list_multipart_uploads(Bucket=bucket).get("Uploads", [])
    return [upload["Key"] for upload in found]


def start(machine):
    return subprocess.Popen(
        machine.command("--json", "sync"),
        env=machine.env(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def assert_whole(machine, node, s3, moto, bucket):
    """The next push brings all, once, and leaves nothing unfinished."""
    report = machine.json("sync")
    assert report["success"] is True, report
    assert unfinished(moto, bucket) == []
    proof = machine.json("vault", "verify", "--deep")
    assert proof["success"] is True and proof["unreferenced"] == 0, proof
    reader = node("reader", **s3)
    assert reader.json("pull")["quarantined"] == []
    assert comparable(reader.export()) == comparable(machine.export())


def test_a_killed_push_leaves_parts_that_the_next_one_drops(machine, node, s3, line, moto, bucket):
    line.freeze_at(b"partNumber=2")
    push = start(machine)
    assert line.frozen.wait(30)
    push.send_signal(signal.SIGKILL)
    push.communicate()
    assert len(unfinished(moto, bucket)) == 1
    assert not any(key.endswith("manifest.json") for key in moto.objects(bucket))
    line.thaw()
    assert_whole(machine, node, s3, moto, bucket)


def test_an_interrupted_push_stops_within_a_second_and_leaves_no_parts(
    machine, node, s3, line, moto, bucket
):
    line.freeze_at(b"partNumber=2")
    push = start(machine)
    assert line.frozen.wait(30)
    started = time.monotonic()
    push.send_signal(signal.SIGINT)
    out, _ = push.communicate(timeout=10)
    assert time.monotonic() - started < 1.0
    assert push.returncode not in (0, -signal.SIGINT), (push.returncode, out)
    assert unfinished(moto, bucket) == []
    assert not any(key.endswith("manifest.json") for key in moto.objects(bucket))
    line.thaw()
    assert_whole(machine, node, s3, moto, bucket)


def test_a_cancelled_tool_call_stops_within_a_second(machine, node, s3, line, moto, bucket):
    line.freeze_at(b"partNumber=2")
    with machine.stdio() as server:
        call = {"name": "sync_to_akosha", "arguments": {}, "_meta": {"progressToken": "p"}}
        server.send({"jsonrpc": "2.0", "id": 99, "method": "tools/call", "params": call})
        assert line.frozen.wait(30)
        cancelled = {"requestId": 99, "reason": "the user pressed escape"}
        started = time.monotonic()
        server.send(
            {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": cancelled}
        )
        while unfinished(moto, bucket):
            assert time.monotonic() - started < 1.0, "the sync went on"
            time.sleep(0.05)
        # The server itself goes on, and nothing of the sync is in its way.
        assert server.call("akosha_sync_status")["queue"]["running"] == 0
        assert time.monotonic() - started < 2.0
        line.thaw()
        assert server.call("sync_to_akosha")["success"] is True
    assert_whole(machine, node, s3, moto, bucket)
