"""Google's XML interface before moto's S3: the two differ in conditions, generations and tokens.

No emulator of Google Cloud Storage that can be installed here speaks the XML interface with
preconditions: `gcp-storage-emulator` (PyPI) has no listing and no multipart there. Storage, listing,
multipart and atomicity are moto's; this translates `x-goog-if-generation-match` into S3's
conditions, answers with `x-goog-generation` and asks for a bearer token. Needs nothing beyond the
standard library.
"""

import http.client
import itertools
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote, unquote, urlsplit

HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "host", "date", "server"}


class Generations:
    """Which generation an object's state is: each write makes a new one."""

    def __init__(self):
        self.lock = threading.Lock()
        self.numbers = itertools.count(1_700_000_000_000_001)
        self.newest = {}

    def of(self, path, tag, written=False):
        """Returns the generation of the object's state."""
        with self.lock:
            known, number = self.newest.get(path, (None, None))
            if written or known != tag:
                number = next(self.numbers)
                self.newest[path] = (tag, number)
            return number

    def tag(self, path, generation):
        """Returns the ETag of a generation, one that matches nothing where it is not the newest."""
        with self.lock:
            tag, number = self.newest.get(path, (None, None))
            return tag if str(number) == generation else '"none"'


class Gcs:
    """A server of Google's interface on a free port of loopback."""

    def __init__(self, moto, token=None):
        self.moto = moto
        self.token = token
        self.requests = []
        self.generations = Generations()
        gcs = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def log_message(self, *_):
                pass

            def do(self):
                gcs.handle(self)

            do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = do

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def settings(self, bucket, prefix="all"):
        """Returns the settings of a node whose vault is the bucket."""
        return {
            "cloud_bucket": f"gs://{bucket}/{prefix}",
            "cloud_endpoint": f"http://127.0.0.1:{self.port}",
        }

    def handle(self, request):
        """Passes one request on and its answer back."""
        size = int(request.headers.get("Content-Length", 0))
        body = request.rfile.read(size) if size else None
        given = request.headers.get("Authorization", "")
        if not given.startswith("Bearer ") or (self.token and given != f"Bearer {self.token}"):
            return self.refuse(request, 401, "InvalidToken")
        url = urlsplit(request.path)
        self.requests.append((request.command, request.path))
        headers = {
            name: value
            for name, value in request.headers.items()
            if name.lower() not in HOP_BY_HOP
            and not name.lower().startswith(("authorization", "x-goog-", "if-"))
        }
        # By this moto finds the account of the bucket; it checks no signature.
        headers["Authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={self.moto.KEY}/20260101/us-east-1/s3/aws4_request, "
            "SignedHeaders=host, Signature=none"
        )
        match = request.headers.get("x-goog-if-generation-match")
        if match == "0":
            headers["If-None-Match"] = "*"
        elif match:
            headers["If-Match"] = self.generations.tag(url.path, match)
        connection = http.client.HTTPConnection("127.0.0.1", self.moto.port)
        try:
            # A hyphen in a bucket's name comes as `%2D`, which moto does not take for the same name.
            target = quote(unquote(url.path)) + (f"?{url.query}" if url.query else "")
            connection.request(request.command, target, body, headers)
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        if answer.status == 404 and match and match != "0":
            # S3 answers 404 where there is nothing to match, Google 412.
            return self.refuse(request, 412, "PreconditionFailed")
        tag = answer.getheader("ETag")
        extra = {}
        if tag and "partNumber" not in url.query:
            written = request.command == "PUT" or "uploadId" in url.query
            extra["x-goog-generation"] = str(self.generations.of(url.path, tag, written))
        self.answer(request, answer.status, dict(answer.getheaders()) | extra, content)

    def refuse(self, request, status, code):
        """Answers with an error as Google does."""
        body = f"<?xml version='1.0' encoding='UTF-8'?><Error><Code>{code}</Code></Error>".encode()
        self.answer(request, status, {"Content-Type": "application/xml"}, body)

    def answer(self, request, status, headers, content):
        """Sends an answer."""
        request.send_response(status)
        length = headers.get("Content-Length", headers.get("content-length"))
        for name, value in headers.items():
            if name.lower() not in HOP_BY_HOP:
                request.send_header(name, value)
        is_head = request.command == "HEAD"
        request.send_header("Content-Length", length if is_head and length else str(len(content)))
        request.end_headers()
        if not is_head:
            request.wfile.write(content)

    def close(self):
        """Ends the server."""
        self.server.shutdown()
        self.server.server_close()
