"""`python -m loadtests.rollouts`: how often rules deceive themselves, and what it costs until they
know.
"""

import argparse
import json
import os
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from loadtests.rollouts import tandem
from loadtests.rollouts.kayenta import Judged, judged
from loadtests.rollouts.report import Row, table
from loadtests.rollouts.series import Series, measured
from loadtests.rollouts.services import BAD, GOOD, End, Kind, Service, Traffic
from loadtests.rollouts.tuning import FAMILIES, Rule, Runs, chosen, ends

KINDS: tuple[Kind, ...] = (*GOOD, *BAD)
T = TypeVar("T")
Each = Callable[..., Iterable[Any]]  # map, or a pool's
_PART = 50  # rollouts that a process is given at a time


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m loadtests.rollouts", description=__doc__)
    parser.add_argument("--rollouts", type=int, default=1000, help="of each kind")
    parser.add_argument("--tuned-on", type=int, default=400, help="others, to tune the rules on")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--output", type=Path, default=Path("build/rollouts.json"))
    given = parser.parse_args()
    began = time.monotonic()
    with ProcessPoolExecutor(given.processes) as pool:
        rows = compared(given.rollouts, given.tuned_on, given.seed, pool.map)
    print(table(rows))
    given.output.parent.mkdir(parents=True, exist_ok=True)
    said = {"rollouts": given.rollouts, "seed": given.seed, "rows": [row.plain for row in rows]}
    given.output.write_text(json.dumps(said, indent=1))
    print(f"\n{time.monotonic() - began:.0f} s; figures in {given.output}")


def compared(rollouts: int, tuned_on: int, seed: int, each: Each = map) -> list[Row]:
    """Tandem, then each of the others: as documented, and tuned to false alarms as rare."""
    rows = [Row("Tandem", "alpha 0.05, beta 0.05", tandem_ends(rollouts, seed, each))]
    kept, practice = (
        others(count, first, each) for count, first in ((rollouts, seed), (tuned_on, seed + 1000))
    )
    for family in FAMILIES:
        rule: Rule = family.documented
        rows.append(Row(f"{family.name}, as documented", str(rule), ends(rule, kept)))
        rule = chosen(family, practice)
        rows.append(Row(f"{family.name}, tuned", str(rule), ends(rule, kept)))
    return rows


def tandem_ends(count: int, seed: int, each: Each = map) -> dict[Kind, list[End]]:
    """Of so many rollouts of each kind."""
    return {kind: _joined(each(_tandem, _parts(kind, count, seed))) for kind in KINDS}


def others(count: int, seed: int, each: Each = map) -> Runs:
    """What the others would see of as many of the same kinds."""
    return {kind: _joined(each(_others, _parts(kind, count, seed))) for kind in KINDS}


def _tandem(part: tuple[Kind, Sequence[int], int]) -> list[End]:
    return [tandem.run(one) for one in _traffic(*part)]


def _others(part: tuple[Kind, Sequence[int], int]) -> list[tuple[Series, Judged]]:
    made = []
    for one in _traffic(*part):
        series = measured(one)
        made.append((series, judged(series)))
    return made


def _traffic(kind: Kind, numbers: Sequence[int], seed: int) -> list[Traffic]:
    made = []
    for number in numbers:
        random = np.random.default_rng([seed, KINDS.index(kind), number])
        made.append(Traffic(Service.drawn(random), kind, random))
    return made


def _parts(kind: Kind, count: int, seed: int) -> list[tuple[Kind, Sequence[int], int]]:
    return [(kind, range(at, min(at + _PART, count)), seed) for at in range(0, count, _PART)]


def _joined(parts: Iterable[list[T]]) -> list[T]:
    return [one for part in parts for one in part]


if __name__ == "__main__":
    main()
