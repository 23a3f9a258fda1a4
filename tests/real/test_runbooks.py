"""The failures of `docs/runbooks/`, produced on a real server: the alerts' expressions see them, in a
real Prometheus, `/status` tells them, and the commands of the runbooks mend them."""

import json
import os
import re
import signal
import sqlite3
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import team
from door import Door
from prometheus import Prometheus, alerts
from serving import Serving
from servers import Moto
from support import ROOT, binary, free_port, wait_for

PAGES = sorted((ROOT / "docs/runbooks").glob("*.md"))
SETTINGS = {"poll_interval_seconds": 5, "enable_fallback": False}


def blocks(name, language="sh"):
    """Returns the blocks of a page."""
    text = (ROOT / f"docs/runbooks/{name}.md").read_text()
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def step(name, words):
    """Returns the one block of a page that has the words."""
    found = [block for block in blocks(name) if words in block]
    assert len(found) == 1, f"{words}: {found}"
    return found[0]


class Operator:
    """A person on the server's machine."""

    def __init__(self, node, serving=None):
        self.node = node
        self.serving = serving
        self.bin = node.folder / "bin"
        self.bin.mkdir(exist_ok=True)
        if not (self.bin / "akosha").exists():
            (self.bin / "akosha").symlink_to(binary())

    def does(self, script, code=0):
        """Runs a block of a page as it stands, on this server's port; returns what it said."""
        if self.serving:
            script = script.replace("http://127.0.0.1:8682", self.serving.url)
        env = self.node.env(
            AKOSHA_HOME=str(self.node.home), AKOSHA_CONFIG=str(self.node.config),
            SERVER_PID=str(self.serving.process.pid if self.serving else 0),
            PATH=f"{self.bin}:{os.environ['PATH']}",
        )
        done = subprocess.run(["sh", "-eu", "-c", script], env=env, capture_output=True, text=True, timeout=120)
        said = f"{script}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        if code is not None:
            assert done.returncode == code, said
        return done.stdout + done.stderr


@pytest.fixture
def watched(node, tmp_path):
    """Starts servers that a Prometheus scrapes: `watched(settings)` returns server and Prometheus."""
    started = []

    def start(**settings):
        serving = Serving(node("server", **{**SETTINGS, **settings}))
        started.append(serving)
        prometheus = Prometheus(tmp_path / "prometheus", serving.port)
        started.append(prometheus)
        wait_for(lambda: prometheus.query("akosha_memories"), 30, "a scrape")
        return serving, prometheus

    yield start
    for one in reversed(started):
        one.close()


def breaker(serving, name):
    return next(one for one in serving.json("/api/v1/breakers")["breakers"] if one["name"] == name)


def memories(serving):
    return serving.json("/status")["store"]["memories"]


@pytest.fixture
def bucket_behind_a_door():
    """An S3 server that can be made to go away with everything in it kept."""
    moto = Moto()
    door = Door(moto.port)
    settings = moto.bucket("vault")
    yield settings, {**settings, "cloud_endpoint": f"http://127.0.0.1:{door.port}"}, door
    moto.close()


def test_the_bucket_goes_away_and_comes_back(node, watched, bucket_behind_a_door):
    direct, through, door = bucket_behind_a_door
    laptop = node("laptop", enable_fallback=False, **direct)
    laptop.run("store", "before the outage")
    laptop.json("sync")
    serving, prometheus = watched(**through)
    operator = Operator(serving.node, serving)
    wait_for(lambda: memories(serving) == 1, 30, "the first upload")
    door.shut()
    for _ in range(6):
        operator.does(step("ingestion-backlog", "api/v1/ingest").replace("--fail ", ""), code=None)
    wait_for(lambda: breaker(serving, "bucket")["state"] == "open", 60, "that the breaker opens")
    assert breaker(serving, "bucket")["last_error"]
    assert "bucket" in operator.does(step("cloud-storage-outage", "api/v1/breakers"), code=None)
    prometheus.fires("AkoshaBucketUnreachable")
    # Searches go on, and other machines upload.
    assert serving.json("/api/v1/search?query=outage")["results"]
    laptop.run("store", "during the outage")
    laptop.json("sync")
    door.open()
    wait_for(lambda: breaker(serving, "bucket")["state"] == "closed", 60, "that the breaker closes")
    operator.does(step("cloud-storage-outage", "akosha status"))
    wait_for(lambda: memories(serving) == 2, 30, "what was uploaded meanwhile")
    assert serving.metric('akosha_breaker_state{breaker="bucket"}') == 0
    assert serving.metric('akosha_breaker_trips_total{breaker="bucket"}') >= 1
    operator.does(step("cloud-storage-outage", "vault verify"))


