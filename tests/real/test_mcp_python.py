"""The official Python SDK against every tool, over stdio and HTTP, in both protocol eras.

Over stdio the SDK gives the server six environment variables and no more, so home and
configuration are named by arguments.
"""

import asyncio
import json
import os
import socket
from contextlib import asynccontextmanager

import jsonschema
import pytest
from mcp import Client, MCPError, StdioServerParameters
from support import Serve, folder_objects, vector

TOOLS = {
    # name: (reads only, destroys, may be repeated)
    "store_memory": (False, False, True),
    "batch_store_memories": (False, False, True),
    "search_memories": (True, False, True),
    "get_memory": (True, False, True),
    "list_memories": (True, False, True),
    "forget_memory": (False, True, True),
    "sync_to_akosha": (False, False, True),
    "akosha_sync_status": (True, False, True),
    "session_start": (True, False, True),
    "session_end": (False, False, None),
}

FIELDS = [
    "cloud_bucket",
    "cloud_endpoint",
    "cloud_region",
    "system_id",
    "upload_on_session_end",
    "enable_fallback",
    "force_method",
    "upload_timeout_seconds",
    "max_retries",
    "retry_backoff_seconds",
    "enable_compression",
    "enable_deduplication",
    "chunk_size_mb",
]

ERAS = {"legacy": "2025-11-25", "2026-07-28": "2026-07-28", "auto": "2026-07-28"}


class Session:
    """A connected client that checks every answer against the tool's output schema."""

    def __init__(self, client):
        self.client = client
        self.schemas = {}

    async def tools(self):
        tools = (await self.client.list_tools()).tools
        self.schemas = {tool.name: tool.output_schema for tool in tools}
        return {tool.name: tool for tool in tools}

    async def call(self, tool, arguments, error=False, **more):
        """Calls a tool and returns its structured result; `error` says whether it has to fail."""
        if not self.schemas:
            await self.tools()
        result = await self.client.call_tool(tool, arguments, **more)
        text = "\n".join(block.text for block in result.content if block.type == "text")
        assert text, f"{tool} answers no text"
        structured = result.structured_content
        assert result.is_error == error, f"{tool}: {text}\n{structured}"
        assert isinstance(structured, dict), f"{tool} answers no structured content: {text}"
        jsonschema.validate(
            structured, self.schemas[tool], cls=jsonschema.Draft202012Validator
        )
        assert len(text) < 100_000
        if error:
            assert structured["error"], structured
            assert structured["error"] in text
        else:
            assert structured.get("error") is None, structured
        return structured

    async def fails(self, tool, arguments, *words):
        """Calls a tool that has to fail with an error that says each of `words`."""
        answer = await self.call(tool, arguments, error=True)
        for word in words:
            assert word.lower() in answer["error"].lower(), (word, answer["error"])
        return answer


@pytest.fixture(params=["stdio", "http"])
def transport(request):
    return request.param


@pytest.fixture(params=list(ERAS))
def era(request):
    return request.param


@pytest.fixture
def connect(transport, era, monkeypatch):
    """Connects to a node; over HTTP to an `akosha serve` that is started for it."""

    @asynccontextmanager
    async def open_session(node, mode=era):
        monkeypatch.setenv("HOME", str(node.folder))
        for name in [name for name in os.environ if name.startswith(("AWS_", "AKOSHA_"))]:
            if name != "AKOSHA_BINARY":
                monkeypatch.delenv(name)
        if transport == "stdio":
            command, *args = node.command("mcp")
            async with Client(
                StdioServerParameters(command=command, args=args),
                mode=mode,
                read_timeout_seconds=60,
            ) as client:
                yield Session(client)
        else:
            with Serve(node) as serve:
                async with Client(serve.url, mode=mode, read_timeout_seconds=60) as client:
                    yield Session(client)

    return open_session


def with_client(connect, node, work):
    """Runs `work(session)` on a fresh connection."""

    async def main():
        async with connect(node) as session:
            return await work(session)

    return asyncio.run(main())


