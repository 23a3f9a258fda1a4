"""Debian's Prometheus: its checker, and a server that scrapes a real `akosha serve`."""

import json
import subprocess
import urllib.parse
import urllib.request

import yaml
from support import ROOT, free_port, wait_for

FOLDER = ROOT / "deploy/prometheus"


def promtool(*args, cwd=FOLDER, code=0):
    """Runs the checker and returns what it said; `code` is the exit code that is expected."""
    done = subprocess.run(["promtool", *args], cwd=cwd, capture_output=True, text=True, timeout=60)
    said = done.stdout + done.stderr
    assert done.returncode == code, f"promtool {' '.join(args)} ended with {done.returncode}\n{said}"
    return said


def alerts():
    """Returns every alert of the file by its name."""
    groups = yaml.safe_load((FOLDER / "alerts.yaml").read_text())["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


def get(url, timeout=10):
    with urllib.request.urlopen(url, timeout=timeout) as response:
        return response.read().decode()


class Prometheus:
    """A server that scrapes the port every second and has the alerts of `deploy/`."""

    def __init__(self, folder, port):
        self.port = free_port()
        folder.mkdir()
        config = yaml.safe_load((FOLDER / "prometheus.yml").read_text())
        config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        config["rule_files"] = [str(FOLDER / "alerts.yaml")]
        job = config["scrape_configs"][0]
        job["static_configs"] = [{"targets": [f"127.0.0.1:{port}"]}]
        # A server of loopback without tokens asks for none.
        del job["authorization"]
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
        self.log = (folder / "log").open("wb")
        self.process = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={folder}/prometheus.yml",
                f"--storage.tsdb.path={folder}/data",
                f"--web.listen-address=127.0.0.1:{self.port}",
            ],
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=self.log,
        )
        wait_for(self.answers, 30, "Prometheus")

    def answers(self):
        assert self.process.poll() is None, f"Prometheus ended: {self.log.name}"
        try:
            return self.ask("query", query="vector(1)")
        except OSError:
            return None

    def ask(self, what, **parameters):
        """Returns the data that the API answers."""
        url = f"http://127.0.0.1:{self.port}/api/v1/{what}?{urllib.parse.urlencode(parameters)}"
        answer = json.loads(get(url))
        assert answer["status"] == "success", answer
        return answer["data"]

    def query(self, expression):
        """Returns the samples that an expression has now: a list of (labels, value)."""
        result = self.ask("query", query=expression)["result"]
        return [(sample["metric"], float(sample["value"][1])) for sample in result]

    def fires(self, alert, seconds=40):
        """Waits until the expression of an alert has a result, whatever `for` says."""
        expression = alerts()[alert]["expr"]
        return wait_for(lambda: self.query(expression), seconds, f"that {alert} would fire")

    def is_silent(self, alert, seconds=40):
        """Waits until the expression of an alert has no result."""
        expression = alerts()[alert]["expr"]
        wait_for(lambda: not self.query(expression), seconds, f"that {alert} is silent")

    def close(self):
        self.process.terminate()
        self.process.wait()
        self.log.close()
