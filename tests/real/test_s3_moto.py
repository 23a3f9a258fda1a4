"""The loop against a real S3 server over the network: moto, which has atomic conditional writes."""

import json
import threading

from support import free_port


def comparable(export):
    """Returns an export without what differs by how a memory came in."""
    return {
        key: {name: value for name, value in row.items() if name != "ingestion_method"}
        for key, row in export.items()
    }


def fill(node, count, word="fact"):
    """Stores `count` memories in one import-sized batch over stdio."""
    with node.stdio() as server:
        memories = [{"memory_id": f"{word}-{i}", "text": f"{word} number {i}"} for i in range(count)]
        assert server.call("batch_store_memories", memories=memories)["stored"] == count


def manifests(objects):
    """Returns every manifest by its upload id."""
    return {
        key.split("/")[-2]: json.loads(body)
        for key, body in objects.items()
        if key.endswith("/manifest.json")
    }


def test_what_one_machine_stores_another_finds(node, s3, moto, bucket):
    laptop = node("laptop", **s3)
    fill(laptop, 500)
    laptop.run("store", "--id", "tea", "The kettle is descaled with vinegar.", "--tag", "home")
    laptop.run("store", "--id", "gone", "This one is forgotten.")
    laptop.run("forget", "gone")
    report = laptop.json("sync")
    assert report["success"] is True and report["method"] == "cloud", report
    assert report["memories_uploaded"] >= 501
    assert report["bytes_transferred"] > 0

    desk = node("desk", **s3)
    pulled = desk.json("pull")
    assert pulled["success"] is True and pulled["quarantined"] == []
    assert len(desk.export()) == 501
    assert comparable(desk.export()) == comparable(laptop.export())
    assert {row["ingestion_method"] for row in desk.export().values()} == {"cloud_pull"}
    found = desk.json("search", "how is the kettle descaled")
    assert found["results"][0]["memory_id"] == "tea"

    again = desk.json("pull")
    assert again["uploads_merged"] == 0 and again["memories_added"] == 0

    laptop.run("store", "--id", "tea", "The kettle is descaled with citric acid.")
    laptop.run("forget", "fact-3")
    second = laptop.json("sync")
    assert second["memories_uploaded"] == 2
    delta = desk.json("pull")
    assert delta["uploads_merged"] == 1 and delta["memories_updated"] >= 1
    assert comparable(desk.export()) == comparable(laptop.export())

    objects = moto.objects(bucket)
    head = json.loads(objects["systems/laptop/head.json"])
    assert head["upload_id"] == second["upload_id"]
    assert {key.split("/")[-1] for key in objects if key.startswith("inbox/")} == {
        report["upload_id"],
        second["upload_id"],
    }
    assert manifests(objects)[second["upload_id"]]["parent"] == report["upload_id"]


def test_both_machines_learn_from_each_other(node, s3):
    laptop, desk = node("laptop", **s3), node("desk", **s3)
    laptop.run("store", "--id", "a", "from the laptop")
    desk.run("store", "--id", "a", "from the desk")
    for machine in (laptop, desk):
        machine.run("sync")
    for machine in (laptop, desk):
        machine.run("pull")
    assert comparable(laptop.export()) == comparable(desk.export())
    assert set(laptop.export()) == {("laptop", "a"), ("desk", "a")}
    assert laptop.json("sync")["memories_uploaded"] == 0, "what was pulled is not pushed again"


def test_prefixes_keep_vaults_apart(node, s3, moto, bucket):
    laptop = node("laptop", cloud_prefix="team/a", **s3)
    laptop.run("store", "x")
    laptop.run("sync")
    assert all(key.startswith("team/a/") for key in moto.objects(bucket))
    other = node("desk", cloud_prefix="team/b", **s3)
    assert other.json("pull")["uploads_seen"] == 0


