"""The official Python SDK under tokens: what a client is told that may not do what it asks for."""

import asyncio
import json

import httpx2
import pytest
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client
from support import Serve

ERAS = ["legacy", "2026-07-28"]


@pytest.fixture(params=ERAS)
def era(request):
    return request.param


def token(machine, name, *more):
    return machine.json("token", "create", "--name", name, *more)["token"]


def run(url, era, secret, work):
    """Runs `work` with a client that sends `secret`."""

    async def main():
        headers = {"Authorization": f"Bearer {secret}"}
        async with httpx2.AsyncClient(headers=headers, timeout=20) as http:
            transport = streamable_http_client(url, http_client=http)
            async with Client(transport, mode=era) as client:
                return await work(client)

    return asyncio.run(main())


def test_a_tool_beyond_the_scope_is_explained_and_the_client_goes_on(node, era):
    machine = node("server")
    writer = token(machine, "writer", "--scope", "write")
    reader = token(machine, "reader")

    async def write(client):
        return await client.call_tool("store_memory", {"text": "the door is blue"})

    async def read(client):
        with pytest.raises(MCPError) as refused:
            await client.call_tool("store_memory", {"text": "x"})
        found = await client.call_tool("search_memories", {"query": "door"})
        return refused.value, found.structured_content

    with Serve(machine) as serve:
        stored = run(serve.url, era, writer, write)
        assert not stored.is_error, stored.content
        refused, found = run(serve.url, era, reader, read)
        assert "needs `write`" in str(refused)
        assert "akosha token create" in str(refused)
        assert len(found["results"]) == 1


def test_a_bound_token_is_told_whose_it_is(node, era):
    machine = node("server")
    bound = token(machine, "laptop", "--scope", "write", "--system", "laptop")

    async def write(client):
        theirs = {"text": "x", "metadata": {"source": "server"}}
        refused = await client.call_tool("store_memory", theirs)
        own = await client.call_tool("store_memory", {"text": "mine"})
        return refused, own.structured_content

    with Serve(machine) as serve:
        refused, own = run(serve.url, era, bound, write)
        assert refused.is_error
        assert "bound to system `laptop`" in json.dumps(refused.structured_content)
        assert own["system_id"] == "laptop"


def test_nobody_gets_in_without_a_token(node, era):
    machine = node("server")
    token(machine, "somebody")

    async def never(_client):
        raise AssertionError("it was let in")

    with Serve(machine) as serve:
        with pytest.raises(BaseException) as refused:
            run(serve.url, era, "akosha_wrong", never)
        assert "it was let in" not in str(refused.value)
