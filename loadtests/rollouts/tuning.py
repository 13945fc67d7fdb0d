"""Settings for the others: what their documentation shows, and what is best at false alarms as rare."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any, Protocol

import numpy as np

from loadtests.rollouts.kayenta import Judged, Kayenta
from loadtests.rollouts.series import Series
from loadtests.rollouts.services import BAD, BAD_SHARE, End, Kind
from loadtests.rollouts.thresholds import Argo, Flagger, Limits

ALLOWED = 0.05  # of good versions rolled back, and of bad ones promoted
_PARTS = (0.25, 0.4, 0.5, 0.6, 0.75, 1.0, 1.5, 2.0)
Runs = dict[Kind, list[tuple[Series, Judged]]]


class Rule(Protocol):
    """What decides, once it is set."""

    def run(self, seen: Any) -> End: ...


@dataclass(frozen=True)
class Family:
    """Rules of one kind. `sees`: which of the two that are measured."""

    name: str
    sees: int
    documented: Rule
    settings: tuple[Rule, ...]


def _thresholds(make: Any, most: range) -> Iterator[Rule]:
    for together, part, count in product((1, 2, 4), _PARTS, most):
        yield make(Limits(together, part), count)


FAMILIES = (
    Family("Flagger", 0, Flagger(Limits(4, 0.5), 10), tuple(_thresholds(Flagger, range(1, 11)))),
    Family("Argo Rollouts", 0, Argo(Limits(4, 0.5), 3), tuple(_thresholds(Argo, range(6)))),
    Family(
        "Kayenta", 1, Kayenta(1, 75, 95, 1.0),
        tuple(Kayenta(*one) for one in product((1, 2, 5), (0, 50, 75), (50, 75, 95), (1.0, 1.05, 1.1,
        1.2,
                                                                                    1.5, 2.0))),
    ),
)  # fmt: skip


def ends(rule: Rule, runs: Runs) -> dict[Kind, list[End]]:
    """How they end by that rule."""
    sees = next(family.sees for family in FAMILIES if isinstance(rule, type(family.documented)))
    return {kind: [rule.run(one[sees]) for one in several] for kind, several in runs.items()}


def chosen(family: Family, runs: Runs) -> Rule:
    """Of the settings that roll back good versions no more often than is allowed, the one that finds
    enough of each kind of bad ones with the fewest bad answers; where none does, the one that misses
    least.
    """
    good = {"same": runs["same"]}
    kept = [
        rule
        for rule in family.settings
        if np.mean([one.rolled_back for one in ends(rule, good)["same"]]) <= ALLOWED  # type: ignore[arg-type]
    ]
    return min(
        kept or family.settings,
        key=lambda rule: cost({kind: ends(rule, {kind: runs[kind]})[kind] for kind in BAD}),
    )


def cost(found: dict[Kind, list[End]]) -> tuple[float, float]:
    """How far the worst kind is from what is allowed to be missed; bad answers, each kind by its own
    measure.
    """
    missed = max(np.mean([not one.rolled_back for one in found[kind]]) for kind in BAD)
    return max(float(missed), ALLOWED), sum(
        bad_answers(kind, found[kind]) * 0.01 / BAD_SHARE[kind] for kind in BAD
    )


def bad_answers(kind: Kind, found: list[End]) -> float:
    """That users got from one rollout, on the mean."""
    return float(np.mean([one.requests for one in found])) * BAD_SHARE[kind]
