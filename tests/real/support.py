"""The real binary as tests and benches use it. Needs nothing beyond the standard library."""

import json
import os
import random
import re
import select
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
REAL = ROOT / "target" / "real"
DIM = 384

PROTOCOL = "2025-11-25"


def binary():
    """Returns the release binary; `AKOSHA_BINARY` names another one."""
    named = os.environ.get("AKOSHA_BINARY")
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    return Path(named) if named else target / "release" / "akosha"


def environment(home, **more):
    """Returns the few variables that a client gives a server; nothing of ours leaks in."""
    kept = {key: os.environ[key] for key in ("PATH", "LANG") if key in os.environ}
    return {**kept, "HOME": str(home), "USER": "tester", "LOGNAME": "tester", "TERM": "dumb", **more}


def toml(settings):
    """Returns flat settings as TOML; JSON's scalars and lists are written alike there."""
    return "".join(f"{key} = {json.dumps(value)}\n" for key, value in settings.items())


def vector(seed):
    """Returns 384 numbers that are the same for the same seed."""
    rng = random.Random(seed)
    return [rng.uniform(-1.0, 1.0) for _ in range(DIM)]


def watched(node, *args):
    """Runs a command; returns its exit code, output, seconds and peak resident memory in bytes.

    `ru_maxrss` would be that of this process where it is larger, so the peak is read while the
    command runs.
    """
    log = node.folder / "stderr.log"
    peak = 0
    started = time.perf_counter()
    with log.open("wb") as stderr, (node.folder / "stdout.log").open("w+b") as stdout:
        process = subprocess.Popen(
            node.command(*args), env=node.env(), stdout=stdout, stderr=stderr
        )
        while process.poll() is None:
            peak = max(peak, memory_of(process.pid, "VmHWM"))
            time.sleep(0.005)
        seconds = time.perf_counter() - started
        stdout.seek(0)
        return process.returncode, stdout.read(), seconds, peak


def memory_of(pid, field="VmRSS"):
    """Returns a field of a process's memory in bytes, 0 where it has none any more."""
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(f"{field}:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def free_port():
    """Returns a port of loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(condition, seconds=15.0, what="the condition"):
    """Waits until `condition()` is true and returns its value."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come within {seconds} s")
        time.sleep(0.02)


class Failed(AssertionError):
    """A command that ended otherwise than expected."""


class Node:
    """One home with its configuration: one machine, as far as Akosha can tell."""

    def __init__(self, folder, system_id, **settings):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.home = self.folder / "home"
        self.config = self.folder / "akosha.toml"
        self.system_id = system_id
        # Port 9, discard: nobody listens there, so HTTP is down unless a test says otherwise.
        self.settings = {
            "system_id": system_id,
            "akosha_url": "http://127.0.0.1:9/mcp",
            "max_retries": 0,
        }
        self.configure(**settings)

    def configure(self, **settings):
        """Changes settings and writes the file, readable by its owner alone."""
        self.settings.update(settings)
        self.config.write_text(toml(self.settings))
        self.config.chmod(0o600)

    def command(self, *args):
        """Returns the command line."""
        return [str(binary()), "--home", str(self.home), "--config", str(self.config), *args]

    def env(self, **more):
        """Returns the environment."""
        return environment(self.folder, **more)

    def run(self, *args, stdin="", code=0, timeout=120, env=None):
        """Runs a command and returns it; `code` is the exit code that is expected, None for any."""
        done = subprocess.run(
            self.command(*args),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout,
            env=self.env(**(env or {})),
        )
        if code is not None and done.returncode != code:
            raise Failed(
                f"`akosha {' '.join(args)}` ended with {done.returncode}, expected {code}\n"
                f"stdout: {done.stdout[-3000:]}\nstderr: {done.stderr[-3000:]}"
            )
        return done

    def json(self, *args, **more):
        """Runs a command with `--json` and returns its answer."""
        done = self.run("--json", *args, **more)
        try:
            return json.loads(done.stdout)
        except ValueError as error:
            raise Failed(f"`akosha {' '.join(args)}` answered {done.stdout!r}: {error}") from error

    def export(self):
        """Returns every memory as `export` writes it, by (system_id, memory_id)."""
        lines = self.run("export", "--format", "jsonl").stdout.splitlines()
        rows = [json.loads(line) for line in lines]
        return {(row["system_id"], row["memory_id"]): row for row in rows}

    def stdio(self, **more):
        """Starts `akosha mcp` with the raw protocol."""
        return Stdio(self.command("mcp"), self.env(), **more)

    def processes(self):
        """Returns the ids of all live processes that name this home."""
        return processes_with(str(self.home))


