"""S3 servers, each in a process of its own. All have the same face to a test."""

import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

from support import REAL, ROOT, environment, free_port, wait_for


class Server:
    """A running server: `NAME`, its keys, and what it does with conditions and signatures."""

    BUCKET = "akosha-vault"
    KEY = "test-access-key"
    SECRET = "test-secret-key"
    REGION = "us-east-1"
    # Whether of several conditional writes at once exactly one is done.
    CONDITIONAL = True
    # Whether a request that is signed with another secret is refused.
    SIGNATURES = True
    # Whether a write into a bucket that does not exist is refused.
    BUCKETS = True

    endpoint: str
    process: subprocess.Popen

    def __init__(self):
        self.s3 = None

    def client(self):
        """Returns a client of boto3."""
        import boto3

        if self.s3 is None:
            self.s3 = boto3.client(
                "s3",
                endpoint_url=self.endpoint,
                region_name=self.REGION,
                aws_access_key_id=self.KEY,
                aws_secret_access_key=self.SECRET,
            )
        return self.s3

    def create(self, name):
        """Creates an empty bucket."""
        self.client().create_bucket(Bucket=name)

    def bucket(self, name=BUCKET):
        """Creates an empty bucket and returns the settings of a node that uses it."""
        self.create(name)
        return self.settings(name)

    def settings(self, name=BUCKET):
        """Returns the settings of a node whose vault is the bucket."""
        return {
            "cloud_bucket": name,
            "cloud_endpoint": self.endpoint,
            "cloud_region": self.REGION,
            "cloud_access_key": self.KEY,
            "cloud_secret_key": self.SECRET,
        }

    def keys(self, bucket=BUCKET, prefix=""):
        """Returns the key of every object of a bucket."""
        pages = self.client().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return [item["Key"] for page in pages for item in page.get("Contents", [])]

    def objects(self, bucket=BUCKET):
        """Returns every object of a bucket with its bytes."""
        read = self.client().get_object
        return {key: read(Bucket=bucket, Key=key)["Body"].read() for key in self.keys(bucket)}

    def answers(self, port):
        """Returns whether the server takes connections; raises where it has ended."""
        if self.process.poll() is not None:
            raise AssertionError(f"{self.NAME} ended with {self.process.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return True
        except OSError:
            return False

    def close(self):
        """Ends the server."""
        self.process.terminate()
        self.process.wait()


class Moto(Server):
    """moto: conditional writes are atomic, signatures are not looked at."""

    NAME = "moto"
    SIGNATURES = False

    def __init__(self):
        super().__init__()
        self.port = free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self.process = subprocess.Popen(
            [str(REAL / "venv/bin/moto_server"), "-H", "127.0.0.1", "-p", str(self.port)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_for(lambda: self.answers(self.port), 60, "moto")


class S3s(Server):
    """s3s-fs behind the example `s3_server`: signatures and digests are checked, and conditional
    writes are let through one by one."""

    NAME = "s3s-fs"
    KEY = "AKIAIOSFODNN7EXAMPLE"
    SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
    BUCKETS = False

    def __init__(self):
        super().__init__()
        target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
        self.process = subprocess.Popen(
            [str(target / "debug/examples/s3_server")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.endpoint, _, folder = self.process.stdout.readline().strip().partition(" ")
        self.root = Path(folder).parent

    def create(self, name):
        (self.root / name).mkdir()

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


class Garage(Server):
    """Garage with one node: a distributed store, which has no conditional writes."""

    NAME = "Garage"
    KEY = "GK" + "1f" * 12
    SECRET = "2e" * 32
    REGION = "garage"
    CONDITIONAL = False

    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="garage-"))
        s3, rpc = free_port(), free_port()
        config = self.folder / "garage.toml"
        config.write_text(
            f'''
metadata_dir = "{self.folder}/meta"
data_dir = "{self.folder}/data"
db_engine = "sqlite"
replication_factor = 1
rpc_bind_addr = "127.0.0.1:{rpc}"
rpc_public_addr = "127.0.0.1:{rpc}"
rpc_secret = "{"3d" * 32}"

[s3_api]
api_bind_addr = "127.0.0.1:{s3}"
s3_region = "{self.REGION}"
'''
        )
        config.chmod(0o600)
        self.endpoint = f"http://127.0.0.1:{s3}"
        keys = {"GARAGE_DEFAULT_ACCESS_KEY": self.KEY, "GARAGE_DEFAULT_SECRET_KEY": self.SECRET}
        with (self.folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [
                    str(REAL / "garage/bin/garage"),
                    *("--config", str(config), "server", "--single-node", "--default-access-key"),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment(self.folder, **keys),
            )
        wait_for(lambda: self.answers(s3), 60, "Garage")

    def close(self):
        # Asked to stop, it takes ten seconds.
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder)


ALL = (S3s, Moto, Garage)
