"""Searches and stores over HTTP, many at once, while a server takes in what homes push."""

import json
import os
import statistics
import subprocess
import threading
import time
from pathlib import Path

from support import memory_of, wait_for

SCRIPTS = Path(__file__).parent
ERRORS = ("status", "connect", "read", "write", "timeout")
# Memories of one push.
BATCH = 200


class Wrk:
    """A running `wrk`."""

    def __init__(self, script, port, seconds, connections, token=None):
        env = {
            "PATH": os.environ["PATH"],
            "AKOSHA_REPORT": str(SCRIPTS / "report.lua"),
            **({"AKOSHA_TOKEN": token} if token else {}),
        }
        self.process = subprocess.Popen(
            [
                *("wrk", "--threads", "1", "--connections", str(connections)),
                *("--duration", f"{seconds}s", "--timeout", "10s"),
                *("--script", str(SCRIPTS / script), f"http://127.0.0.1:{port}/"),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=env,
        )

    def report(self):
        """Waits for its end and returns what it counted."""
        said, _ = self.process.communicate()
        lines = [line for line in said.splitlines() if line.startswith("REPORT ")]
        assert self.process.returncode == 0 and lines, said
        report = json.loads(lines[-1].removeprefix("REPORT "))
        # The first answer that was not as it should be, where there is one.
        complaints = [line for line in said.splitlines() if line.startswith("COMPLAINT ")]
        return {**report, "complaint": "".join(complaints).removeprefix("COMPLAINT ")}


class Pushers:
    """Homes that store and push until they are told to end."""

    def __init__(self, homes):
        self.pushed = {home.system_id: 0 for home in homes}
        self.failed = []
        self.ended = threading.Event()
        self.threads = [threading.Thread(target=self._work, args=(home,)) for home in homes]
        for thread in self.threads:
            thread.start()

    def _work(self, home):
        try:
            while not self.ended.is_set():
                first = self.pushed[home.system_id]
                memories = [
                    {"memory_id": f"m{n}", "text": f"{home.system_id} noted fact {n} of the index."}
                    for n in range(first, first + BATCH)
                ]
                with home.stdio() as client:
                    client.call("batch_store_memories", memories=memories)
                home.json("sync", "--method", "cloud")
                self.pushed[home.system_id] += BATCH
                self.ended.wait(0.2)
        except Exception as error:  # noqa: BLE001: told to whoever waits
            self.failed.append(error)

    def finish(self):
        """Ends them and returns how many memories each pushed."""
        self.ended.set()
        for thread in self.threads:
            thread.join()
        if self.failed:
            raise self.failed[0]
        return self.pushed


class Memory:
    """Watches the resident memory of a process."""

    def __init__(self, pid):
        self.pid = pid
        self.samples = []
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._work)
        self.thread.start()

    def _work(self):
        while not self.ended.wait(0.2):
            self.samples.append(memory_of(self.pid))

    def finish(self):
        """Returns the medians of the second and the last quarter: the first one warms up."""
        self.ended.set()
        self.thread.join()
        quarter = max(len(self.samples) // 4, 1)
        second = self.samples[quarter : 2 * quarter] or self.samples
        return statistics.median(second), statistics.median(self.samples[-quarter:])


def stored(server_home):
    """Returns how many memories each system has in a server's store."""
    counts = {}
    for system_id, _ in server_home.export():
        counts[system_id] = counts.get(system_id, 0) + 1
    return counts


def run(server_home, serve, homes, seconds, connections=8, token=None):
    """Puts the load on a server and returns the figures."""
    serve.wait_until_ready()
    pushers = Pushers(homes)
    memory = Memory(serve.process.pid)
    try:
        searching = Wrk("search.lua", serve.port, seconds, connections, token)
        storing = Wrk("store.lua", serve.port, seconds, connections, token)
        search, store = searching.report(), storing.report()
    finally:
        early, late = memory.finish()
        pushed = pushers.finish()

    def arrived():
        now = stored(server_home)
        return now if all(now.get(home, 0) >= count for home, count in pushed.items()) else None

    began = time.monotonic()
    counts = wait_for(arrived, 120, "the last upload in the server's store")
    return {
        "search": search,
        "store": store,
        "pushed": pushed,
        "stored": counts,
        "behind_seconds": time.monotonic() - began,
        "memory_early": early,
        "memory_late": late,
    }