def processes_with(word):
    """Returns the ids of all live processes with `word` in their arguments or environment."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            text = (entry / "cmdline").read_bytes() + b"\0" + (entry / "environ").read_bytes()
            state = (entry / "stat").read_text().rsplit(")", 1)[1].split()[0]
        except OSError:
            continue
        if state != "Z" and word.encode() in text:
            found.append(int(entry.name))
    return found


class Stdio:
    """An MCP server on stdio, spoken to in raw JSON lines."""

    def __init__(self, command, env, initialize=True, stderr=subprocess.DEVNULL):
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env=env,
            # A client kills the group: the server must be alone in its own.
            start_new_session=True,
        )
        self.next_id = 0
        self.buffer = b""
        if initialize:
            self.initialize()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, message):
        """Writes one message."""
        self.process.stdin.write(json.dumps(message).encode() + b"\n")
        self.process.stdin.flush()

    def line(self, timeout=60.0):
        """Reads one message."""
        deadline = time.monotonic() + timeout
        stdout = self.process.stdout.fileno()
        while b"\n" not in self.buffer:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([stdout], [], [], left)[0]:
                raise AssertionError(f"no answer within {timeout} s")
            chunk = os.read(stdout, 1 << 20)
            if not chunk:
                raise AssertionError("the server closed its standard output")
            self.buffer += chunk
        line, self.buffer = self.buffer.split(b"\n", 1)
        return json.loads(line)

    def request(self, method, params=None, timeout=60.0):
        """Sends a request and returns its result; notifications in between are dropped."""
        self.next_id += 1
        self.send({"jsonrpc": "2.0", "id": self.next_id, "method": method, "params": params or {}})
        while True:
            answer = self.line(timeout)
            if answer.get("id") == self.next_id:
                if "error" in answer:
                    raise AssertionError(f"{method}: {answer['error']}")
                return answer["result"]

    def initialize(self):
        """Shakes hands as a client of the older era does."""
        client = {"name": "raw", "version": "1"}
        params = {"protocolVersion": PROTOCOL, "capabilities": {}, "clientInfo": client}
        result = self.request("initialize", params)
        self.send({"jsonrpc": "2.0", "method": "notifications/initialized"})
        return result

    def call(self, tool, timeout=60.0, **arguments):
        """Calls a tool and returns its structured result; a failed call raises."""
        result = self.request("tools/call", {"name": tool, "arguments": arguments}, timeout)
        if result.get("isError"):
            raise AssertionError(f"{tool}: {result.get('content')}")
        return result["structuredContent"]

    def kill_group(self):
        """Kills the server and all that share its process group."""
        os.killpg(self.process.pid, signal.SIGKILL)

    def close(self):
        """Ends the input, waits for the end, kills what does not end in 10 s."""
        if self.process.stdin and not self.process.stdin.closed:
            try:
                self.process.stdin.close()
            except BrokenPipeError:
                pass
        try:
            return self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()
        finally:
            self.process.stdout.close()


class Serve:
    """`akosha serve` on a free port."""

    def __init__(self, node):
        self.log = node.folder / "serve.log"
        self.stderr = self.log.open("wb")
        self.process = subprocess.Popen(
            node.command("serve", "--listen", "127.0.0.1:0"),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self.stderr,
            env=node.env(),
        )
        try:
            self.port = wait_for(self._port, what="the port of `akosha serve`")
        except AssertionError:
            self.close()
            raise
        self.url = f"http://127.0.0.1:{self.port}/mcp"

    def _port(self):
        text = self.log.read_text(errors="replace")
        if self.process.poll() is not None:
            raise AssertionError(f"`akosha serve` ended with {self.process.returncode}: {text}")
        ports = [int(port) for port in re.findall(r"127\.0\.0\.1:(\d+)", text)]
        return next((port for port in ports if port), None)

    def wait_until_ready(self):
        """Waits until its store is open, as whoever sends it requests does."""

        def ready():
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/ready", timeout=10):
                    return True
            except urllib.error.HTTPError:
                return False

        wait_for(ready, 30, "`/ready`")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Asks it to stop and returns its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(35)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()
        finally:
            self.stderr.close()


class Azurite:
    """Microsoft's emulator of Azure Blob Storage, in a process of its own."""

    # Published by Microsoft for every emulator:
    # https://learn.microsoft.com/en-us/azure/storage/common/storage-connect-azurite
    ACCOUNT = "devstoreaccount1"
    KEY = (
        "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
    )

    def __init__(self):
        self.port = free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}/{self.ACCOUNT}"
        modules = REAL / "node" / "node_modules"
        (REAL / "logs").mkdir(parents=True, exist_ok=True)
        self.log = REAL / "logs" / "azurite.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [
                    str(modules / "node/bin/node"),
                    str(modules / "azurite/dist/src/blob/main.js"),
                    *("--blobHost", "127.0.0.1", "--blobPort", str(self.port)),
                    *("--inMemoryPersistence", "--silent", "--skipApiVersionCheck"),
                ],
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        wait_for(self._answers, 60, "Azurite")

    def _answers(self):
        if self.process.poll() is not None:
            raise AssertionError(f"Azurite ended: {self.log.read_text(errors='replace')}")
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        except OSError:
            return False

    def settings(self, container):
        """Returns the settings of a node whose vault is the container."""
        return {
            "cloud_bucket": f"az://{container}/all",
            "cloud_endpoint": self.endpoint,
            "cloud_access_key": self.ACCOUNT,
            "cloud_secret_key": self.KEY,
        }

    def close(self):
        """Ends the server."""
        self.process.terminate()
        self.process.wait()


def folder_objects(folder):
    """Returns every file below a folder vault with its bytes, by its key."""
    root = Path(folder)
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file()
    }
