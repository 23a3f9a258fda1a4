"""A team: machines with memories such as teams have, pushed to one vault. Always the same."""

import random
from datetime import datetime, timedelta, timezone

MACHINES = (
    "ada-mbp", "build-07", "ci-runner-2", "claire-x1", "dmitri-desktop", "frontend-imac",
    "grace-laptop", "infra-bastion", "jonas-t14", "kiosk-berlin", "lena-air", "mlops-a100",
    "noah-thinkpad", "ops-jump-1", "priya-mbp", "qa-lab-3", "research-gpu-1", "sam-xps",
    "tokyo-mini", "uma-framework", "viktor-nuc", "web-staging", "yara-surface", "zoe-mbp",
)

PROJECTS = {
    "payments": ["ledger", "invoice export", "refund worker", "webhook receiver", "currency table"],
    "search": ["indexer", "ranking", "query parser", "suggestions", "crawler"],
    "mobile": ["push notifications", "offline cache", "login screen", "deep links", "crash reporter"],
    "platform": ["staging cluster", "build cache", "secrets store", "log pipeline", "canary rollout"],
    "data": ["nightly import", "warehouse tables", "feature store", "consent filter", "dashboards"],
}

SHAPES = (
    ("decision", "We decided to keep the {thing} of {project} on {engine}: the move would cost two weeks and save nothing that users notice. Look at it again when writes pass {n} a second."),
    ("decision", "The {thing} retries {n} times with jitter and then parks the message; an operator releases it by hand. Endless retries hid a wrong credential for a week."),
    ("bug", "The {thing} of {project} lost events around midnight because {engine} sessions used local time. Fixed by storing UTC everywhere; the test `rolls_over_at_midnight` guards it."),
    ("bug", "Timeouts in the {thing} came from the pool of {n} connections to {engine}, not from the network. Raised to {m}, and the wait is now a metric."),
    ("howto", "To reproduce a failure of the {thing}, run `just {short}-replay --seed {n}` against staging; it takes about {m} seconds and needs the VPN."),
    ("howto", "Staging of {project} is reset every Monday at 06:00 UTC. Do not run migrations of the {thing} by hand before that."),
    ("preference", "In {project} we write migrations as two releases: first add the column, then use it. The {thing} broke when both went out at once."),
    ("preference", "Review the {thing} in small changes, at most {n} lines; the owner is the {project} channel, and Fridays are quiet."),
    ("session_summary", "Moved the {thing} to structured logs, removed {n} unused settings, and left the flag `{short}_v2` off until the load test of {engine} has run."),
    ("session_summary", "Traced slow answers of the {thing}: {n} ms in {engine}, the rest in JSON. A prepared statement brought the median to {m} ms."),
)

ENGINES = ("PostgreSQL", "SQLite", "Redis", "Kafka", "object storage")


def memories(machine, count):
    """Returns what a machine remembers, as `batch_store_memories` takes it."""
    rng = random.Random(f"team {machine}")
    now = datetime.now(timezone.utc)
    made = []
    for n in range(count):
        project = rng.choice(list(PROJECTS))
        thing = rng.choice(PROJECTS[project])
        kind, shape = rng.choice(SHAPES)
        text = shape.format(
            thing=thing, project=project, short=thing.split()[0], engine=rng.choice(ENGINES),
            n=rng.choice((3, 5, 12, 40, 80, 200)), m=rng.choice((4, 7, 15, 30, 90)),
        )
        at = now - timedelta(minutes=rng.randrange(5, 30 * 24 * 60))
        made.append({
            "memory_id": f"{machine}-{n:04}",
            "text": text,
            "metadata": {
                "type": kind, "project": project, "tags": [thing.split()[0], kind],
                "created_at": at.isoformat(timespec="seconds").replace("+00:00", "Z"),
            },
        })
    return made


def push(node, vault, machine, entries, uploads=1):
    """Stores entries on a machine and pushes them in so many uploads. Returns the machine."""
    made = node(machine, cloud_bucket=f"file://{vault}", enable_fallback=False)
    size = max(1, len(entries) // uploads)
    for start in range(0, len(entries), size):
        with made.stdio() as server:
            answer = server.call("batch_store_memories", memories=entries[start : start + size])
            assert answer["failed"] == 0, answer
        assert made.json("sync")["success"] is True
    return made


def poison(vault, system_id):
    """Damages the newest upload of a system, so that it fails its checks. Returns its id."""
    uploads = sorted((vault / "systems" / system_id / "uploads").iterdir())
    manifest = uploads[-1] / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"conversation_count":', '"conversation_count": 1'))
    return uploads[-1].name
