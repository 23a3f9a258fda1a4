"""Vaults in Google Cloud Storage, by its XML interface: see `gcs.py` for what stands behind it."""

import itertools
import json

import pytest

import vault_suite as suite
from gcs import Gcs

numbers = itertools.count(1)


@pytest.fixture
def google(moto):
    server = Gcs(moto)
    yield server
    server.close()


@pytest.fixture
def gs(google, moto):
    name = f"gcs-{next(numbers)}"
    moto.bucket(name)
    return google.settings(name)


def test_push_and_pull(node, gs):
    laptop, _ = suite.push_and_pull(node, gs)
    assert laptop.json("status")["vault"]["url"].startswith("gs://")


def test_files(node, gs, tmp_path):
    suite.files_there_and_back(node, gs, tmp_path)


def test_a_large_segment_goes_in_parts(node, gs, google):
    suite.large_segment(node, gs)
    assert any("partNumber=2" in path for _, path in google.requests)


def test_conflict(node, gs):
    suite.conflict(node, gs)


def test_of_many_at_once_one_wins(node, gs):
    suite.race(node, gs)


def test_a_wrong_bucket_is_named(node, google):
    suite.wrong_bucket_is_named(node, google.settings("no-such-bucket"), "no-such-bucket")


def test_a_token_is_sent_and_its_refusal_named(node, gs, google):
    google.token = "right"
    machine = node(enable_fallback=False, **gs)
    machine.run("store", "x")
    refused = machine.run("--json", "sync", code=1, env={"GOOGLE_BEARER_TOKEN": "wrong"})
    answer = json.loads(refused.stdout)
    assert "401 (InvalidToken)" in answer["error"] and "wrong" not in refused.stdout, answer
    sent = machine.json("sync", env={"GOOGLE_BEARER_TOKEN": "right"})
    assert sent["success"] is True


def test_hmac_keys_are_refused_with_where_they_work(node, gs):
    machine = node(cloud_access_key="GOOG1", cloud_secret_key="x", **gs)
    machine.run("store", "x")
    done = machine.run("--json", "sync", code=None)
    assert "GOOGLE_APPLICATION_CREDENTIALS" in done.stdout, done
