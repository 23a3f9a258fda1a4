"""The protocol's own conformance suite against `akosha serve`, in both eras.

Its scenarios call tools, resources and prompts that a server has only for them. The feature
`conformance` compiles them into a binary of its own, which `run` builds. There the suite is run
against `/mcp`, with sessions in the older era, and against `/sessionless/mcp`, which answers as the
shipped server does.
"""

import json
import re
import subprocess

import pytest
from support import REAL, Node, Serve

NODE = REAL / "node/node_modules/node/bin/node"
SUITE = REAL / "node/node_modules/@modelcontextprotocol/conformance/dist/index.js"
BINARY = REAL / "conformance/akosha"

# How many scenarios the suite has for a server of each era, so that none is lost unseen.
SCENARIOS = {"2025-11-25": 33, "2026-07-28": 40}

# In these the server asks its client something during the call. Up to 2025-11-25 that takes a
# session, which the shipped server has not, for it never asks; see docs/adr.
ASKING = {
    "tools-call-sampling",
    "tools-call-elicitation",
    "elicitation-sep1034-defaults",
    "elicitation-sep1330-enums",
}

# Warnings are about what a server SHOULD do. Both say that there is no session.
WARNINGS = {"server-sse-multiple-streams-session", "server-sse-polling-session"}


@pytest.fixture(scope="module")
def serve(tmp_path_factory):
    """The server with the fixtures."""
    if not BINARY.exists():
        pytest.fail(f"{BINARY} is missing: tests/real/run conformance")

    class Conforming(Node):
        def command(self, *args):
            return [str(BINARY), *super().command(*args)[1:]]

    with Serve(Conforming(tmp_path_factory.mktemp("conformance"), "laptop")) as serve:
        yield serve


@pytest.fixture(params=list(SCENARIOS))
def era(request):
    return request.param


def run(serve, path, era, tmp_path):
    """Runs every scenario of an era and returns the checks of each."""
    done = subprocess.run(
        [
            *(str(NODE), str(SUITE), "server"),
            *("--url", f"http://127.0.0.1:{serve.port}{path}"),
            *("--suite", "all", "--spec-version", era),
            *("--output-dir", str(tmp_path)),
        ],
        capture_output=True,
        text=True,
        timeout=600,
    )
    checks = {}
    for file in tmp_path.glob("*/checks.json"):
        name = re.fullmatch(r"server-(.+)-\d{4}-\d\d-\d\dT[\d-]+Z", file.parent.name)
        checks[name.group(1)] = json.loads(file.read_text())
    assert len(checks) == SCENARIOS[era], (sorted(checks), done.stdout[-2000:], done.stderr[-2000:])
    return checks


def those(checks, status):
    """Returns what the suite says of every check of a status, by scenario."""
    found = {}
    for scenario, results in checks.items():
        for check in results:
            if check["status"] == status:
                said = f"{check['id']}: {check.get('errorMessage', '')}"
                found.setdefault(scenario, []).append(said)
    return found


def test_every_scenario_passes(serve, era, tmp_path, capsys):
    checks = run(serve, "/mcp", era, tmp_path)
    assert those(checks, "FAILURE") == {}
    assert those(checks, "WARNING") == {}
    passed = sum(1 for results in checks.values() for c in results if c["status"] == "SUCCESS")
    with capsys.disabled():
        print(f"\n{era}: {len(checks)} of {len(checks)} scenarios, {passed} checks passed")


def test_the_shipped_server_fails_where_it_would_have_to_ask(serve, era, tmp_path, capsys):
    checks = run(serve, "/sessionless/mcp", era, tmp_path)
    expected = ASKING if era == "2025-11-25" else set()
    assert set(those(checks, "FAILURE")) == expected, those(checks, "FAILURE")
    warned = {said.split(":")[0] for said in sum(those(checks, "WARNING").values(), [])}
    assert warned == (WARNINGS if era == "2025-11-25" else set())
    with capsys.disabled():
        print(f"\n{era}, as shipped: {len(checks) - len(expected)} of {len(checks)} scenarios")