class Orchestrator:
    """An external scheduler over HTTP that triggers ingestion as soon as it is told of news."""

    def __init__(self, port):
        self.told = []
        self.target = None
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.told.append((self.path, json.loads(body)))
                answer = b'{"accepted": true}'
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)
                threading.Thread(target=outer.trigger, daemon=True).start()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def trigger(self):
        if self.target:
            self.target.ask("/api/v1/ingest", {})

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def test_the_orchestrator_goes_away_and_comes_back(node, vault, watched):
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    laptop = node("laptop", cloud_bucket=f"file://{vault}", enable_fallback=False)

    def news(text):
        laptop.run("store", text)
        laptop.json("sync")

    serving, prometheus = watched(cloud_bucket=f"file://{vault}", orchestrator_url=url)
    operator = Operator(serving.node, serving)
    mode = lambda: json.loads(operator.does(step("orchestrator-down", "/status")))["orchestrator"]
    news("nobody schedules this")
    wait_for(lambda: memories(serving) == 1, 30, "local scheduling")
    wait_for(lambda: mode()["mode"] == "fallback", 30, "the fallback")
    assert mode()["last_error"]
    wait_for(lambda: prometheus.query("akosha_orchestrator_fallback == 1"), 20, "the metric")
    assert "akosha_orchestrator_fallback" in alerts()["AkoshaOrchestratorFallback"]["expr"]
    orchestrator = Orchestrator(port)
    orchestrator.target = serving
    for n in range(20):
        news(f"somebody schedules this {n}")
        try:
            wait_for(lambda: mode()["mode"] == "normal", 6, "the orchestrator")
            break
        except AssertionError:
            continue
    assert mode()["mode"] == "normal" and orchestrator.told
    assert orchestrator.told[0][0].endswith("/trigger_workflow")
    wait_for(lambda: prometheus.query("akosha_orchestrator_fallback == 0"), 20, "the metric")
    wait_for(lambda: memories(serving) == n + 2, 30, "everything")
    orchestrator.close()


