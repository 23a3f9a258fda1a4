"""One suite for every S3 server over the network: what holds at one holds at all, but that a server
without conditional writes lets two machines win, which is said beforehand."""

import hashlib
import itertools
import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import rfc8785
import servers
import vault_suite
from support import free_port

numbers = itertools.count(1)


@pytest.fixture(scope="module", params=servers.ALL, ids=lambda kind: kind.NAME)
def server(request):
    """Each server in its turn. One that does not start fails every test that asks for it."""
    server = request.param()
    yield server
    server.close()


@pytest.fixture
def bucket(server):
    """The name of an empty bucket."""
    name = f"bucket-{next(numbers)}"
    server.create(name)
    return name


@pytest.fixture
def s3(server, bucket):
    """The settings of a node whose vault is an empty bucket."""
    return server.settings(bucket)


def at_once(count, work):
    """Runs `work(0)`, `work(1)` and so on at the same time and returns what they return."""
    together = threading.Barrier(count)

    def run(i):
        together.wait()
        return work(i)

    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(run, range(count)))


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


def test_what_one_machine_stores_another_finds(node, s3, server, bucket):
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

    objects = server.objects(bucket)
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


def test_prefixes_keep_vaults_apart(node, s3, server, bucket):
    laptop = node("laptop", cloud_prefix="team/a", **s3)
    laptop.run("store", "x")
    laptop.run("sync")
    assert all(key.startswith("team/a/") for key in server.objects(bucket))
    other = node("desk", cloud_prefix="team/b", **s3)
    assert other.json("pull")["uploads_seen"] == 0


def test_a_second_machine_under_the_same_id_is_a_conflict(node, s3, server, bucket):
    first = node("laptop", folder="first", **s3)
    first.run("store", "--id", "a", "from the first")
    first.run("sync")
    before = server.objects(bucket)
    second = node("laptop", folder="second", **s3)
    second.run("store", "--id", "b", "from the second")
    refused = second.run("--json", "sync", code=4)
    assert "laptop" in refused.stdout + refused.stderr
    assert server.objects(bucket) == before
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


def test_a_wrong_bucket_is_named(node, s3, server):
    wrong = node(**{**s3, "cloud_bucket": "no-such-bucket", "enable_fallback": False})
    wrong.run("store", "x")
    if not server.BUCKETS:
        # It makes the bucket, so this is a bucket as good as any.
        assert wrong.json("sync")["success"] is True
        return
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


def test_secrets_stay_secret(node, s3, server):
    machine = node(**s3)
    machine.run("store", "x")
    seen = []
    for args in (["-vv", "sync"], ["--json", "status"], ["config", "show"], ["-vv", "pull"]):
        done = machine.run(*args)
        seen += [done.stdout, done.stderr]
    assert not any(server.SECRET in text for text in seen)


def test_a_wrong_secret_is_refused(node, s3, server, bucket):
    wrong = node(**{**s3, "cloud_secret_key": "not-the-secret", "enable_fallback": False})
    wrong.run("store", "x")
    if not server.SIGNATURES:
        # Nobody checks it here, so the request is as good as any.
        assert wrong.json("sync")["success"] is True
        return
    answer = json.loads(wrong.run("--json", "sync", code=1).stdout)
    assert answer["success"] is False, answer
    assert "not-the-secret" not in json.dumps(answer)
    assert server.keys(bucket) == []
    assert wrong.json("status")["lag"]["unsynced_memories"] == 1


def test_an_empty_machine_is_restored_as_it_was(node, s3, server):
    lost = node("laptop", folder="lost", **s3)
    fill(lost, 300)
    lost.run("store", "--id", "a", "first")
    lost.run("sync")
    lost.run("store", "--id", "a", "second")
    lost.run("forget", "fact-7")
    lost.run("sync")
    before = comparable(lost.export())

    again = node("laptop", folder="again", **s3)
    again.run("pull")
    assert comparable(again.export()) == before
    revisions = again.json("history", "a")["revisions"]
    assert [each["text"] for each in revisions] == ["first", "second"]
    again.run("store", "--id", "b", "on the new machine")
    again.run("sync", code=4)
    again.run("machines", "adopt")
    assert again.json("sync")["memories_uploaded"] == 1
    assert again.json("vault", "verify", "--deep")["success"] is True


