"""1,000 models in one Router, 50 in memory, requests by Zipf's law: memory, latencies, loads.

python -m loadtests.many [--models 1000] [--most 50] [--minutes 5] [--rate 100]

A hit is a request to a model that was in memory when it was sent: each answer says when its model was
loaded. Beside it stands one model alone, on the same server, at the same rate: half a minute of all of
them follows a quarter of the one, again and again, and the ratio is the median of the rounds.
"""

import argparse
import contextlib
import json
import math
import signal
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import yaml

from loadtests.answers import get
from loadtests.arrivals import constant
from loadtests.bench.servers import CONFIG
from loadtests.client.job import Job, Outcome
from loadtests.client.run import run
from loadtests.many.model import loads, published
from loadtests.servers import Server

_DRAWN = 20_000  # requests, after which they begin anew
_LOOK_S = 5.0
_ROUND_S = 30.0
_SETTLES = 0.2  # of the time, in which memory may still rise
CONNECTIONS = 64


def config_of(folder: Path, names: list[str], most: int) -> dict[str, Any]:
    """A Serve config with all of them inside the Router."""
    config: dict[str, Any] = yaml.safe_load(CONFIG.read_text())
    router = config["applications"][0]
    user = router["deployments"][0]["user_config"]
    about = {"modelFormat": "python", "class": "loadtests.many.model:Stamped"}
    user["models"] = [{"name": name, "storageUri": str(folder / name), **about} for name in names]
    user["limits"] = {"maxLoadedModels": most}
    config["applications"] = [router]
    return config


def drawn(names: list[str], exponent: float) -> list[str]:
    """Names by Zipf's law, in the order of the requests."""
    odds = np.arange(1, len(names) + 1, dtype=float) ** -exponent
    chance = np.random.default_rng(7)
    return [names[at] for at in chance.choice(len(names), _DRAWN, p=odds / odds.sum())]


