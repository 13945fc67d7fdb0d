"""Settings for the others: what their documentation shows, and the best ones at false alarms as rare."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Protocol

from loadtests.rollouts.kayenta import Judged, Kayenta
from loadtests.rollouts.series import LAST_WEEK, P95, P99, TODAY, Series
from loadtests.rollouts.services import BAD, BAD_SHARE, GOOD, KINDS, Ends, Kind
from loadtests.rollouts.thresholds import Argo, Flagger, Limits

MISSED = 0.05  # of bad versions; what is above that counts before bad answers do
_PARTS = (0.4, 0.5, 0.6, 0.75, 1.0, 1.5)
Runs = dict[Kind, tuple[Series, Judged]]
ByKind = dict[Kind, Ends]


class Rule(Protocol):
    """What decides, once it is set."""

    def run(self, seen: Any) -> Ends: ...


@dataclass(frozen=True)
class Family:
    """Rules of one kind, as their documentation sets them in its examples, and all settings."""

    name: str
    documented: Rule | None
    settings: tuple[Rule, ...]


def _thresholds(
    make: Any, counts: Sequence[int], known: int = TODAY, quantile: int = P99
) -> tuple[Rule, ...]:
    limits = [Limits(*said, known, quantile) for said in product((1, 2, 4), _PARTS, _PARTS)]
    return tuple(make(one, count) for one, count in product(limits, counts))


def _judges(quantile: int = P99) -> tuple[Rule, ...]:
    effects = (1.0, 1.05, 1.1, 1.2, 1.5, 2.0)
    return tuple(
        Kayenta(*one, quantile) for one in product((1, 2, 5), (0, 50, 75), (50, 75, 95), effects)
    )


_HALF = Limits(4, 0.5, 0.5)
_FAILED, _MORE = (1, 2, 3, 5, 10), (0, 1, 2, 3, 5)
FAMILIES = (
    Family("Flagger", Flagger(_HALF, 10), _thresholds(Flagger, _FAILED)),
    Family("Flagger, p95 for p99", None, _thresholds(Flagger, _FAILED, TODAY, P95)),
    Family("Flagger, last week's normal", None, _thresholds(Flagger, _FAILED, LAST_WEEK)),
    Family("Argo Rollouts", Argo(_HALF, 3), _thresholds(Argo, _MORE)),
    Family("Argo Rollouts, p95 for p99", None, _thresholds(Argo, _MORE, TODAY, P95)),
    Family("Argo Rollouts, last week's normal", None, _thresholds(Argo, _MORE, LAST_WEEK)),
    Family("Kayenta", Kayenta(1, 75, 95, 1.0), _judges()),
    Family("Kayenta, p95 for p99", None, _judges(P95)),
)


def ends(rule: Rule, runs: Runs, kinds: Sequence[Kind] = KINDS) -> ByKind:
    """How they end by that rule."""
    sees = isinstance(rule, Kayenta)
    return {kind: rule.run(runs[kind][sees]) for kind in kinds}


def chosen(family: Family, runs: Runs, allowed: float) -> Rule:
    """Of the settings that roll back no more good versions than `allowed`, the one that finds enough of
    each kind of bad ones with the fewest bad answers; where none does, the one that misses least. Chosen
    by the very rollouts that it is shown with: nobody could set it better.
    """
    kept = [rule for rule in family.settings if false_alarms(ends(rule, runs, GOOD)) <= allowed]
    return min(kept or family.settings, key=lambda rule: _cost(ends(rule, runs, BAD)))


def false_alarms(found: ByKind) -> float:
    """The share of good versions that were rolled back, of the kind in which it is larger."""
    return max(float(found[kind].back.mean()) for kind in GOOD)


def _cost(found: ByKind) -> tuple[float, float]:
    """What is missed of the worst kind, above what may be; bad answers, each kind by its own measure."""
    missed = max(float((~one.back).mean()) for one in found.values())
    bad = sum(one.bad_answers(kind) / BAD_SHARE[kind] for kind, one in found.items())
    return max(missed, MISSED), bad