def test_files_arrive_as_they_were(node, s3, server, bucket, tmp_path):
    content = b"".join(hashlib.sha256(bytes([i & 255, i >> 8])).digest() for i in range(65_000))
    path = tmp_path / "notes.db"
    path.write_bytes(content)
    laptop = node("laptop", files=[str(path)], chunk_size_mb=1, **s3)
    assert laptop.json("sync")["files_uploaded"] == ["notes.db"]
    whole = sum(len(body) for key, body in server.objects(bucket).items() if "/chunks/" in key)
    assert whole >= len(content)

    # A small change in the middle sends a small part again.
    changed = content[:1_000_000] + b"changed" + content[1_000_000:]
    path.write_bytes(changed)
    report = laptop.json("sync")
    assert report["files_uploaded"] == ["notes.db"]
    assert 0 < report["bytes_transferred"] < len(content) * 0.6, report
    assert report["bytes_deduplicated"] > 0, report
    assert laptop.json("sync")["files_uploaded"] == []

    desk = node("desk", **s3)
    fetched = ["files", "fetch", "notes.db", "--system", "laptop", "--to", str(tmp_path / "back")]
    desk.json(*fetched)
    assert (tmp_path / "back" / "notes.db").read_bytes() == changed
    assert laptop.json("vault", "verify", "--deep")["success"] is True


def test_an_encrypted_vault_tells_nothing_and_comes_back(node, s3, server, bucket, tmp_path):
    path = tmp_path / "diary.db"
    path.write_bytes(b"a plain sentence of the diary " * 4000)
    laptop = node("laptop", files=[str(path)], encryption="on", **s3)
    laptop.json("key", "create")
    laptop.run("store", "--id", "hidden-id", "a plain sentence of a memory")
    report = laptop.json("sync")
    assert report["success"] is True and report["files_uploaded"] == ["diary.db"], report
    told = b"".join([*server.objects(bucket).values(), *map(str.encode, server.keys(bucket))])
    for secret in (b"hidden-id", b"plain sentence", b"diary"):
        assert secret not in told

    keys = laptop.home / "keys.json"
    desk = node("desk", encryption="on", **s3)
    desk.run("key", "import", str(keys))
    assert desk.json("pull")["quarantined"] == []
    assert comparable(desk.export()) == comparable(laptop.export())
    desk.json("files", "fetch", "diary.db", "--system", "laptop", "--to", str(tmp_path / "back"))
    assert (tmp_path / "back" / "diary.db").read_bytes() == path.read_bytes()

    stranger = node("stranger", **s3)
    refused = stranger.json("pull", code=None)
    assert len(refused["quarantined"]) == 2, refused
    assert stranger.export() == {}


def test_more_uploads_than_a_page_lists_are_all_found(node, s3, server, bucket):
    laptop = node("laptop", **s3)
    laptop.run("store", "--id", "a", "text")
    laptop.run("sync")
    (manifest,) = manifests(server.objects(bucket)).values()
    more = 1050

    empty = {"parent": None, "segments": [], "conversation_count": 0, "total_size_bytes": 0}

    def plant(i):
        """Writes an upload of nothing under an id of its own, as another program would."""
        copy = {**manifest, **empty, "upload_id": f"20260101_000000_laptop_{i:06x}"}
        covered = {k: v for k, v in copy.items() if k not in ("checksum", "signature")}
        copy["checksum"] = hashlib.sha256(rfc8785.dumps(covered)).hexdigest()
        put = server.client().put_object
        folder = f"systems/laptop/uploads/{copy['upload_id']}"
        put(Bucket=bucket, Key=f"{folder}/manifest.json", Body=json.dumps(copy).encode())
        put(Bucket=bucket, Key=f"inbox/{copy['upload_id']}", Body=b"")

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(plant, range(more)))
    assert len(server.keys(bucket, "inbox/")) == more + 1
    pulled = node("desk", durability="process", **s3).json("pull", timeout=300)
    assert pulled["quarantined"] == []
    assert pulled["uploads_seen"] == pulled["uploads_merged"] == more + 1, pulled
    assert pulled["memories_added"] == 1