class Memory(threading.Thread):
    """Of the Router's process, in bytes, while it lasts: by the kernel's counters, since a walk over its
    pages (`smaps`) keeps the process waiting."""

    def __init__(self, server: Server) -> None:
        super().__init__(daemon=True)
        (self._process,) = [one for one in server.family() if "Router" in " ".join(one.cmdline()[:1])]
        self.seen: list[tuple[float, int]] = []
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.wait(_LOOK_S):
            now = self._process.memory_info()
            self.seen.append((time.monotonic(), now.rss - now.shared))

    def end(self) -> None:
        self._over.set()
        self.join()

    def flat(self) -> tuple[float, float]:
        """MiB in the middle of what was seen, and by how much that rose between its halves."""
        after = [used for _, used in self.seen[int(len(self.seen) * _SETTLES) :]]
        first, second = after[: len(after) // 2], after[len(after) // 2 :]
        return float(np.median(after)) / 2**20, float(np.median(second) / np.median(first)) - 1

    def tenths(self) -> list[int]:
        """MiB in the middle of each tenth of the time, from the first look on."""
        parts = np.array_split([used for _, used in self.seen], min(10, len(self.seen)) or 1)
        return [round(float(np.median(part)) / 2**20) for part in parts if len(part)]


ASKED = {"failed": 0, "memory rose by": 0.05, "p99 of hits, ratio": 1.1, "loads per cold model": 1}


def judged(found: Mapping[str, Any]) -> Iterator[str]:
    """A table of what is asked of many models, at most, and what was seen."""
    yield "\n| what | at most | seen | |\n|---|---|---|---|"
    for name, most in ASKED.items():
        seen = found[name]
        yield f"| {name} | {most:g} | {seen:.4g} | {'as asked' if seen <= most else 'not as asked'} |"


def asked(server: Server, folder: Path, models: list[str], rate: float, seconds: float) -> Any:
    """Outcome, when it began, and the models in the order of the requests."""
    body = folder / "body"
    tensors = [{"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [0.0] * 4}]
    body.write_bytes(orjson.dumps({"inputs": tensors}))
    kind = {"Content-Type": "application/json"}
    job = Job(
        server.target, [(f"/v2/models/{name}/infer", kind, str(body)) for name in models], False,
        CONNECTIONS, schedule=constant(rate, seconds).arrivals().tolist(), keep_every=1,
    )  # fmt: skip
    begins: list[float] = []
    return run(job, begun=begins.append), begins


class Found:
    """What came of one run after the other: hits apart from those that met a cold model, and by model
    when it was loaded, by its answers."""

    def __init__(self) -> None:
        self.hits, self.cold, self.late = list[float](), list[float](), list[float]()
        self._loads: dict[str, set[float]] = defaultdict(set)
        self._requests = self._failed = 0
        self._errors = Counter[str]()

    def add(self, outcome: Outcome, begin: float, models: list[str]) -> float:
        """Its p99 of hits, in milliseconds."""
        order = np.argsort(outcome.due, kind="stable")
        before = len(self.hits)
        for turn, answer in outcome.kept.items():
            at, name = order[turn], models[turn % len(models)]
            loaded = orjson.loads(answer)["outputs"][0]["data"][0]
            self._loads[name].add(loaded)
            hit = loaded <= outcome.sent[at] + begin
            (self.hits if hit else self.cold).append(outcome.latencies[at])
        self.late += outcome.late.tolist()
        self._requests += len(outcome.due)
        self._failed += int(outcome.failed.sum())
        self._errors.update(outcome.errors)
        return _percentile(self.hits[before:], 99)

    def cold_since(self, moment: float) -> set[tuple[str, float]]:
        """Each time that a model was loaded since then because it was asked for."""
        return {(name, at) for name, seen in self._loads.items() for at in seen if at >= moment}

    def figures(self) -> dict[str, Any]:
        """Of all of them. Times in milliseconds."""
        return {
            "requests": self._requests, "failed": self._failed, "errors": dict(self._errors),
            "hits": len(self.hits), "cold": len(self.cold), "asked for": len(self._loads),
            "p50 of hits": _percentile(self.hits, 50), "p99 of hits": _percentile(self.hits, 99),
            "p99 of cold ones": _percentile(self.cold, 99),
            "client late (p99)": _percentile(self.late, 99),
        }  # fmt: skip


def _percentile(seconds: list[float], share: float) -> float:
    return float(np.percentile(seconds, share)) * 1000 if seconds else 0.0


def compared(
    server: Server, folder: Path, models: list[str], given: argparse.Namespace
) -> dict[str, Any]:
    """One model alone and all of them, in turns: both meet the same other work on the machine. What
    there is until then, when it is ended before its end."""
    alone, many, ratios = Found(), Found(), list[float]()
    one = [models[0]]
    rounds = max(1, round(given.minutes * 60 / _ROUND_S))
    seconds = given.minutes * 60 / rounds
    before, since = loads(folder), time.monotonic()
    with contextlib.suppress(KeyboardInterrupt):
        for number in range(rounds):
            outcome, (begin,) = asked(server, folder, one, given.rate, min(seconds, _ROUND_S / 2))
            beside = alone.add(outcome, begin, one)
            first = int(number * seconds * given.rate) % len(models)
            these = models[first:] + models[:first]
            outcome, (begin,) = asked(server, folder, these, given.rate, seconds)
            p99 = many.add(outcome, begin, these)
            ratios.append(p99 / beside)
            said = f"{number + 1} of {rounds}: p99 of hits {p99:.2f} ms, of one alone {beside:.2f} ms"
            print(said, file=sys.stderr, flush=True)
    single, came = alone.figures(), loads(folder) - before
    cold = many.cold_since(since) | alone.cold_since(since)
    return {
        **many.figures(), "cold models": len(cold), "loads": came,
        "loads per cold model": came / len(cold) if cold else math.nan,
        "p50 of one alone": single["p50 of hits"],
        "p99 of one alone": single["p99 of hits"], "rounds": len(ratios),
        "p99 of hits, ratio": float(np.median(ratios)) if ratios else math.nan,
        "lowest ratio": min(ratios, default=math.nan), "highest ratio": max(ratios, default=math.nan),
    }  # fmt: skip


def main() -> None:
    """Measure, print what came out, and beside it what is asked."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("python -m loadtests.many", None, __doc__, formatter_class=form)
    parser.add_argument("--models", type=int, default=1000)
    parser.add_argument("--most", type=int, default=50, help="in memory")
    parser.add_argument("--minutes", type=float, default=5, help="30 before a release")
    parser.add_argument("--rate", type=float, default=100, help="requests per second")
    parser.add_argument("--exponent", type=float, default=1.2, help="of Zipf's law")
    parser.add_argument("--mebibytes", type=float, default=2, help="of weights in a model")
    parser.add_argument("--json", type=Path, help="where to put the figures")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # or the server goes on
    with tempfile.TemporaryDirectory(prefix="tandem-many-") as where:
        folder = Path(where)
        names = published(folder, given.models, given.mebibytes)
        models = drawn(names, given.exponent)
        with Server("tandem", config_of(folder, names, given.most), names[:1]) as server:
            # Each of them once: what is known of a model takes memory, whether it is loaded or not.
            asked(server, folder, names, 100, len(names) / 100)
            asked(server, folder, [names[0]], given.rate, 2)
            memory = Memory(server)
            memory.start()
            found = compared(server, folder, models, given)
            memory.end()
            said = [row for row in _index(server) if row["state"] == "READY"]
    used, rise = memory.flat()
    found |= {"loaded at the end": len(said), "MiB": used, "memory rose by": rise}
    found["MiB by tenths"] = memory.tenths()
    for name, value in found.items():
        print(f"{name:20} {value:.4g}" if isinstance(value, float) else f"{name:20} {value}")
    print("\n".join(judged(found)))
    if given.json:
        given.json.write_text(json.dumps(found, indent=1))


def _index(server: Server) -> Any:
    return get(server.target, "/v2/repository/index", b"{}")


if __name__ == "__main__":
    main()
