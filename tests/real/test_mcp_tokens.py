"""Tokens as the official clients send them: what is refused, and how the clients take it."""

import asyncio

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from support import Serve, wait_for
from test_mcp_typescript import Refused, TypeScript

ERAS = ["legacy", "2026-07-28"]


@pytest.fixture(params=ERAS)
def era(request):
    return request.param


@pytest.fixture
def guarded(node):
    """A server with one token of each kind, and the tokens by name."""
    machine = node("server")
    tokens = {}
    for name, *options in [
        ("reader", "--scope", "read"),
        ("writer", "--scope", "write"),
        ("bound", "--scope", "write", "--system", "laptop"),
    ]:
        made = machine.json("token", "create", "--name", name, *options)
        assert made["name"] == name
        tokens[name] = made["token"]
    with Serve(machine) as serve:
        yield machine, serve, tokens


class Python:
    """The Python SDK with the face of the other client."""

    def __init__(self, _machine, url, era, token=None):
        self.url, self.era, self.token = url, era, token

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def do(self, what, **command):
        return asyncio.run(self._do(what, **command))

    async def _do(self, what, name=None, arguments=None):
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        try:
            async with (
                httpx2.AsyncClient(headers=headers) as http,
                Client(
                    streamable_http_client(self.url, http_client=http),
                    mode=self.era,
                    read_timeout_seconds=20,
                ) as client,
            ):
                if what == "call":
                    result = await client.call_tool(name, arguments)
                    return {
                        "structuredContent": result.structured_content,
                        "isError": result.is_error,
                    }
                return [tool.name for tool in (await client.list_tools()).tools]
        except Exception as error:
            raise Refused({"name": type(error).__name__, "code": None, "message": str(error)}) from error


@pytest.fixture(params=[Python, TypeScript], ids=["python", "typescript"])
def client(request, guarded, era):
    """Connects a client with a token of the server; ends it."""
    machine, serve, tokens = guarded
    made = []

    def make(name=None, token=None):
        made.append(request.param(machine, serve.url, era, tokens.get(name, token)))
        if request.param is TypeScript:
            made[-1].do("connect")
        return made[-1]

    yield make
    for each in made:
        each.__exit__()


def store(client, **metadata):
    """Stores a memory and returns the result, refused or not."""
    arguments = {"text": "The ferry leaves from quay 7.", "metadata": metadata}
    return client.do("call", name="store_memory", arguments=arguments)


def test_without_a_token_nothing_is_answered(client):
    for token in (None, "akosha_0000"):
        with pytest.raises(Refused):
            client(token=token).do("list")


def test_who_may_read_does_not_write(client):
    reader = client("reader")
    assert len(reader.do("list")) >= 10
    found = reader.do("call", name="search_memories", arguments={"query": "ferry"})
    assert found["structuredContent"]["results"] == []
    with pytest.raises(Refused):
        result = store(reader)
        # Where the client shows the refusal as a failed call, that is as good.
        assert result["isError"], result
        raise Refused({"name": "result", "code": None, "message": "refused"})
    assert reader.do("call", name="list_memories", arguments={})["structuredContent"]["memories"] == []


def test_who_writes_for_one_system_writes_as_no_other(guarded, client):
    machine, _, _ = guarded
    bound = client("bound")
    assert store(bound)["structuredContent"]["status"] == "stored"
    assert store(bound, source="desk")["isError"]
    assert store(client("writer"), source="desk")["structuredContent"]["status"] == "stored"
    assert sorted(system_id for system_id, _ in machine.export()) == ["desk", "laptop"]


def test_a_revoked_token_is_refused_soon(guarded, client):
    machine, _, _ = guarded
    writer = client("writer")
    assert store(writer)["structuredContent"]["status"] == "stored"
    machine.run("token", "revoke", "writer")

    def refused():
        try:
            writer.do("call", name="akosha_sync_status", arguments={})
        except Refused:
            return True
        return False

    wait_for(refused, 10, "the end of the token")