def test_poisoned_uploads_are_told_retried_and_released(node, vault, watched):
    good = team.push(node, vault, "good", team.memories("good", 5))
    for name in ("broken-1", "broken-2"):
        team.push(node, vault, name, team.memories(name, 2))
    kept = {}
    for name in ("broken-1", "broken-2"):
        manifest = max((vault / "systems" / name / "uploads").iterdir()) / "manifest.json"
        kept[manifest] = manifest.read_text()
        team.poison(vault, name)
    serving, prometheus = watched(cloud_bucket=f"file://{vault}")
    operator = Operator(serving.node, serving)
    wait_for(lambda: len(serving.json("/status")["quarantine"]) == 2, 60, "the quarantine")
    # The others are not stopped.
    wait_for(lambda: memories(serving) == 5, 30, "the good one")
    prometheus.fires("AkoshaQuarantine")
    listed = operator.does(step("ingestion-backlog", "quarantine list"))
    assert "broken-1" in listed and "broken-2" in listed and "checksum" in listed, listed
    # One is mended in the bucket, the other is given up.
    mended = next(path for path in kept if "broken-1" in str(path))
    mended.write_text(kept[mended])
    operator.does(step("ingestion-backlog", "retry --all"), code=None)
    operator.does(step("ingestion-backlog", "api/v1/ingest"))
    wait_for(lambda: memories(serving) == 7, 30, "the mended one")
    left = serving.json("/status")["quarantine"]
    assert [item["system_id"] for item in left] == ["broken-2"], left
    operator.does(step("ingestion-backlog", "release --all"))
    assert serving.json("/status")["quarantine"] == []
    prometheus.is_silent("AkoshaQuarantine")
    assert good.json("vault", "verify", code=3)["problems"], "releasing changes nothing in the bucket"


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 24 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(folder)], capture_output=True, text=True)
    assert mount.returncode == 0, f"!!! THIS TEST NEEDS TO MOUNT A TMPFS (run it as root): {mount.stderr}"
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_the_disk_is_full_and_gets_free_again(node, vault, small_disk):
    server = node("server", **SETTINGS, cloud_bucket=f"file://{vault}")
    server.home = small_disk / "home"
    serving = Serving(server)
    try:
        operator = Operator(server, serving)
        ballast = small_disk / "ballast"
        size = os.statvfs(small_disk)
        ballast.write_bytes(b"x" * (size.f_bavail * size.f_frsize - (64 << 10)))
        text = "a long memory " * 100
        entries = [{"memory_id": f"big-{n}", "text": f"{text}{n}"} for n in range(1500)]
        team.push(node, vault, "laptop", entries, uploads=6)
        said = lambda: json.dumps(serving.json("/status"))
        wait_for(lambda: re.search("full|space left", said()), 60, "that the status tells it")
        told = operator.does(step("hot-store-failure", "akosha doctor"), code=None)
        assert re.search("space|full|free", told), told
        # It lives, answers, and says that a store did not happen.
        assert serving.status_of("/health") == 200
        ballast.unlink()
        wait_for(lambda: memories(serving) == 1500, 90, "that merging goes on where it stopped")
        assert serving.json("/status")["quarantine"] == []
        wait_for(lambda: breaker(serving, "database")["state"] == "closed", 60, "the breaker")
    finally:
        serving.close()


def test_a_damaged_database_is_taken_in_again(node, vault, watched):
    for name in ("one", "two"):
        team.push(node, vault, name, team.memories(name, 20), uploads=2)
    serving, _ = watched(cloud_bucket=f"file://{vault}")
    operator = Operator(serving.node, serving)
    wait_for(lambda: memories(serving) == 40, 60, "everything")
    before = {key: row["text"] for key, row in serving.node.export().items()}
    serving.stop(signal.SIGKILL, code=None)
    database = serving.node.home / "akosha.db"
    content = bytearray(database.read_bytes())
    content[:100] = os.urandom(100)
    database.write_bytes(content)
    for rest in ("akosha.db-wal", "akosha.db-shm"):
        (serving.node.home / rest).unlink(missing_ok=True)
    told = operator.does("akosha doctor", code=None)
    assert "akosha.db" in told or "database" in told, told
    Operator(serving.node).does(step("hot-store-failure", "akosha.db.damaged"))
    assert {key: row["text"] for key, row in serving.node.export().items()} == before