def schema_nodes(schema):
    """Returns every object of a schema."""
    if isinstance(schema, dict):
        yield schema
        for value in schema.values():
            yield from schema_nodes(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from schema_nodes(value)


def test_lists_what_it_offers(connect, node, era):
    async def work(session):
        client = session.client
        assert client.protocol_version == ERAS[era]
        if era != "2026-07-28":
            # A client that pins the version asks nothing first, so it is not told who answers.
            assert client.server_info.name == "akosha"
            assert client.instructions and len(client.instructions.encode()) < 2048
            assert "search_memories" in client.instructions
            assert "store_memory" in client.instructions

        tools = await session.tools()
        assert set(tools) >= set(TOOLS)
        for name, (reads, destroys, repeats) in TOOLS.items():
            tool = tools[name]
            assert 40 < len(tool.description.encode()) < 2048, name
            hints = tool.annotations
            assert hints.read_only_hint is reads, name
            assert bool(hints.destructive_hint) is destroys, name
            if repeats is not None:
                assert hints.idempotent_hint is repeats, name
            for schema in (tool.input_schema, tool.output_schema):
                assert schema["type"] == "object", name
                jsonschema.Draft202012Validator.check_schema(schema)
                for part in schema_nodes(schema):
                    assert "$ref" not in part, f"{name}: clients stumble over $ref"
            assert tool.input_schema.get("additionalProperties") is False, name

        prompts = {prompt.name: prompt for prompt in (await client.list_prompts()).prompts}
        assert set(prompts) >= {"recall", "sync"}
        resources = (await client.list_resources()).resources
        assert "akosha://status" in {str(resource.uri) for resource in resources}
        templates = (await client.list_resource_templates()).resource_templates
        assert "akosha://memory/{system_id}/{memory_id}" in {
            template.uri_template for template in templates
        }

    with_client(connect, node(), work)


def test_reads_resources_and_prompts(connect, node):
    async def work(session):
        client = session.client
        stored = await session.call(
            "store_memory", {"memory_id": "tea", "text": "The kettle is descaled with vinegar."}
        )
        assert stored["memory_id"] == "tea"
        listed = (await session.call("list_memories", {}))["memories"]
        system = listed[0]["system_id"]
        status = await client.read_resource("akosha://status")
        assert json.loads(status.contents[0].text)["system_id"] == "laptop"
        memory = await client.read_resource(f"akosha://memory/{system}/tea")
        assert "vinegar" in memory.contents[0].text
        with pytest.raises(MCPError):
            await client.read_resource(f"akosha://memory/{system}/none-such")
        with pytest.raises(MCPError):
            await client.read_resource("akosha://nothing")
        for name in ("recall", "sync"):
            prompt = next(p for p in (await client.list_prompts()).prompts if p.name == name)
            given = {a.name: "kettle" for a in prompt.arguments or [] if a.required}
            answer = await client.get_prompt(name, given)
            assert answer.messages and answer.messages[0].content.text
        with pytest.raises(MCPError):
            await client.get_prompt("none-such")
        with pytest.raises(MCPError):
            await client.call_tool("none_such", {})

    with_client(connect, node(), work)


def test_stores_searches_and_forgets(connect, node, transport):
    async def work(session):
        call = session.call
        first = await call(
            "store_memory",
            {
                "text": "The staging database listens on port 6432 behind pgbouncer.",
                "metadata": {
                    "project": "billing",
                    "type": "fact",
                    "tags": ["postgres"],
                    "anything": {"deep": [1, None, "x"]},
                },
            },
        )
        assert first["status"] == "stored" and first["revision"] == 1
        assert first["deduplicated"] is False and first["embedding_dim"] is None
        assert first["stored_at"].endswith("Z")
        memory_id = first["memory_id"]
        assert len(memory_id) == 26, "a ULID"

        got = await call("get_memory", {"memory_id": memory_id})
        assert got["text"].endswith("pgbouncer.")
        assert got["metadata"]["anything"] == {"deep": [1, None, "x"]}
        assert got["tier"] == "hot" and got["revision"] == 1
        assert got["ingestion_method"] == ("local" if transport == "stdio" else "http_push")

        named = {"memory_id": "naming", "text": "Branches are named after tickets."}
        assert (await call("store_memory", named))["revision"] == 1
        again = await call("store_memory", named)
        assert again["deduplicated"] is True and again["revision"] == 1
        named["text"] = "Branches are named after tickets, in lower case."
        changed = await call("store_memory", named)
        assert changed["deduplicated"] is False and changed["revision"] == 2

        one_hot = [1.0] + [0.0] * 383
        with_vector = await call(
            "store_memory",
            {"memory_id": "vec", "text": "Vectors have a direction.", "embedding": one_hot},
        )
        assert with_vector["embedding_dim"] == 384

        found = await call("search_memories", {"query": "which port does staging postgres use"})
        assert found["partial"] is False and found["missing"] == []
        assert found["results"][0]["memory_id"] == memory_id
        assert "keyword" in found["results"][0]["matched"]
        assert found["took_ms"] >= 0
        semantic = await call(
            "search_memories", {"query": "x", "mode": "semantic", "embedding": one_hot, "limit": 1}
        )
        assert [r["memory_id"] for r in semantic["results"]] == ["vec"]
        assert semantic["results"][0]["matched"] == ["semantic"]
        hybrid = await call(
            "search_memories", {"query": "direction vectors", "mode": "hybrid", "embedding": one_hot}
        )
        assert set(hybrid["results"][0]["matched"]) == {"keyword", "semantic"}
        for filters, ids in [
            ({"project": "billing"}, [memory_id]),
            ({"tags": ["postgres"]}, [memory_id]),
            ({"type": "fact"}, [memory_id]),
            ({"system_id": "nobody"}, []),
            ({"project": "other"}, []),
            ({"until": "2001-01-01T00:00:00Z"}, []),
            ({"since": "2999-01-01T00:00:00"}, []),
        ]:
            found = await call("search_memories", {"query": "staging database port", **filters})
            assert [r["memory_id"] for r in found["results"]] == ids, filters

        listed = await call("list_memories", {"limit": 2})
        assert len(listed["memories"]) == 2 and listed["next_cursor"]
        rest = await call("list_memories", {"limit": 2, "cursor": listed["next_cursor"]})
        assert len(rest["memories"]) == 1 and rest["next_cursor"] is None
        ids = {m["memory_id"] for m in listed["memories"] + rest["memories"]}
        assert ids == {memory_id, "naming", "vec"}

        await call("forget_memory", {"memory_id": "naming"})
        await session.fails("get_memory", {"memory_id": "naming"}, "naming")
        found = await call("search_memories", {"query": "branches tickets"})
        assert found["results"] == []
        await call("forget_memory", {"memory_id": "vec", "erase": True})
        assert len((await call("list_memories", {}))["memories"]) == 1

    with_client(connect, node(), work)


INNOCENT = [
    "select * from memories where 1=1; drop table memories --",
    'he said "quote" and \'single\'',
    "NEAR(a b) AND OR NOT",
    "col:value text:secret",
    "* ^ ( ) { } [ ] - + ~ ! \\ /",
    '"',
    "a AND",
    "C++ vs. C#: what's faster?",
    "日本語 の 検索 🦀",
    "%_%",
    "x" * 9000,
    "0",
    "\u0000nul",
    "../../etc/passwd",
    "<script>alert(1)</script>",
]


def test_any_text_is_a_query(connect, node):
    async def work(session):
        await session.call("store_memory", {"memory_id": "m", "text": "C# and C++ and 日本語 の 検索"})
        for query in INNOCENT:
            for mode in ("keyword", "hybrid"):
                answer = await session.call("search_memories", {"query": query, "mode": mode})
                assert answer["partial"] is False
        assert (await session.call("get_memory", {"memory_id": "m"}))["revision"] == 1

    with_client(connect, node(), work)


def test_bad_calls_are_answered_with_what_is_wrong(connect, node):
    async def work(session):
        fails = session.fails
        for arguments, words in [
            ({}, ["text"]),
            ({"text": ""}, ["text", "empty"]),
            ({"text": " \n\t "}, ["text", "empty"]),
            ({"text": 7}, ["text"]),
            ({"text": None}, ["text"]),
            ({"text": "x" * (2 << 20)}, ["text", "1048576"]),
            ({"text": "x", "colour": "red"}, ["colour"]),
            ({"text": "x", "memory_id": "a\nb"}, ["memory_id"]),
            ({"text": "x", "memory_id": ""}, ["memory_id"]),
            ({"text": "x", "memory_id": "x" * 257}, ["memory_id", "256"]),
            ({"text": "x", "embedding": []}, ["embedding", "384"]),
            ({"text": "x", "embedding": [0.5] * 383}, ["embedding", "383", "384"]),
            ({"text": "x", "embedding": [0.5] * 385}, ["embedding", "385", "384"]),
            ({"text": "x", "embedding": [1e39] + [0.5] * 383}, ["embedding"]),
            ({"text": "x", "embedding": ["a"] * 384}, ["embedding"]),
            ({"text": "x", "metadata": []}, ["metadata"]),
            ({"text": "x", "metadata": {"tags": "one"}}, ["tags"]),
            ({"text": "x", "metadata": {"created_at": "soon"}}, ["created_at"]),
            ({"text": "x", "metadata": {"big": "x" * (300 << 10)}}, ["metadata"]),
        ]:
            answer = await fails("store_memory", arguments, *words)
            assert answer["status"] == "failed"
        for arguments, words in [
            ({}, ["query"]),
            ({"query": "x", "limit": 0}, ["limit"]),
            ({"query": "x", "limit": 101}, ["limit"]),
            ({"query": "x", "limit": "ten"}, ["limit"]),
            ({"query": "x", "mode": "magic"}, ["mode"]),
            ({"query": "x", "embedding": [1.0]}, ["embedding", "384"]),
            ({"query": "x", "since": "yesterday-ish"}, ["since"]),
            ({"query": "x", "system_id": "a b"}, ["system_id"]),
            ({"query": "x", "page": 2}, ["page"]),
            ({"query": 1}, ["query"]),
        ]:
            await fails("search_memories", arguments, *words)
        await fails("get_memory", {"memory_id": "none-such"}, "none-such")
        await fails("get_memory", {}, "memory_id")
        await fails("get_memory", {"memory_id": "x", "system_id": "a/b"}, "system_id")
        await fails("forget_memory", {"memory_id": "none-such"}, "none-such")
        await fails("forget_memory", {"memory_id": "x", "erase": "yes"}, "erase")
        await fails("list_memories", {"limit": -1}, "limit")
        await fails("list_memories", {"cursor": "nonsense"}, "cursor")
        await fails("sync_to_akosha", {"method": "pigeon"}, "method")
        await fails("sync_to_akosha", {"fast": True}, "fast")
        await fails("akosha_sync_status", {"x": 1}, "x")
        await fails("session_start", {"cwd": 7}, "cwd")
        await fails("session_end", {"summary": 7}, "summary")
        await fails("session_end", {"why": "x"}, "why")
        assert (await session.call("list_memories", {}))["memories"] == []

    with_client(connect, node(), work)


def test_batches(connect, node):
    async def work(session):
        call = session.call
        empty = await call("batch_store_memories", {"memories": []})
        assert empty["status"] == "completed"
        assert [empty[k] for k in ("total", "stored", "failed", "deduplicated")] == [0, 0, 0, 0]

        memories = [{"memory_id": f"m{i}", "text": f"fact number {i}"} for i in range(1001)]
        answer = await session.fails("batch_store_memories", {"memories": memories})
        assert answer["error"] == "Batch size exceeds maximum of 1000 memories"
        assert answer["status"] == "failed" and answer["stored"] == 0
        assert (await call("list_memories", {}))["memories"] == []

        mixed = [
            {"memory_id": "good-1", "text": "one"},
            {"memory_id": "bad-vector", "text": "two", "embedding": [1.0]},
            {"memory_id": "good-2", "text": "three"},
            {"memory_id": "blank", "text": "  "},
            "no object",
            {"memory_id": "unknown", "text": "x", "colour": "red"},
            {"memory_id": "good-3", "text": "four"},
        ]
        answer = await call("batch_store_memories", {"memories": mixed})
        assert answer["status"] == "partial"
        assert (answer["total"], answer["stored"], answer["failed"]) == (7, 3, 4)
        assert [error["index"] for error in answer["errors"]] == [1, 3, 4, 5]
        assert [error["memory_id"] for error in answer["errors"]] == [
            "bad-vector",
            "blank",
            None,
            "unknown",
        ]
        assert "384" in answer["errors"][0]["error"]
        assert "colour" in answer["errors"][3]["error"]
        ids = {m["memory_id"] for m in (await call("list_memories", {}))["memories"]}
        assert ids == {"good-1", "good-2", "good-3"}

        all_bad = await call("batch_store_memories", {"memories": [{"text": ""}]}, error=True)
        assert all_bad["status"] == "failed" and all_bad["failed"] == 1
        await session.fails("batch_store_memories", {}, "memories")
        await session.fails("batch_store_memories", {"memories": "x"}, "memories")

    with_client(connect, node(), work)


def test_a_thousand_memories_with_vectors_pass(connect, node):
    memories = [
        {
            "memory_id": f"m{i}",
            "text": f"Service number {i} is deployed by pipeline {i * 7}.",
            "embedding": vector(i),
            "metadata": {"project": f"p{i % 10}"},
        }
        for i in range(1000)
    ]
    assert len(json.dumps(memories)) > 7_500_000

    async def work(session):
        answer = await session.call("batch_store_memories", {"memories": memories})
        assert answer["status"] == "completed", answer["errors"][:3]
        assert (answer["total"], answer["stored"], answer["failed"]) == (1000, 1000, 0)
        again = await session.call("batch_store_memories", {"memories": memories})
        assert (again["stored"], again["deduplicated"]) == (1000, 1000)
        found = await session.call(
            "search_memories",
            {"query": "x", "mode": "semantic", "embedding": vector(123), "limit": 3},
        )
        assert found["results"][0]["memory_id"] == "m123"

    with_client(connect, node(), work)


def test_status_names_every_setting_and_no_secret(connect, node, vault):
    async def work(session):
        status = await session.call("akosha_sync_status", {})
        assert status["system_id"] == "laptop"
        assert status["cloud_configured"] is True
        assert status["should_use_cloud"] is True and status["should_use_http"] is True
        assert sorted(status["configuration"]) == sorted(FIELDS)
        assert status["configuration_errors"] == []
        assert {m["method"] for m in status["methods"]} == {"cloud", "http"}
        assert set(status["queue"]) >= {
            "pending",
            "running",
            "parked",
            "last_success_at",
            "last_error",
        }
        assert status["lag"]["unsynced_memories"] == 0
        await session.call("store_memory", {"text": "x"})
        status = await session.call("akosha_sync_status", {})
        assert status["lag"]["unsynced_memories"] == 1
        assert status["lag"]["oldest_unsynced_at"].endswith("Z")
        assert "sesame-secret" not in json.dumps(status)

    with_client(
        connect,
        node(cloud_bucket=vault.as_uri(), akosha_token="sesame-secret"),
        work,
    )


def test_sync_over_the_tool(connect, node, vault, transport):
    sender = node(cloud_bucket=vault.as_uri())
    steps = []

    async def on_progress(progress, total, message):
        steps.append((progress, total, message))

    async def work(session):
        nothing = await session.call("sync_to_akosha", {"method": "cloud"})
        assert nothing["success"] is True and nothing["memories_uploaded"] == 0
        assert nothing["bytes_transferred"] == 0 and nothing["upload_id"] is None
        memories = [
            {"memory_id": f"m{i}", "text": f"fact {i}", "metadata": {"source": "laptop"}}
            for i in range(300)
        ]
        await session.call("batch_store_memories", {"memories": memories})
        answer = await session.call("sync_to_akosha", {}, progress_callback=on_progress)
        assert answer["success"] is True, answer
        assert answer["method"] == "cloud" and answer["fallback_from"] is None
        assert answer["memories_uploaded"] == 300 and answer["bytes_transferred"] > 0
        assert answer["triggered_by"] == "manual" and answer["errors"] == []
        assert answer["upload_id"] and answer["job_id"]
        again = await session.call("sync_to_akosha", {"method": "auto"})
        assert again["success"] is True and again["memories_uploaded"] == 0
        status = await session.call("akosha_sync_status", {})
        assert status["lag"]["unsynced_memories"] == 0
        assert status["vault"]["last_upload_id"] == answer["upload_id"]
        failed = await session.call("sync_to_akosha", {"method": "http"}, error=True)
        assert failed["success"] is False and failed["errors"][0]["method"] == "http"

    with_client(connect, sender, work)
    assert steps, "progress was asked for and none came"
    done = [progress for progress, _, _ in steps]
    assert done == sorted(done)
    assert any(key.endswith("/manifest.json") for key in folder_objects(vault))
    receiver = node("desk", cloud_bucket=vault.as_uri())
    assert receiver.json("pull")["memories_added"] == 300


def test_sync_in_the_background(connect, node, vault):
    async def work(session):
        await session.call("store_memory", {"text": "x", "metadata": {"source": "laptop"}})
        answer = await session.call("sync_to_akosha", {"wait": False})
        assert answer["job_id"]
        for _ in range(200):
            status = await session.call("akosha_sync_status", {})
            if status["queue"]["last_success_at"]:
                break
            await asyncio.sleep(0.05)
        assert status["queue"]["last_success_at"], status["queue"]
        assert status["lag"]["unsynced_memories"] == 0

    with_client(connect, node(cloud_bucket=vault.as_uri()), work)


def test_both_methods_down_names_both(connect, node, tmp_path):
    blocked = tmp_path / "a-file"
    blocked.write_text("no folder")

    async def work(session):
        await session.call("store_memory", {"text": "x", "metadata": {"source": "laptop"}})
        answer = await session.call("sync_to_akosha", {}, error=True)
        assert answer["success"] is False
        assert [error["method"] for error in answer["errors"]] == ["cloud", "http"]
        only = await session.call("sync_to_akosha", {"enable_fallback": False}, error=True)
        assert [error["method"] for error in only["errors"]] == ["cloud"]
        status = await session.call("akosha_sync_status", {})
        assert status["lag"]["unsynced_memories"] == 1

    with_client(connect, node(cloud_bucket=(blocked / "vault").as_uri()), work)


def test_sessions(connect, node, vault):
    async def work(session):
        await session.call(
            "store_memory",
            {"text": "Deploys need the VPN.", "metadata": {"project": "billing", "source": "laptop"}},
        )
        started = await session.call("session_start", {"session_id": "s1", "project": "billing"})
        context = json.dumps(started, ensure_ascii=False)
        assert "VPN" in context
        assert len(context) < 12_000
        ended = await session.call(
            "session_end",
            {"session_id": "s1", "summary": "Found out why deploys hang.", "reason": "done"},
        )
        assert ended["status"] == "ended"
        assert ended["sync"]["queued"] is True and ended["sync"]["job_id"]
        got = await session.call("get_memory", {"memory_id": ended["memory_id"]})
        assert got["metadata"]["type"] == "session_summary"
        assert got["metadata"]["session_id"] == "s1"
        bare = await session.call("session_end", {})
        assert bare["status"] == "ended" and bare["memory_id"] is None

    with_client(connect, node(cloud_bucket=vault.as_uri()), work)


def test_six_variables_suffice_for_a_bucket(node, s3, monkeypatch):
    """The Python SDK passes no credentials on, so they come from the configuration file."""
    sender = node(**s3)
    monkeypatch.setenv("HOME", str(sender.folder))

    async def main():
        command, *args = sender.command("mcp")
        async with Client(StdioServerParameters(command=command, args=args)) as client:
            session = Session(client)
            await session.call("store_memory", {"text": "x"})
            answer = await session.call("sync_to_akosha", {"method": "cloud"})
            assert answer["memories_uploaded"] == 1

    asyncio.run(main())


def test_cancelling_a_sync_leaves_a_working_server(node):
    """A vault that never answers: the call is given up, the next calls are answered."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(16)
        port = silent.getsockname()[1]
        sender = node(
            cloud_bucket="memories",
            cloud_endpoint=f"http://127.0.0.1:{port}",
            cloud_access_key="k",
            cloud_secret_key="s",
        )
        with sender.stdio() as server:
            server.call("store_memory", text="x")
            server.send(
                {
                    "jsonrpc": "2.0",
                    "id": 900,
                    "method": "tools/call",
                    "params": {"name": "sync_to_akosha", "arguments": {"method": "cloud"}},
                }
            )
            server.send(
                {
                    "jsonrpc": "2.0",
                    "method": "notifications/cancelled",
                    "params": {"requestId": 900, "reason": "enough"},
                }
            )
            assert server.call("store_memory", timeout=5, text="y")["status"] == "stored"
            status = server.call("akosha_sync_status", timeout=10)
            assert status["lag"]["unsynced_memories"] == 2
