"""Prints the figures of a server under load as rows of docs/benchmarks.md.

python3 tests/real/load --seconds 60

Build first: cargo build --release --package akosha. Needs Debian's package `wrk`.
"""

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.dont_write_bytecode = True

import load  # noqa: E402
from support import Node, Serve  # noqa: E402


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--homes", type=int, default=2)
    parser.add_argument("--connections", type=int, default=8, help="of each kind of request")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        vault = (folder / "vault").as_uri()
        (folder / "vault").mkdir()
        server = Node(folder / "server", "server", cloud_bucket=vault, poll_interval_seconds=1)
        homes = [
            Node(folder / f"laptop-{n}", f"laptop-{n}", cloud_bucket=vault)
            for n in range(options.homes)
        ]
        with Serve(server) as serve:
            figures = load.run(server, serve, homes, options.seconds, options.connections)
    for kind, what in (("search", "searches by words"), ("store", "`store_memory` over HTTP")):
        f = figures[kind]
        errors = sum(f[error] for error in load.ERRORS)
        print(
            f"| {what}, {options.connections} at once, for {f['seconds']:.0f} s "
            f"| {f['requests'] / f['seconds']:.0f}/s, p50 {f['p50_ms']:.1f} ms, "
            f"p99 {f['p99_ms']:.1f} ms, {errors} errors |  |  |"
        )
        if errors or f["complaint"]:
            print(f"errors: {({name: f[name] for name in load.ERRORS})} {f['complaint']}")
    pushed = sum(figures["pushed"].values())
    print(
        f"| ingested meanwhile, from {options.homes} homes "
        f"| {pushed} memories, the last {figures['behind_seconds']:.1f} s after the end |  |  |"
    )
    early, late = figures["memory_early"] / 1e6, figures["memory_late"] / 1e6
    print(f"| resident memory of the server, second and last quarter | {early:.0f} and {late:.0f} MB |  |  |")


main()
