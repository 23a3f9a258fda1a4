"""A server under load for some seconds: every request is answered, nothing is lost, memory is flat."""

import load
from support import Serve

SECONDS = 10


def test_search_and_store_while_uploads_come_in(node, vault):
    settings = {"cloud_bucket": vault.as_uri()}
    server = node("server", poll_interval_seconds=1, **settings)
    homes = [node(f"laptop-{n}", **settings) for n in range(2)]
    with Serve(server) as serve:
        figures = load.run(server, serve, homes, SECONDS)
        assert serve.process.poll() is None
        # It ends in order and has lost nothing that it confirmed.
        assert serve.close() == 0
    for kind in ("search", "store"):
        counted = figures[kind]
        assert counted["complaint"] == ""
        assert {error: counted[error] for error in load.ERRORS} == dict.fromkeys(load.ERRORS, 0)
        assert counted["requests"] > 0
    # Requests at work when `wrk` ends are stored and not counted.
    stored = figures["stored"]
    assert figures["store"]["confirmed"] == figures["store"]["requests"]
    assert 0 <= stored["load"] - figures["store"]["confirmed"] <= 16
    for home, count in figures["pushed"].items():
        assert count > 0 and stored[home] == count
    assert figures["memory_late"] < figures["memory_early"] * 1.25 + 16e6, figures