def test_a_second_machine_under_the_same_id_is_a_conflict(node, s3, moto, bucket):
    first = node("laptop", folder="first", **s3)
    first.run("store", "--id", "a", "from the first")
    first.run("sync")
    before = moto.objects(bucket)
    second = node("laptop", folder="second", **s3)
    second.run("store", "--id", "b", "from the second")
    refused = second.run("--json", "sync", code=4)
    assert "laptop" in refused.stdout + refused.stderr
    assert moto.objects(bucket) == before
    assert second.json("status")["lag"]["unsynced_memories"] == 1
    # The first one goes on undisturbed.
    first.run("store", "--id", "c", "more")
    assert first.json("sync")["memories_uploaded"] == 1


def test_adopting_the_id_settles_it(node, s3):
    first = node("laptop", folder="first", **s3)
    first.run("store", "--id", "a", "from the first")
    first.run("sync")
    second = node("laptop", folder="second", **s3)
    second.run("store", "--id", "b", "from the second")
    second.run("sync", code=4)
    second.run("machines", "adopt")
    assert second.json("sync")["success"] is True
    first.run("store", "--id", "c", "from the first again")
    first.run("sync", code=4)


def test_a_wrong_bucket_is_named(node, s3):
    wrong = node(**{**s3, "cloud_bucket": "no-such-bucket", "enable_fallback": False})
    wrong.run("store", "x")
    done = wrong.run("--json", "sync", code=1)
    answer = json.loads(done.stdout)
    assert answer["success"] is False and "no-such-bucket" in answer["error"], answer
    assert wrong.json("status")["lag"]["unsynced_memories"] == 1
    wrong.run("pull", code=1)


def test_a_wrong_port_is_named(node, s3):
    port = free_port()
    wrong = node(**{**s3, "cloud_endpoint": f"http://127.0.0.1:{port}"})
    wrong.run("store", "x")
    answer = json.loads(wrong.run("--json", "sync", code=1, timeout=20).stdout)
    assert answer["success"] is False
    assert [error["method"] for error in answer["errors"]] == ["cloud", "http"], answer
    assert str(port) in answer["errors"][0]["error"], answer
    assert wrong.json("status")["lag"]["unsynced_memories"] == 1


def test_secrets_stay_secret(node, s3, moto):
    machine = node(**s3)
    machine.run("store", "x")
    seen = []
    for args in (["-vv", "sync"], ["--json", "status"], ["config", "show"], ["-vv", "pull"]):
        done = machine.run(*args)
        seen += [done.stdout, done.stderr]
    assert not any(moto.SECRET in text for text in seen)


def test_eight_machines_that_claim_one_id_have_one_winner(node, s3, moto, bucket):
    machines = [node("laptop", folder=f"m{i}", **s3) for i in range(8)]
    for i, machine in enumerate(machines):
        machine.run("store", "--id", f"from-{i}", f"text of machine {i}")
    results = [None] * 8
    together = threading.Barrier(8)

    def push(i):
        together.wait()
        results[i] = machines[i].run("--json", "sync", code=None, timeout=120)

    threads = [threading.Thread(target=push, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    codes = [result.returncode for result in results]
    assert codes.count(0) == 1, [(r.returncode, r.stdout[-400:], r.stderr[-400:]) for r in results]
    assert codes.count(4) == 7, codes
    winner = codes.index(0)

    objects = moto.objects(bucket)
    head = json.loads(objects["systems/laptop/head.json"])
    assert head["upload_id"] == json.loads(results[winner].stdout)["upload_id"]
    assert head["upload_id"] in manifests(objects)
    # A reader gets what the winner pushed; what losers left behind is no news to anybody.
    reader = node("desk", **s3)
    report = reader.json("pull", code=None)
    assert report["quarantined"] == [], report
    assert set(reader.export()) == {("laptop", f"from-{winner}")}
    for i, machine in enumerate(machines):
        lag = machine.json("status")["lag"]["unsynced_memories"]
        assert lag == (0 if i == winner else 1), i


def test_syncs_of_one_home_at_once_send_every_row_once(node, s3):
    machine = node(**s3)
    fill(machine, 200)
    reports = []

    def push():
        reports.append(machine.json("sync"))

    threads = [threading.Thread(target=push) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(reports) == 6 and all(report["success"] for report in reports)
    assert sum(report["memories_uploaded"] for report in reports) == 200
    assert node("desk", **s3).json("pull")["memories_added"] == 200
