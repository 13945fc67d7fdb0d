"""A comparison's results without servers: requests of a random process, queues as they form."""

from typing import Any

import numpy as np

from loadtests.compare.arguments import QUICK
from loadtests.compare.parts.load import LEAST, MOST
from loadtests.compare.results import Results, Run

# Of logarithms: ratios differ by 0.1 to 0.25 from round to round in docs/comparison, here by 0.21.
MOOD = 0.15  # of all of a round, for both sides
NOISE = 0.15  # of each run
CASE = "identity/http"


def results(seed: int, slower: float, capacity: float = 600.0) -> Results:
    """Of `--quick`: its rounds, steps and seconds. The second side takes `slower` times as long."""
    chance = np.random.default_rng(seed)
    sides = {"ours": capacity, "theirs": capacity / slower}
    found = Results([*sides], _about())
    rates = np.geomspace(LEAST * min(sides.values()), MOST * max(sides.values()), QUICK["steps"]).round(
        1
    )
    for number in range(QUICK["rounds"]):
        mood = chance.lognormal(0, MOOD)
        for side, speed in sides.items():
            for rate in (0.0, *rates.tolist()):
                service = mood * chance.lognormal(0, NOISE) / speed
                found.runs.append(_run(chance, side, number, rate, service))
    return found


def _run(chance: np.random.Generator, side: str, number: int, rate: float, service: float) -> Run:
    """One server with a queue; requests take random times of the mean `service`. 0 is a closed loop."""
    seconds = QUICK["seconds"]
    count = int(chance.poisson(rate * seconds)) if rate else int(seconds / service)
    work = service * chance.gamma(4, 1 / 4, max(count, 1))
    done = np.cumsum(work)
    due = np.sort(chance.uniform(0, seconds, len(work))) if rate else np.concatenate([[0], done[:-1]])
    # Lindley: who comes waits for whoever is still there.
    starts = np.maximum.accumulate(due - (done - work)) + (done - work)
    micro = np.round(np.array([due, starts + work - due]) * 1e6).astype(int)
    return Run(
        part="load" if rate else "capacity", case=CASE, side=side, round=number, rate=rate,
        seconds=seconds, due_us=micro[0].tolist(), latency_us=micro[1].tolist(), late_us=[100] * 9,
        errors={}, checked=0, wrong=0, client_cpu=0.3, server_cpu=float(work.sum()),
        server_wall=seconds, memory=round(2**28 * chance.lognormal(0, 0.02)),
    )  # fmt: skip


def _about() -> dict[str, Any]:
    slos = {"": {"quantile": 0.99, "seconds": 0.05}}
    options = {"slos": slos, "calm": 1, "spike": 1, "prices": {"core": 0.04, "gib": 0.005}}
    return {"options": options, "machine": {"cores": 2}, "sides": []}
