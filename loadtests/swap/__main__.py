"""Versions that take each other's place under load: what clients notice.

A quiet run and one with swaps, of the same length, on each side; half of the requests over HTTP and half
over gRPC, open loop, from two client processes. `tandem` is told of a version by a deploy, `tandem-load`
by the repository API, as the peers are.

python -m loadtests.swap [--sides tandem,tandem-load,kserve,mlserver] [--rate 1000] [--swaps 20]
"""

import argparse
import json
import signal
import tempfile
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from loadtests.servers import Server
from loadtests.swap.load import Seen, Swap, measured
from loadtests.swap.model import publish
from loadtests.swap.sides import NAME, SIDES, config_of, triggers

HEAD = (
    "| server | requests | swaps | failed | old after the acknowledgement | p95, quiet | p95 | "
    "above the quiet run | longest | a swap took |\n|---|---|---|---|---|---|---|---|---|---|"
)
ABOVE_MS = 10.0  # that the 95th percentile may be above the quiet run's


def rows(side: str, quiet: Seen, swapping: Seen) -> Iterator[str]:
    """A line of the table, and what went wrong."""
    p95 = quiet.percentile(95), swapping.percentile(95)
    yield (
        f"| {side} | {len(swapping.sent)} | {len(swapping.swaps)} | {swapping.failed} | "
        f"{swapping.old_answers()} | {p95[0]:.1f} ms | {p95[1]:.1f} ms | {p95[1] - p95[0]:+.1f} ms | "
        f"{swapping.percentile(100):.0f} ms | {swapping.took():.2f} s |"
    )
    if missed := misses(quiet, swapping):
        yield f"  {side}: not as asked: {', '.join(missed)}"
    for name, seen in (("quiet", quiet), ("swapping", swapping)):
        if seen.late > 5:
            yield f"  {side}, {name}: the client itself was late by {seen.late:.1f} ms (p99)"
        for text, times in sorted(seen.errors.items(), key=lambda one: -one[1])[:5]:
            yield f"  {side}, {name}: {times} x {text[:200]}"


def misses(quiet: Seen, swapping: Seen) -> list[str]:
    """What is asked of swaps, and isn't so: nothing lost, nothing old, next to nothing later."""
    above = swapping.percentile(95) - quiet.percentile(95)
    found = [f"{swapping.failed} failed"] if swapping.failed else []
    if old := swapping.old_answers():
        found.append(f"{old} old answers")
    if not above <= ABOVE_MS:
        found.append(f"p95 {above:.1f} ms above the quiet run's, at most {ABOVE_MS:g} were asked")
    return found


def compared(side: str, given: argparse.Namespace) -> tuple[Seen, Seen]:
    """The quiet run and the other."""
    with tempfile.TemporaryDirectory(prefix="tandem-swap-") as where:
        folder, numbers = Path(where) / NAME, count(1)

        def published() -> int:
            number = next(numbers)
            publish(folder, number, given.mebibytes)
            return number

        config = config_of(folder, given.replicas, side, published())
        with Server(side, config, [NAME], kind=side, command=SIDES[side]) as server:
            trigger = triggers(side, folder, given.replicas)

            trigger(server, published())  # once before it counts
            measured(server.target, given.rate, 5, None, 0)
            quiet = measured(server.target, given.rate, given.seconds, None, 0)
            time.sleep(2)
            swap = Swap(published, lambda number: trigger(server, number))
            swapping = measured(server.target, given.rate, given.seconds, swap, given.swaps)
    return quiet, swapping


def main() -> None:
    """Measure, and print the table."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("python -m loadtests.swap", None, __doc__, formatter_class=form)
    parser.add_argument("--sides", default="tandem", help=", ".join(SIDES))
    parser.add_argument("--rate", type=float, default=1000, help="requests per second, of both together")
    parser.add_argument("--swaps", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=60, help="of each run")
    parser.add_argument("--replicas", type=int, default=0, help="of the model's own; 0: in the Router")
    parser.add_argument("--mebibytes", type=int, default=32, help="of weights in a version")
    parser.add_argument("--json", type=Path, help="where to put the figures")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # or the server of the moment goes on
    sides = given.sides.split(",")
    if unknown := [side for side in sides if side not in SIDES]:
        raise SystemExit(f"no server {unknown[0]}; there are {', '.join(SIDES)}")
    print(f"{given.rate:g} requests/s, {given.mebibytes} MiB a version\n{HEAD}", flush=True)
    figures = {}
    for side in sides:
        quiet, swapping = compared(side, given)
        print("\n".join(rows(side, quiet, swapping)), flush=True)
        figures[side] = {
            "failed": swapping.failed, "old": swapping.old_answers(), "swaps": len(swapping.swaps),
            "p95": [quiet.percentile(95), swapping.percentile(95)], "took": swapping.took(),
            "requests": len(swapping.sent), "longest": swapping.percentile(100),
            "late": [quiet.late, swapping.late], "misses": misses(quiet, swapping),
        }  # fmt: skip
    if given.json:
        given.json.write_text(json.dumps({"rate": given.rate, "sides": figures}, indent=1))


if __name__ == "__main__":
    main()
