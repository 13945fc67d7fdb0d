"""A shadow that takes ten times as long and fails half of its requests, with copies of all of them: what
clients notice. Then one of whose answers 0.5 % differ, and whether it is found out.

Each round has three runs of the same open loop over HTTP, in an order that is drawn: two without a
shadow and one with it. The pairs without give the interval in which the ratio of two p99 lies when
nothing was changed; the runs with it have to lie there.

python -m loadtests.shadow [--pairs 20] [--rate 100] [--seconds 10] [--inline] [--compute]
"""

import argparse
import json
import random
import signal
import tempfile
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from loadtests.arrivals import constant
from loadtests.client.job import Job
from loadtests.client.run import run
from loadtests.client.target import Target
from loadtests.servers import Server
from loadtests.shadow.figures import TELLING, within
from loadtests.shadow.model import BAD, PLANTED
from loadtests.shadow.sides import NAME, change, config_of, quiet, ready, shadowed

BODIES = 400  # of which 2 are planted
CONNECTIONS = 32
_CHANGE_S, _START_S = 2, 40  # as seen, on two cores


def bodies(folder: Path) -> list[tuple[str, dict[str, str], str]]:
    """Requests with x from 0 on, in steps of 1 / BODIES, each with its id."""
    found = []
    for number in range(BODIES):
        path = folder / f"body-{number}"
        tensors = [{"name": "x", "datatype": "FP32", "shape": [1, 1], "data": [number / BODIES]}]
        path.write_bytes(orjson.dumps({"id": f"x-{number}", "inputs": tensors}))
        found.append((f"/v2/models/{NAME}/infer", {"Content-Type": "application/json"}, str(path)))
    return found


def minutes(given: argparse.Namespace) -> float:
    """That all of it takes: runs, a second to warm up and two to change, a start."""
    runs = 3 * given.pairs * (given.seconds + 1 + _CHANGE_S)
    return float(runs + given.planted / given.rate + _START_S) / 60


def measured(target: Target, requests: Any, rate: float, seconds: float) -> tuple[float, int]:
    """Milliseconds of the p99, and how many failed."""
    arrivals = constant(rate, seconds).arrivals().tolist()
    job = Job(target, requests, False, CONNECTIONS, schedule=arrivals, warm_up=1.0)
    outcome = run(job)
    if (late := float(np.percentile(outcome.late, 99)) * 1000) > 5:
        print(f"  the client itself was late by {late:.1f} ms (p99)", flush=True)
    answered = outcome.latencies[np.isfinite(outcome.latencies)]
    return float(np.percentile(answered, 99)) * 1000, int(outcome.failed.sum())


def compared(given: argparse.Namespace) -> dict[str, Any]:
    """All rounds, and the planted answers."""
    with tempfile.TemporaryDirectory(prefix="tandem-shadow-") as where:
        folder, numbers = Path(where), count(1)
        options = {"seconds": given.milliseconds / 1000, "compute": given.compute}

        def config(shadow: str) -> dict[str, Any]:
            return config_of(folder, options, given.inline, shadow, next(numbers))

        with Server("tandem", config(""), [NAME]) as server:
            target, requests = server.target, bodies(folder)
            ready(target)
            measured(target, requests, given.rate, 2)
            rounds, copies = [], []
            for number in range(given.pairs):
                found: dict[str, list[float]] = {"": [], BAD: []}
                order = ["", "", BAD]
                random.shuffle(order)
                for shadow in order:
                    change(server, config(shadow))
                    p99, failed = measured(target, requests, given.rate, given.seconds)
                    if failed:
                        raise SystemExit(f"{failed} requests of users failed")
                    found[shadow].append(p99)
                    if shadow:
                        copies.append(shadowed(target))
                rounds.append((*found[""], *found[BAD]))
                said = " | ".join(f"{one:.2f} ms" for one in rounds[-1])
                print(f"{number + 1} of {given.pairs}: {said}", flush=True)
            change(server, config(PLANTED))
            sent = int(given.planted)
            measured(target, requests, given.rate, sent / given.rate)
            return {"rounds": rounds, "copies": copies, "planted": quiet(target)}


def report(found: dict[str, Any]) -> int:
    """Print what was seen; 0 where all of it is as it should be, 2 where the runs can't tell."""
    rounds = found["rounds"]
    seen = within([one / two for one, two, _ in rounds], [three / one for one, _, three in rounds])
    print(f"p99 without a shadow: {np.median([r[:2] for r in rounds]):.2f} ms, with it: "
          f"{np.median([r[2] for r in rounds]):.2f} ms (medians)")  # fmt: skip
    print(f"interval of the ratios without: {seen.low:.2f} to {seen.high:.2f}; "
          f"with it inside: {seen.inside} of {len(rounds)}")  # fmt: skip
    mean, low, high = seen.shift
    print(f"a shadow multiplies the p99 by {mean:.3f} on the mean ({low:.3f} to {high:.3f})")
    for name in ("copied", "dropped"):
        print(f"{name}: {[one[name] for one in found['copies']]}")
    (pair,) = found["planted"]["pairs"]
    planted = {example["id"] for example in pair["examples"]}
    print(f"planted: {pair['differed']} of {pair['compared']} differ ({pair['share']:.2%}, "
          f"{pair['interval']['low']:.2%} to {pair['interval']['high']:.2%}), "
          f"dropped {found['planted']['dropped']}, examples {sorted(planted)}")  # fmt: skip
    right = pair["differed"] > 0 and planted <= {"x-0", "x-1"}
    if not right or seen.inside < len(rounds):
        return 1
    if not seen.telling:
        print(
            f"runs without a shadow differ too much to tell (beyond {1 / TELLING:.2f} to {TELLING}): "
            "a quieter machine, or longer runs"
        )
        return 2
    return 0


def main() -> None:
    """Measure and report; the status is 1 where it isn't as it should be, 2 where that can't be told."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("python -m loadtests.shadow", None, __doc__, formatter_class=form)
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--rate", type=float, default=100, help="requests per second")
    parser.add_argument("--seconds", type=float, default=10, help="of each run")
    parser.add_argument("--milliseconds", type=float, default=2, help="that the model takes")
    parser.add_argument("--planted", type=int, default=2000, help="requests, with version 3 as shadow")
    parser.add_argument("--inline", action="store_true", help="all versions in the Router's process")
    parser.add_argument("--compute", action="store_true", help="it computes, and doesn't just wait")
    parser.add_argument("--json", type=Path, help="where to put the figures")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # or the server goes on
    print(f"{given.pairs} rounds of three runs: about {minutes(given):.0f} minutes", flush=True)
    found = compared(given)
    if given.json:
        given.json.write_text(json.dumps(found, indent=1))
    raise SystemExit(report(found))


if __name__ == "__main__":
    main()
