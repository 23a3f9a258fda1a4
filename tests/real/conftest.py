"""Fixtures of the suites, and the line by which `run` counts them."""

import itertools
import os
import signal
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from servers import Moto  # noqa: E402
from support import Node, binary  # noqa: E402

numbers = itertools.count(1)


def pytest_sessionstart(session):
    if not binary().exists():
        pytest.exit(f"{binary()} is missing: cargo build --release --package akosha", 2)


def pytest_terminal_summary(terminalreporter):
    """Prints the count in the words of `cargo test`; a skipped test counts as failed."""
    count = {name: len(reports) for name, reports in terminalreporter.stats.items()}
    failed = sum(count.get(name, 0) for name in ("failed", "error", "skipped"))
    word = "FAILED" if failed else "ok"
    terminalreporter.write_line(
        f"test result: {word}. {count.get('passed', 0)} passed; {failed} failed"
    )


@pytest.fixture
def node(tmp_path):
    """Makes nodes: `node("laptop", cloud_bucket=...)`; ends what they left running."""
    made = []

    def make(system_id="laptop", folder=None, **settings):
        made.append(Node(tmp_path / (folder or system_id), system_id, **settings))
        return made[-1]

    yield make
    for each in made:
        for pid in each.processes():
            os.kill(pid, signal.SIGKILL)


@pytest.fixture
def vault(tmp_path):
    """The folder of an empty vault."""
    folder = tmp_path / "vault"
    folder.mkdir()
    return folder


@pytest.fixture(scope="session")
def moto():
    """An S3 server for the whole suite."""
    server = Moto()
    yield server
    server.close()


@pytest.fixture
def bucket(moto):
    """The name of an empty bucket."""
    name = f"bucket-{next(numbers)}"
    moto.bucket(name)
    return name


@pytest.fixture
def s3(moto, bucket):
    """The settings of a node whose vault is an empty bucket."""
    return moto.settings(bucket)
