"""The official Python SDK against `akosha serve` where HTTP makes the difference: cancelling, many
clients at once, a stop under way. What it does with every tool is in `test_mcp_python.py`."""

import asyncio
import json
import socket

import pytest
from mcp import Client
from support import Serve, vector

ERAS = ["legacy", "2026-07-28"]


@pytest.fixture(params=ERAS)
def era(request):
    return request.param


async def call(client, tool, **arguments):
    """Calls a tool and returns its structured result; a failed call raises."""
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content
    return result.structured_content


async def until(condition, seconds=10.0):
    """Waits until `await condition()` is true."""
    async with asyncio.timeout(seconds):
        while not await condition():
            await asyncio.sleep(0.05)


def test_a_client_that_goes_cancels_its_call(node, era):
    """In the older era an abandoned call ends with the connection, in the newer one at once."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(16)
        machine = node(
            cloud_bucket="memories",
            cloud_endpoint=f"http://127.0.0.1:{silent.getsockname()[1]}",
            cloud_access_key="k",
            cloud_secret_key="s",
        )

        async def main(serve):
            async with Client(serve.url, mode=era) as other:
                await call(other, "store_memory", text="x", metadata={"source": "laptop"})

                async def running():
                    return (await call(other, "akosha_sync_status"))["queue"]["running"]

                async with Client(serve.url, mode=era) as client:
                    syncing = asyncio.create_task(
                        client.call_tool("sync_to_akosha", {"method": "cloud"})
                    )

                    async def begun():
                        return await running() == 1

                    await until(begun)
                    syncing.cancel()
                    with pytest.raises(asyncio.CancelledError):
                        await syncing
                    if era != "legacy":
                        await until(lambda: ended(running))
                await until(lambda: ended(running))
                status = await call(other, "akosha_sync_status")
                assert status["lag"]["unsynced_memories"] == 1

        async def ended(running):
            return await running() == 0

        with Serve(machine) as serve:
            asyncio.run(main(serve))


def test_many_clients_store_and_search_at_once(node, era):
    async def one(url, number):
        async with Client(url, mode=era) as client:
            source = f"laptop-{number % 4}"
            memories = [
                {
                    "memory_id": f"c{number}-m{n}",
                    "text": f"Client {number} knows fact {n}.",
                    "embedding": vector(number * 100 + n),
                    "metadata": {"source": source},
                }
                for n in range(50)
            ]
            answer = await call(client, "batch_store_memories", memories=memories)
            assert answer["stored"] == 50
            found = await call(
                client,
                "search_memories",
                query="x",
                mode="semantic",
                embedding=vector(number * 100 + 7),
                limit=1,
            )
            assert found["results"][0]["memory_id"] == f"c{number}-m7"

    async def main(url):
        await asyncio.gather(*(one(url, number) for number in range(16)))

    machine = node("server")
    with Serve(machine) as serve:
        asyncio.run(main(serve.url))
    systems = {}
    for system_id, _ in machine.export():
        systems[system_id] = systems.get(system_id, 0) + 1
    assert systems == {f"laptop-{n}": 200 for n in range(4)}


def test_a_stop_loses_nothing_that_was_answered(node, era):
    """Clients store while the server is told to stop: what it answered is there afterwards."""
    machine = node("server")
    stored = []

    async def work(url, number):
        async with Client(url, mode=era, read_timeout_seconds=20) as client:
            for n in range(10_000):
                memory_id = f"c{number}-m{n}"
                answer = await call(client, "store_memory", memory_id=memory_id, text=f"Fact {n}")
                stored.append(answer["memory_id"])

    async def main(serve):
        tasks = [asyncio.create_task(work(serve.url, number)) for number in range(4)]

        async def enough():
            return len(stored) > 100

        await until(enough, 30)
        code = await asyncio.to_thread(serve.close)
        assert code == 0
        _, working = await asyncio.wait(tasks, timeout=30)
        for task in working:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    with Serve(machine) as serve:
        asyncio.run(main(serve))
    kept = {memory_id for _, memory_id in machine.export()}
    lost = [memory_id for memory_id in stored if memory_id not in kept]
    assert lost == [], json.dumps(lost)
