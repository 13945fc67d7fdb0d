"""`python -m loadtests.dead_sink`: what clients notice of payload loggers, and of one with a dead sink.

The same load on four servers that stay up, each in turn, in rounds: without a logger, with one that
writes files, with one that posts to where nobody listens, whose queue is full by the time that counts,
and another one without. In the end each event was sent or dropped, or waits: so many as there were
requests, twice.
"""

import argparse
import contextlib
import json
import re
import statistics
import tempfile
import time
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any

from loadtests.arrivals import constant
from loadtests.client.job import Job
from loadtests.client.run import run
from loadtests.compare.statistics import compared
from loadtests.graph.__main__ import V1, config
from loadtests.servers import Server

_FILES = {"name": "files", "batch": {"maxSeconds": 1}}
_DEAD = {"name": "dead", "url": "http://127.0.0.1:1/", "queue": {"maxEvents": 1000}}
_REPORTED_S, _LOOK_S = 60.0, 0.5  # at most, until Ray's page has what was counted last


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m loadtests.dead_sink", description=__doc__)
    parser.add_argument("--seconds", type=float, default=10, help="of one measurement")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--rate", type=float, default=400, help="requests/s; 0: as fast as they can")
    parser.add_argument("--clients", type=int, default=16, help="connections")
    parser.add_argument(
        "--sides", default="no logger,files,dead sink,no logger 2", help="some of them, with commas"
    )
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as up:
        sides = {
            "no logger": [],
            "files": [_FILES | {"url": f"file://{folder}/events"}],
            "dead sink": [_DEAD],
            # Two servers that do the same aren't equally fast: by how much that is, this one says.
            "no logger 2": [],
        }
        servers = {
            name: up.enter_context(Server("tandem", logged(sides[name]), ["identity"]))
            for name in given.sides.split(",")
        }
        found: dict[str, list[list[float]]] = {name: [] for name in servers}
        body = Path(folder) / "body"
        of = given.rate, given.clients
        asked = {name: len(load(server, body, *of, 3)) for name, server in servers.items()}
        began = time.monotonic()
        for number in range(given.rounds):
            for name, server in servers.items():
                taken = load(server, body, *of, given.seconds)
                asked[name] += len(taken)
                found[name].append(sorted(taken))
            p99s = ", ".join(
                f"{name} {percentile(each[-1], 99) * 1e3:.2f}" for name, each in found.items()
            )
            print(f"  {number + 1} of {given.rounds}: p99 in ms: {p99s}", flush=True)
        print(f"up and asked for {(time.monotonic() - began) / 60:.1f} min")
        counts = {
            name: events(server, 2 * asked[name]) for name, server in servers.items() if sides[name]
        }
    print(f"{'':12} {'requests/s':>12} {'p50 ms':>8} {'p99 ms':>8} {'of the rounds':>16}  events")
    for name, rounds in found.items():
        every = sorted(one for taken in rounds for one in taken)
        rate = len(every) / given.seconds / given.rounds
        each = [percentile(taken, 99) * 1e3 for taken in rounds]
        p50, p99 = percentile(every, 50) * 1e3, percentile(every, 99) * 1e3
        spread, said = f"{min(each):.2f} to {max(each):.2f}", "none"
        if name in counts:
            parts = ", ".join(f"{count} {what}" for what, count in counts[name].items())
            said = f"{parts}: {counts[name].total()} of {2 * asked[name]}"
        print(f"{name:12} {rate:12.0f} {p50:8.2f} {p99:8.2f} {spread:>16}  {said}")
    if given.rounds > 1:
        _beside({name: [percentile(one, 99) for one in rounds] for name, rounds in found.items()})


def _beside(figures: dict[str, list[float]]) -> None:
    """Each side's p99 beside the first one's, round by round."""
    first, *others = figures
    for name in others:
        ratio = compared(figures[name], figures[first]).ratio
        print(f"p99, {name} / {first}: {ratio.middle:.2f} ({ratio.low:.2f} to {ratio.high:.2f})")


def events(server: Server, wanted: int) -> Counter[str]:
    """How many were sent, were dropped, and wait, once Ray's page has all that are `wanted`."""
    log = (server.config.parent / "log").read_text(errors="replace")
    (address,) = re.findall(r"^  metrics for Prometheus  (\S+)$", log, re.MULTILINE)
    until, found = time.monotonic() + _REPORTED_S, Counter[str]()
    while found.total() != wanted and time.monotonic() < until:
        time.sleep(_LOOK_S)
        found = counted(urllib.request.urlopen(address, timeout=10).read().decode())
    return found


def counted(page: str) -> Counter[str]:
    """Events of all loggers by what became of them, in Prometheus's text."""
    rows = re.findall(
        r"^ray_payload_events_(sent|dropped|waiting)(?:_total)?\{.*\} (\S+)$", page, re.MULTILINE
    )
    found = Counter[str]()
    for what, count in rows:
        found[what] += round(float(count))
    return found


def logged(loggers: list[dict[str, Any]]) -> dict[str, Any]:
    """The echo's config, with loggers."""
    made = config()
    made["applications"][0]["deployments"][0]["user_config"]["payloads"] = loggers
    return made


def percentile(taken: list[float], at: int) -> float:
    """Of a sorted list."""
    return statistics.quantiles(taken, n=100, method="inclusive")[at - 1]


def load(server: Server, body: Path, rate: float, clients: int, seconds: float) -> list[float]:
    """Seconds that requests took: `rate` of them a second, or as many as so many clients can."""
    body.write_text(json.dumps(V1[1]))
    schedule = constant(rate, seconds).arrivals().tolist() if rate else []
    asked = V1[0].format("identity"), {"Content-Type": "application/json"}, str(body)
    # Each request is counted, so that there is no warm-up here.
    taken = run(Job(server.target, [asked], False, clients, seconds, 0.0, schedule))
    if taken.failed.any():
        raise SystemExit(f"requests failed: {taken.errors}")
    found: list[float] = taken.latencies.tolist()
    return found


if __name__ == "__main__":
    main()
