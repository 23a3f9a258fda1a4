"""The official TypeScript SDK against `akosha serve`, in both protocol eras."""

import json
import socket
import subprocess
from pathlib import Path

import pytest
from support import REAL, Serve, vector, wait_for

NODE = REAL / "node/node_modules/node/bin/node"
SCRIPT = Path(__file__).with_name("client.mjs")
ERAS = {"legacy": "2025-11-25", "2026-07-28": "2026-07-28", "auto": "2026-07-28"}


class Refused(Exception):
    """What the client threw: its class, its code, what it says."""

    def __init__(self, error):
        super().__init__(error["message"])
        self.name = error["name"]
        self.code = error["code"]


class TypeScript:
    """A process with a client in it."""

    def __init__(self, node, url, era, token=None):
        more = {"AKOSHA_TOKEN": token} if token else {}
        self.process = subprocess.Popen(
            [str(NODE), str(SCRIPT), url, era],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=node.env(MODULES=str(REAL / "node"), **more),
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

    def do(self, what, **command):
        """Has a command done and returns its answer."""
        self.process.stdin.write(json.dumps({"do": what, **command}) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        if "error" in answer:
            raise Refused(answer["error"])
        return answer["ok"]

    def call(self, name, error=False, **arguments):
        """Calls a tool; the SDK checks what it answers against the tool's schema."""
        result = self.do("call", name=name, arguments=arguments)
        assert bool(result.get("isError")) == error, result
        return result["structuredContent"]


@pytest.fixture(params=list(ERAS))
def era(request):
    return request.param


@pytest.fixture
def served(node):
    """Makes a server: `served(cloud_bucket=...)`; ends it."""
    made = []

    def make(**settings):
        machine = node(**settings)
        made.append(Serve(machine))
        return machine, made[-1]

    yield make
    for serve in made:
        serve.close()


@pytest.fixture
def connected(era):
    """Connects a client: `connected(machine, serve)`; ends it."""
    made = []

    def make(machine, serve, token=None):
        client = TypeScript(machine, serve.url, era, token)
        made.append(client)
        assert client.do("connect")["version"] == ERAS[era]
        return client

    yield make
    for client in made:
        client.__exit__()


def test_tools_are_listed_and_called(served, connected):
    client = connected(*served())
    names = {tool["name"] for tool in client.do("list")}
    assert {"store_memory", "search_memories", "sync_to_akosha", "session_end"} <= names
    stored = client.call("store_memory", memory_id="quay", text="The ferry leaves from quay 7.")
    assert stored["status"] == "stored"
    found = client.call("search_memories", query="where does the ferry leave")
    assert found["results"][0]["memory_id"] == "quay"
    read = client.do("read", uri="akosha://status")
    assert json.loads(read["contents"][0]["text"])["system_id"] == "laptop"
    prompt = client.do("prompt", name="recall", arguments={"topic": "ferry"})
    assert "quay 7" in prompt["messages"][0]["content"]["text"]
    client.do("close")


def test_what_is_wrong_is_said(served, connected):
    client = connected(*served())
    with pytest.raises(Refused, match="unknown tool `no_such_tool`"):
        client.do("call", name="no_such_tool", arguments={})
    answer = client.call("search_memories", error=True, query="x", colour="red")
    assert "colour" in answer["error"]
    answer = client.call("store_memory", error=True, text="x", embedding=[1.0])
    assert "384" in answer["error"]
    assert client.call("list_memories")["memories"] == []


def test_a_thousand_memories_with_vectors_pass(served, connected):
    client = connected(*served())
    memories = [
        {"memory_id": f"m{n}", "text": f"Fact number {n}.", "embedding": vector(n)}
        for n in range(1000)
    ]
    assert len(json.dumps(memories)) > 7_500_000
    answer = client.call("batch_store_memories", memories=memories)
    assert (answer["status"], answer["stored"]) == ("completed", 1000)
    found = client.call(
        "search_memories", query="x", mode="semantic", embedding=vector(123), limit=1
    )
    assert found["results"][0]["memory_id"] == "m123"


def test_progress_of_a_sync_is_told(served, connected, vault):
    client = connected(*served(cloud_bucket=vault.as_uri()))
    memories = [{"text": f"Fact number {n}.", "metadata": {"source": "laptop"}} for n in range(300)]
    client.call("batch_store_memories", memories=memories)
    result = client.do("call", name="sync_to_akosha", arguments={}, progress=True)
    assert result["structuredContent"]["memories_uploaded"] == 300
    told = [step["progress"] for step in result["told"]]
    assert told and told == sorted(told)


def test_a_client_that_goes_cancels_its_call(served, connected, era):
    """In the older era an abandoned call ends with the connection, in the newer one at once."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(16)
        machine, serve = served(
            cloud_bucket="memories",
            cloud_endpoint=f"http://127.0.0.1:{silent.getsockname()[1]}",
            cloud_access_key="k",
            cloud_secret_key="s",
        )
        client = connected(machine, serve)
        other = connected(machine, serve)
        client.call("store_memory", text="x", metadata={"source": "laptop"})
        arguments = {"method": "cloud"}
        with pytest.raises(Refused):
            client.do("call", name="sync_to_akosha", arguments=arguments, abandon_after_ms=1000)
        if era == "legacy":
            assert other.call("akosha_sync_status")["queue"]["running"] == 1
            client.__exit__()

        def idle():
            return other.call("akosha_sync_status")["queue"]["running"] == 0

        wait_for(idle, 10, "the end of the abandoned sync")
        assert other.call("akosha_sync_status")["lag"]["unsynced_memories"] == 1
