"""Another program reads an encrypted vault: by the page that describes it, and with libsodium."""

import hashlib
import io
import json
import re

import pyarrow.parquet as pq
import pytest
from nacl.exceptions import CryptoError
from nacl.signing import VerifyKey
from support import ROOT, folder_objects, vector


@pytest.fixture(scope="module")
def documented():
    """Returns what the Python in `docs/vault-format.md` defines: `derive` and `unseal`."""
    page = (ROOT / "docs" / "vault-format.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    defined = {}
    exec(next(block for block in blocks if "def unseal" in block), defined)
    return defined


@pytest.fixture
def laptop(node, vault):
    """Returns a node that encrypts, and its master key."""
    laptop = node("laptop", cloud_bucket=vault.as_uri(), encryption="on")
    laptop.json("key", "create")
    keys = json.loads((laptop.home / "keys.json").read_text())
    return laptop, bytes.fromhex(keys["keys"][0]["key"])


def manifest_of(vault):
    """Returns the only manifest of a vault."""
    found = [data for key, data in folder_objects(vault).items() if key.endswith("manifest.json")]
    assert len(found) == 1
    return json.loads(found[0])


def test_the_documented_python_opens_the_documented_object(documented):
    page = (ROOT / "docs" / "vault-format.md").read_text()
    blocks = re.findall(r"```\n([0-9a-f\n]+)```", page)
    sealed = bytes.fromhex(next(block for block in blocks if block.startswith("616b6f7368613100")))
    opened = documented["unseal"](bytes(range(32)), b"segment", "laptop", sealed)
    assert opened == b"what to remember"


def test_a_segment_opens_and_is_parquet(documented, laptop, vault):
    laptop, master = laptop
    numbers = vector(7)
    with laptop.stdio() as mcp:
        mcp.call("store_memory", memory_id="first", text="naïve café, 日本語", embedding=numbers)
        mcp.call("store_memory", memory_id="second", text="the other one")
    laptop.json("sync")
    manifest = manifest_of(vault)
    assert manifest["encryption"] == {
        "format": "akosha-1",
        "cipher": "xchacha20-poly1305",
        "key_id": documented["derive"](master, b"akosha-1 key id", 8).hex(),
    }
    (entry,) = manifest["segments"]
    sealed = (vault / entry["path"]).read_bytes()
    assert hashlib.sha256(sealed).hexdigest() == entry["sha256"]
    assert len(sealed) == entry["size_bytes"]
    opened = documented["unseal"](master, b"segment", "laptop", sealed)
    assert len(opened) == len(sealed) - 56
    table = pq.read_table(io.BytesIO(opened)).sort_by("seq")
    assert table["memory_id"].to_pylist() == ["first", "second"]
    assert table["text"].to_pylist() == ["naïve café, 日本語", "the other one"]
    found = table["embedding"].to_pylist()[0]
    assert found == pytest.approx(numbers, abs=1e-6)
    for kind, system in [(b"chunk", "laptop"), (b"segment", "desktop")]:
        with pytest.raises(CryptoError):
            documented["unseal"](master, kind, system, sealed)


def test_the_manifest_is_signed_by_the_key_that_is_shown(documented, laptop, vault):
    laptop, master = laptop
    laptop.json("store", "something")
    laptop.json("sync")
    manifest = manifest_of(vault)
    scheme, public_key, signature = manifest["signature"].split(":")
    assert scheme == "ed25519"
    assert public_key == laptop.json("key", "show")["keys"][0]["public_key"]
    message = b"akosha-manifest-v1\n" + manifest["checksum"].encode()
    VerifyKey(bytes.fromhex(public_key)).verify(message, bytes.fromhex(signature))
    from nacl.signing import SigningKey

    seed = documented["derive"](master, b"akosha-1 signing seed")
    assert bytes(SigningKey(seed).verify_key).hex() == public_key
