"""What is told of a push while it goes on: to a person at a terminal, and to a client."""

import os
import pty
import re
import subprocess

import pytest
from line import Line

from vault_suite import fill

SIZE = 6 << 20


@pytest.fixture
def machine(node, s3, moto, tmp_path):
    """A node with memories and a file to push, over a line on which each connection has half a
    MiB/s."""
    line = Line(moto.port)
    line.pause = 1 / 8
    path = tmp_path / "notes.bin"
    path.write_bytes(os.urandom(SIZE))
    s3["cloud_endpoint"] = f"http://127.0.0.1:{line.port}"
    machine = node("laptop", files=[str(path)], enable_fallback=False, **s3)
    fill(machine, 50)
    yield machine
    line.close()


def test_a_person_sees_size_rate_and_time_left(machine):
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        machine.command("sync"),
        env=machine.env(TERM="xterm", COLUMNS="120"),
        stdout=subprocess.PIPE,
        stderr=theirs,
    )
    os.close(theirs)
    seen = b""
    try:
        while piece := os.read(ours, 1 << 16):
            seen += piece
    except OSError:
        pass
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0, seen
    text = seen.decode(errors="replace")
    assert re.search(r"pushing .*[0-9.]+ [KM]iB/6\.[0-9]+ MiB [0-9.]+ [KM]iB/s, [0-9]+s left", text), text
    # The answer is on its own, and the bar is gone.
    assert b"pushed 50 changes by cloud" in out and b"MiB/s" not in out, out


def test_a_client_is_told_size_rate_and_time_left(machine):
    with machine.stdio() as server:
        call = {"name": "sync_to_akosha", "arguments": {}, "_meta": {"progressToken": "p"}}
        server.send({"jsonrpc": "2.0", "id": 99, "method": "tools/call", "params": call})
        told = []
        while (message := server.line()).get("id") != 99:
            if message["method"] == "notifications/progress":
                told.append(message["params"])
        assert message["result"]["structuredContent"]["success"] is True, message
    assert all(one["progressToken"] == "p" for one in told)
    values = [one["progress"] for one in told]
    assert values == sorted(set(values)) and len(values) > 2, values
    # The memories, then the bytes of the file.
    assert told[0]["total"] == 50 and told[0]["message"].startswith("50 of 50 memories"), told[0]
    assert told[-1]["total"] == told[-1]["progress"] == 50 + SIZE, told[-1]
    assert any(
        re.search(r"^[0-9.]+ MiB of 6\.0 MiB, [0-9.]+ MiB/s, [0-9]+ s left$", one["message"])
        for one in told
    ), told
