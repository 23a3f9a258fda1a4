"""Vaults in Azure Blob Storage: Azurite, Microsoft's own emulator, which checks signatures."""

import datetime
import itertools
import json

import pytest
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import BlobServiceClient, ContainerSasPermissions, generate_container_sas
from support import Azurite

import vault_suite as suite

numbers = itertools.count(1)


@pytest.fixture(scope="session")
def azurite():
    server = Azurite()
    yield server
    server.close()


@pytest.fixture
def service(azurite):
    """Microsoft's own client."""
    return BlobServiceClient(azurite.endpoint, credential=azurite.KEY)


@pytest.fixture
def container(service):
    name = f"container-{next(numbers)}"
    service.create_container(name)
    yield name
    service.delete_container(name)


@pytest.fixture
def az(azurite, container):
    return azurite.settings(container)


def test_push_and_pull(node, az, service, container):
    laptop, _ = suite.push_and_pull(node, az)
    assert laptop.json("status")["vault"]["url"] == f"az://{container}/all"
    # Microsoft's client sees what was written.
    names = [blob.name for blob in service.get_container_client(container).list_blobs()]
    assert "all/systems/laptop/head.json" in names
    assert all(name.startswith("all/") for name in names)


def test_files(node, az, tmp_path):
    suite.files_there_and_back(node, az, tmp_path)


def test_a_large_segment_goes_in_parts(node, az, service, container):
    suite.large_segment(node, az)
    client = service.get_container_client(container)
    large = max(client.list_blobs("all/systems/large/segments/"), key=lambda blob: blob.size)
    committed, _ = client.get_blob_client(large.name).get_block_list()
    assert len(committed) > 1, large


def test_conflict(node, az):
    suite.conflict(node, az)


def test_of_many_at_once_one_wins(node, az):
    suite.race(node, az)


def test_a_wrong_container_is_named(node, azurite, service):
    with pytest.raises(ResourceNotFoundError):
        service.get_container_client("missing").get_container_properties()
    suite.wrong_bucket_is_named(node, azurite.settings("missing"), "missing")


def test_a_wrong_key_is_named(node, az):
    az["cloud_secret_key"] = "d3Jvbmc="
    machine = node(enable_fallback=False, **az)
    machine.run("store", "x")
    done = machine.run("--json", "sync", code=1)
    answer = json.loads(done.stdout)
    assert "403" in answer["error"] and "cloud_secret_key" in answer["hint"], answer
    assert "d3Jvbmc=" not in done.stdout + done.stderr


def test_credentials_come_from_the_environment_or_a_signature(node, az, azurite, container):
    key = az.pop("cloud_secret_key")
    account = az.pop("cloud_access_key")
    env = {"AZURE_STORAGE_ACCOUNT_NAME": account, "AZURE_STORAGE_ACCOUNT_KEY": key}
    machine = node("by-key", **az)
    machine.run("store", "x")
    assert machine.json("sync", env=env)["success"] is True

    expiry = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)
    permission = ContainerSasPermissions(read=True, write=True, create=True, delete=True, list=True)
    signature = generate_container_sas(
        account, container, account_key=key, permission=permission, expiry=expiry
    )
    machine = node("by-signature", cloud_access_key=account, cloud_secret_key=signature, **az)
    machine.run("store", "y")
    assert machine.json("sync")["success"] is True
    assert machine.json("pull")["uploads_seen"] == 1
    machine = node("by-variable", **az)
    machine.run("store", "z")
    env = {"AZURE_STORAGE_ACCOUNT_NAME": account, "AZURE_STORAGE_SAS_TOKEN": signature}
    assert machine.json("sync", env=env)["success"] is True
