"""Where the credentials of a bucket come from, and what is said where there are none."""

import json
import time


def profile(machine, moto):
    """Writes AWS's two files into the home of a node's user."""
    folder = machine.folder / ".aws"
    folder.mkdir()
    (folder / "credentials").write_text(
        f"[work]\naws_access_key_id = {moto.KEY}\naws_secret_access_key = {moto.SECRET}\n"
    )
    (folder / "config").write_text(
        f"[profile work]\nregion = us-east-1\nendpoint_url = {moto.endpoint}\n"
        "[profile corp]\nsso_session = corp\nregion = us-east-1\n"
    )


def test_keys_and_endpoint_come_from_a_profile_of_aws(node, moto, bucket):
    machine = node(cloud_bucket=bucket, enable_fallback=False)
    profile(machine, moto)
    machine.run("store", "x")
    env = {"AWS_PROFILE": "work"}
    assert machine.json("sync", env=env)["success"] is True
    assert any(key.endswith("manifest.json") for key in moto.objects(bucket))
    checks = machine.json("doctor", env=env)["checks"]
    said = [check["message"] for check in checks if check["name"] == "credentials"]
    assert said == ["other S3: the AWS profile `work`"], checks

    machine.run("store", "y")
    done = machine.run("--json", "sync", code=None, env={"AWS_PROFILE": "corp"})
    assert done.returncode != 0, done
    assert "`sso_session`, which is not supported" in done.stdout, done
    assert "aws configure export-credentials --profile corp" in done.stdout, done


def test_missing_credentials_are_named_soon(node, moto, bucket):
    machine = node(
        cloud_bucket=bucket, cloud_endpoint=moto.endpoint, enable_fallback=False, max_retries=3
    )
    machine.run("store", "x")
    started = time.monotonic()
    answer = json.loads(machine.run("--json", "sync", code=1).stdout)
    # On a machine in a cloud its metadata service may refuse instead.
    assert "credentials were" in answer["error"], answer
    assert time.monotonic() - started < 5.0
