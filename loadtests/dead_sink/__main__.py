"""`python -m loadtests.dead_sink`: what clients notice of payload loggers, and of one with a dead sink.

The same load on three servers: without a logger, with one that writes files, and with one that posts to
an address where nobody listens, whose queue is full by the time that counts. Each in turn, in rounds.
"""

import argparse
import http.client
import json
import statistics
import tempfile
import threading
import time
from typing import Any

from loadtests.graph.__main__ import V1, config
from loadtests.servers import Server

_FILES = {"name": "files", "batch": {"maxSeconds": 1}}
_DEAD = {"name": "dead", "url": "http://127.0.0.1:1/", "queue": {"maxEvents": 1000}}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m loadtests.dead_sink", description=__doc__)
    parser.add_argument("--seconds", type=float, default=10, help="of one measurement")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--clients", type=int, default=4)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        sides = {
            "no logger": [],
            "files": [_FILES | {"url": f"file://{folder}/events"}],
            "dead sink": [_DEAD],
        }
        found: dict[str, list[list[float]]] = {name: [] for name in sides}
        for _ in range(given.rounds):
            for name, loggers in sides.items():
                with Server("tandem", logged(loggers), ["identity"]) as server:
                    load(server.http_port, given.clients, 3)  # the dead one's queue is full
                    found[name].append(load(server.http_port, given.clients, given.seconds))
                p99 = percentile(sorted(found[name][-1]), 99) * 1e3
                print(f"  {name}: p99 {p99:.2f} ms", flush=True)
    print(f"{'':10} {'requests/s':>12} {'p50 ms':>8} {'p99 ms':>8} {'p99 of each round':>20}")
    for name, rounds in found.items():
        every = sorted(one for taken in rounds for one in taken)
        rate = len(every) / given.seconds / given.rounds
        each = " ".join(f"{percentile(sorted(taken), 99) * 1e3:.2f}" for taken in rounds)
        p50, p99 = percentile(every, 50) * 1e3, percentile(every, 99) * 1e3
        print(f"{name:10} {rate:12.0f} {p50:8.2f} {p99:8.2f} {each:>20}")


def logged(loggers: list[dict[str, Any]]) -> dict[str, Any]:
    """The echo's config, with loggers."""
    made = config()
    made["applications"][0]["deployments"][0]["user_config"]["payloads"] = loggers
    return made


def percentile(taken: list[float], at: int) -> float:
    """Of a sorted list."""
    return statistics.quantiles(taken, n=100, method="inclusive")[at - 1]


def load(port: int, clients: int, seconds: float) -> list[float]:
    """Seconds that requests took, of so many clients that send one after the other."""
    path, body = V1[0].format("identity"), json.dumps(V1[1])
    taken: list[list[float]] = [[] for _ in range(clients)]
    until = time.perf_counter() + seconds

    def one(own: list[float]) -> None:
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        while (began := time.perf_counter()) < until:
            client.request("POST", path, body)
            answer = client.getresponse()
            answer.read()
            if answer.status != 200:
                raise SystemExit(f"{path} answered {answer.status}")
            own.append(time.perf_counter() - began)
        client.close()

    threads = [threading.Thread(target=one, args=(own,)) for own in taken]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [one for own in taken for one in own]


if __name__ == "__main__":
    main()
