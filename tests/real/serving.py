"""A real `akosha serve` that tests ask things over HTTP."""

import json
import signal
import subprocess
import urllib.error
import urllib.request

from support import wait_for


class Serving:
    """A running server of a node, on a free port unless one is named."""

    def __init__(self, node, port=0, *args, env=None):
        self.node = node
        self.log = node.folder / "serve.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                node.command("serve", "--listen", f"127.0.0.1:{port}", *args),
                env=node.env(**(env or {})),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
            )
        self.url = wait_for(self._address, 30, "the server")
        self.port = int(self.url.rsplit(":", 1)[1])
        wait_for(lambda: self.status_of("/ready") == 200, 30, "that the server is ready")

    def _address(self):
        assert self.process.poll() is None, self.said()
        for line in self.said().splitlines():
            if "listening on " in line:
                return line.split("listening on ", 1)[1].split()[0]
        return None

    def said(self):
        """Returns what it wrote to standard error."""
        return self.log.read_text(errors="replace")

    def ask(self, path, body=None, token=None):
        """Returns status and answer of a request; a body is posted as JSON."""
        headers = {"Accept": "application/json, text/event-stream"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        request = urllib.request.Request(self.url + path, data=data, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def status_of(self, path, token=None):
        try:
            return self.ask(path, token=token)[0]
        except OSError:
            return None

    def json(self, path, body=None, token=None):
        """Returns the answer of a request that succeeds."""
        status, text = self.ask(path, body, token)
        assert status in (200, 202), f"{path}: {status} {text[:2000]}"
        return json.loads(text)

    def metric(self, series, token=None):
        """Returns the value of a series of `/metrics`, None where it is not there."""
        text = self.ask("/metrics", token=token)[1]
        values = [line.rsplit(" ", 1)[1] for line in text.splitlines() if line.rsplit(" ", 1)[0] == series]
        return float(values[0]) if values else None

    def stop(self, signal_number=signal.SIGTERM, code=0):
        """Ends it and checks how."""
        self.process.send_signal(signal_number)
        ended = self.process.wait(60)
        if code is not None:
            assert ended == code, f"ended with {ended}\n{self.said()}"

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
