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
from typing import Any

import numpy as np

from loadtests.rollouts import kayenta, series, tandem
from loadtests.rollouts.report import Row, table
from loadtests.rollouts.services import KINDS, Kind, Service, Traffic
from loadtests.rollouts.tuning import FAMILIES, chosen, ends, false_alarms

Each = Callable[..., Iterable[Any]]  # map, or a pool's
Part = tuple[Kind, Sequence[int], int]
_PART = 25  # rollouts that a process is given at a time


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m loadtests.rollouts", description=__doc__)
    parser.add_argument("--rollouts", type=int, default=1000, help="of each kind")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--output", type=Path, default=Path("build/rollouts.json"))
    given = parser.parse_args()
    began = time.monotonic()
    with ProcessPoolExecutor(given.processes) as pool:
        rows = compared(given.rollouts, given.seed, pool.map)
    print(table(rows))
    given.output.parent.mkdir(parents=True, exist_ok=True)
    said = {"rollouts": given.rollouts, "seed": given.seed, "rows": [row.plain for row in rows]}
    given.output.write_text(json.dumps(said, indent=1))
    print(f"\n{time.monotonic() - began:.0f} s; figures in {given.output}")


def compared(rollouts: int, seed: int, each: Each = map) -> list[Row]:
    """Tandem, then each of the others: as documented, and set to false alarms as rare as Tandem's."""
    found = {kind: tandem.ended(_flat(each(_tandem, _parts(kind, rollouts, seed)))) for kind in KINDS}
    rows = [Row("Tandem", "alpha 0.05, beta 0.05", found)]
    allowed = false_alarms(found)
    seen = {kind: _together(each(_others, _parts(kind, rollouts, seed))) for kind in KINDS}
    for family in FAMILIES:
        if rule := family.documented:
            rows.append(Row(f"{family.name}, as documented", str(rule), ends(rule, seen)))
        rule = chosen(family, seen, allowed)
        rows.append(Row(f"{family.name}, at its best", str(rule), ends(rule, seen)))
    return rows


def _tandem(part: Part) -> list[tuple[bool, float, int]]:
    return [tandem.run(one) for one in _traffic(*part)]


def _others(part: Part) -> tuple[series.Series, kayenta.Judged]:
    made = series.joined([series.measured(one) for one in _traffic(*part)])
    return made, kayenta.judged(made)


def _traffic(kind: Kind, numbers: Sequence[int], seed: int) -> list[Traffic]:
    made = []
    for number in numbers:
        random = np.random.default_rng([seed, KINDS.index(kind), number])
        made.append(Traffic(Service.drawn(random), kind, random))
    return made


def _parts(kind: Kind, count: int, seed: int) -> list[Part]:
    return [(kind, range(at, min(at + _PART, count)), seed) for at in range(0, count, _PART)]


def _flat(parts: Iterable[list[Any]]) -> list[Any]:
    return [one for part in parts for one in part]


def _together(parts: Iterable[Any]) -> tuple[series.Series, kayenta.Judged]:
    seen, judged = zip(*parts, strict=True)
    return series.joined(list(seen)), kayenta.joined(list(judged))


if __name__ == "__main__":
    main()