def test_a_store_that_cannot_be_opened_makes_the_server_unready(watched):
    serving, prometheus = watched()
    node = serving.node
    port = serving.port
    serving.stop()
    database = sqlite3.connect(node.home / "akosha.db")
    version = database.execute("PRAGMA user_version").fetchone()[0]
    database.execute("PRAGMA user_version = 999")
    # What a downgrade brings: it lives, says why it cannot serve, and the alert sees it.
    process = subprocess.Popen(
        node.command("serve", "--listen", f"127.0.0.1:{port}"), env=node.env(),
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(lambda: serving.status_of("/health") == 200, 20, "the server")
        assert serving.status_of("/ready") == 503
        # Who may read the metrics stands in the store, too.
        prometheus.fires("AkoshaDown")
        told = node.run("status", code=None)
        assert told.returncode != 0 and "schema 999" in told.stderr, told.stderr
        # It needs no restart once the store can be opened.
        database.execute(f"PRAGMA user_version = {version}")
        wait_for(lambda: serving.status_of("/ready") == 200, 20, "that it is ready")
        prometheus.is_silent("AkoshaDown")
        prometheus.is_silent("AkoshaNotReady")
    finally:
        database.close()
        process.kill()
        process.wait()


def test_a_wrong_configuration_is_named_before_it_is_rolled_out(node):
    server = node("server", poll_interval_seconds=-1, shutdown_grace_secnds=3)
    told = Operator(server).does("akosha config check", code=2)
    assert "poll_interval_seconds" in told and "shutdown_grace_secnds" in told, told
    started = server.run("serve", "--listen", "127.0.0.1:0", code=2)
    assert "2 errors" in started.stderr, started.stderr


def test_sigterm_ends_in_order_and_work_goes_on_elsewhere(node, vault, watched):
    serving, prometheus = watched(cloud_bucket=f"file://{vault}")
    operator = Operator(serving.node, serving)
    for n in range(20):
        answer = serving.json("/mcp", {
            "jsonrpc": "2.0", "id": n, "method": "tools/call",
            "params": {"name": "store_memory", "arguments": {"text": f"acknowledged {n}"}},
        })
        assert "error" not in answer, answer
    operator.does(step("graceful-shutdown", "kill -TERM"))
    assert serving.process.wait(40) == 0, serving.said()
    assert len(serving.node.export()) == 20
    wait_for(lambda: prometheus.query('up{job="akosha"} == 0'), 20, "that it is down")
    prometheus.fires("AkoshaDown")
    again = Serving(serving.node, serving.port)
    operator = Operator(serving.node, again)
    operator.does(step("graceful-shutdown", "/ready"))
    prometheus.is_silent("AkoshaDown")
    again.stop()


def test_every_command_of_the_pages_runs(node, vault, watched):
    """On a server in order, in the order of the pages; those that stop it or put its store aside come
    last."""
    team.push(node, vault, "one", team.memories("one", 5))
    serving, _ = watched(cloud_bucket=f"file://{vault}")
    operator = Operator(serving.node, serving)
    wait_for(lambda: memories(serving) == 5, 30, "the memories")
    last = ("kill -TERM", "akosha.db.damaged", "akosha.db.before")
    count = 0
    for page in PAGES:
        for block in blocks(page.stem):
            if not any(word in block for word in last):
                operator.does(block)
                count += 1
    operator.does(step("graceful-shutdown", "kill -TERM"))
    serving.process.wait(40)
    operator.does(step("deployment-rollback", "akosha.db.before"))
    operator.does(step("hot-store-failure", "akosha.db.damaged"))
    assert count >= 12
    assert len(serving.node.export()) == 5


def test_a_search_says_what_it_missed(node, watched):
    serving, _ = watched()
    serving.node.run("store", "staging resets on Monday")
    operator = Operator(serving.node, serving)
    by_words, by_meaning = step("vector-store-failure", "mode=keyword").splitlines()
    assert json.loads(operator.does(by_words))["results"]
    missed = json.loads(operator.does(by_meaning))
    assert missed["partial"] is True and missed["missing"], missed
    assert serving.metric('akosha_search_partial_total{part="embedding"}') >= 1


def test_every_expression_of_a_page_is_one_of_an_alert():
    squeezed = {"".join(rule["expr"].split()) for rule in alerts().values()}
    count = 0
    for page in PAGES:
        for block in blocks(page.stem, "promql"):
            for line in block.splitlines():
                assert "".join(line.split()) in squeezed, f"{page.name}: {line}"
                count += 1
    assert count >= 8
