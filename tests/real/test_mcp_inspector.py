"""The MCP Inspector's command line against `akosha mcp` and `akosha serve`, in both eras."""

import json
import subprocess

import pytest
from support import REAL, Serve

NODE = REAL / "node/node_modules/node/bin/node"
INSPECTOR = (
    REAL / "node/node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js"
)


@pytest.fixture(params=["stdio", "http"])
def transport(request):
    return request.param


@pytest.fixture(params=["legacy", "modern"])
def inspect(request, transport, node):
    """Runs one method of the Inspector and returns its result and what it wrote beside it."""
    machine = node()
    serve = Serve(machine) if transport == "http" else None
    target = [serve.url, "--transport", "http"] if serve else machine.command("mcp")
    # The command line of a stdio server comes first and ends at `--`; Inspector's own follow.
    if not serve:
        config = machine.folder / "inspector.json"
        command, *args = target
        config.write_text(
            json.dumps({"mcpServers": {"akosha": {"command": command, "args": args}}})
        )
        target = ["--config", str(config), "--server", "akosha"]

    def run(method, *args, code=0):
        done = subprocess.run(
            [
                str(NODE),
                str(INSPECTOR),
                "--cli",
                *target,
                "--protocol-era",
                request.param,
                "--format",
                "json",
                "--method",
                method,
                *args,
            ],
            capture_output=True,
            text=True,
            timeout=60,
            env=machine.env(MCP_INSPECTOR_SECRET_STORE="memory"),
        )
        assert done.returncode == code, (done.returncode, done.stdout[-2000:], done.stderr[-4000:])
        try:
            answer = json.loads(done.stdout)
        except ValueError:
            answer = {}
        return answer.get("result", answer), done.stderr

    yield run
    if serve:
        serve.close()


def call(inspect, tool, code=0, **arguments):
    """Calls a tool through the Inspector."""
    return inspect(
        "tools/call",
        "--tool-name",
        tool,
        "--tool-args-json",
        json.dumps(arguments),
        code=code,
    )[0]


def test_schemas_are_portable(inspect):
    listed, problems = inspect("tools/list", "--strict")
    names = {tool["name"] for tool in listed["tools"]}
    assert {"store_memory", "search_memories", "sync_to_akosha", "session_end"} <= names
    assert "error" not in problems.lower(), problems
    assert "warning" not in problems.lower(), problems


def test_calls(inspect):
    stored = call(
        inspect,
        "store_memory",
        memory_id="quay",
        text="The ferry leaves from quay 7.",
        metadata={"tags": ["harbour"]},
    )
    assert stored["structuredContent"]["status"] == "stored"
    found = call(inspect, "search_memories", query="where does the ferry leave")
    assert found["structuredContent"]["results"][0]["memory_id"] == "quay"
    got = call(inspect, "get_memory", memory_id="quay")
    assert got["structuredContent"]["metadata"] == {"tags": ["harbour"]}
    status = call(inspect, "akosha_sync_status")
    assert status["structuredContent"]["system_id"] == "laptop"


def test_a_failed_call_is_a_result(inspect):
    # 5 is the Inspector's exit code for a tool's own error.
    call(inspect, "store_memory", code=5, text="")
    call(inspect, "get_memory", code=5, memory_id="none-such")


def test_resources_and_prompts(inspect):
    resources, _ = inspect("resources/list")
    assert "akosha://status" in {resource["uri"] for resource in resources["resources"]}
    templates, _ = inspect("resources/templates/list")
    assert "akosha://memory/{system_id}/{memory_id}" in {
        template["uriTemplate"] for template in templates["resourceTemplates"]
    }
    read, _ = inspect("resources/read", "--uri", "akosha://status")
    assert json.loads(read["contents"][0]["text"])["system_id"] == "laptop"
    prompts, _ = inspect("prompts/list")
    assert {"recall", "sync"} <= {prompt["name"] for prompt in prompts["prompts"]}
