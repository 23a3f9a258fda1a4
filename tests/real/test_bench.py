"""The bench at small sizes: every section runs and measures something."""

import json
import subprocess
import sys
from pathlib import Path


def test_every_section_measures(tmp_path):
    report = tmp_path / "rows.json"
    bench = Path(__file__).with_name("bench")
    done = subprocess.run(
        [sys.executable, bench, "--quick", "--json", report],
        capture_output=True,
        text=True,
        timeout=600,
    )
    print(done.stdout)
    assert done.returncode == 0, done.stderr[-3000:]
    rows = json.loads(report.read_text())
    measured = " ".join(row["what"] for row in rows)
    for what in (
        "fsync",
        "initialize",
        "resident memory",
        "store_memory",
        "batch",
        "session_end",
        "hook session-end",
        "search, words",
        "search, hybrid",
        "push of",
        "pull of",
        "push of a file",
        "S3 (moto)",
        "rclone",
        "s5cmd",
        "without vectors",
        "with vectors",
        "systems ×",
    ):
        assert what in measured, what
    assert not [row for row in rows if "failed" in row["measured"]]