def test_machines_that_claim_one_id_at_once_have_one_winner_or_were_warned(
    node, s3, server, bucket
):
    count = 8
    machines = [node("laptop", folder=f"m{i}", **s3) for i in range(count)]
    for i, machine in enumerate(machines):
        machine.run("store", "--id", f"from-{i}", f"text of machine {i}")
    results = at_once(
        count, lambda i: machines[i].run("--json", "sync", code=None, timeout=120)
    )
    told = [(result.returncode, result.stdout[-400:], result.stderr[-400:]) for result in results]
    codes = [result.returncode for result in results]
    winners = {i for i, code in enumerate(codes) if code == 0}
    assert set(codes) <= {0, 4} and winners, told
    if server.CONDITIONAL:
        assert len(winners) == 1, told

    objects = server.objects(bucket)
    head = json.loads(objects["systems/laptop/head.json"])
    assert head["upload_id"] in {json.loads(results[i].stdout)["upload_id"] for i in winners}
    assert head["upload_id"] in manifests(objects)
    # A reader gets all that somebody was told is stored; what losers left behind is no news.
    reader = node("desk", **s3)
    assert reader.json("pull", code=None)["quarantined"] == []
    assert set(reader.export()) == {("laptop", f"from-{i}") for i in winners}
    for i, machine in enumerate(machines):
        status = machine.json("status")
        assert status["lag"]["unsynced_memories"] == (0 if i in winners else 1), i
        warned = any("conditional writes" in text for text in status["vault"]["warnings"])
        if i in winners:
            assert warned != server.CONDITIONAL, status["vault"]


def test_a_large_segment_goes_in_parts(node, s3):
    vault_suite.large_segment(node, s3)


def test_small_uploads_are_merged_and_what_is_lost_comes_back(node, s3, server, bucket):
    laptop = node("laptop", **s3)
    for i in range(4):
        laptop.run("store", "--id", f"m{i}", f"memory {i}")
        laptop.run("sync")
    collect = ("vault", "gc", "--merge-from", "4", "--grace-hours", "0")
    assert laptop.json(*collect)["uploads_merged"] == 4
    assert laptop.json(*collect)["removed"] == 4, "what the merged ones named"
    uploads = [key for key in server.keys(bucket) if key.endswith("/manifest.json")]
    assert len(uploads) == 1, uploads
    assert laptop.json("vault", "verify", "--deep")["success"] is True
    (segment,) = [key for key in server.keys(bucket) if key.endswith(".parquet")]
    server.client().delete_object(Bucket=bucket, Key=segment)
    assert laptop.json("vault", "verify", code=3)["success"] is False
    assert laptop.json("vault", "repair")["repaired"]["segments_restored"] == 1
    reader = node("desk", **s3)
    assert reader.json("pull")["quarantined"] == []
    assert comparable(reader.export()) == comparable(laptop.export())


def test_many_machines_at_once_lose_nothing(node, s3):
    count = 8
    machines = [node(f"m{i}", **s3) for i in range(count)]
    for machine in machines:
        machine.run("store", "--id", "a", f"from {machine.system_id}")
    reports = at_once(count, lambda i: machines[i].json("sync", timeout=120))
    assert all(report["success"] for report in reports), reports
    pulled = at_once(count, lambda i: machines[i].json("pull", timeout=120))
    assert all(report["quarantined"] == [] for report in pulled), pulled
    everything = {(machine.system_id, "a") for machine in machines}
    assert all(set(machine.export()) == everything for machine in machines)


def test_syncs_of_one_home_at_once_send_every_row_once(node, s3):
    machine = node(**s3)
    fill(machine, 200)
    reports = at_once(6, lambda _: machine.json("sync"))
    assert all(report["success"] for report in reports)
    assert sum(report["memories_uploaded"] for report in reports) == 200
    assert node("desk", **s3).json("pull")["memories_added"] == 200
