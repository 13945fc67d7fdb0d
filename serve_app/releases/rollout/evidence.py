"""What Routers count of two versions of a model: small, and added up by whoever hears of it. Pure."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

# A bucket of the latency's histogram is 2.2 % wide: 32 to each doubling, number 0 begins at 1 s.
PER_DOUBLING = 32
_SHORTEST_S = 1e-6


def bucket(seconds: float) -> int:
    """Which bucket it falls in: that of which the lower edge is `edge(bucket)`."""
    return math.floor(math.log2(max(seconds, _SHORTEST_S)) * PER_DOUBLING)


def edge(bucket: int) -> float:
    """The lower edge of a bucket, in seconds."""
    return float(2.0 ** (bucket / PER_DOUBLING))


@dataclass(frozen=True, slots=True)
class Counts:
    """Of one version, in some time.

    `errors` of `requests` failed by the server's fault; `latency` has the others by bucket.
    `differed` of `compared` answers were others than the other version's. `sums`: how much further
    measures grew, by the names of `config.expressions.MEASURES`.
    """

    requests: int = 0
    errors: int = 0
    latency: Mapping[int, int] = field(default_factory=dict)
    compared: int = 0
    differed: int = 0
    sums: Mapping[str, float] = field(default_factory=dict)

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.requests + other.requests,
            self.errors + other.errors,
            _sum(self.latency, other.latency),
            self.compared + other.compared,
            self.differed + other.differed,
            _sum(self.sums, other.sums),
        )

    @property
    def measures(self) -> dict[str, float]:
        """By the names that an expression may use."""
        return {
            **self.sums, "request_count": self.requests, "request_errors": self.errors,
            "compared": self.compared, "differed": self.differed,
        }  # fmt: skip

    @property
    def plain(self) -> dict[str, Any]:
        """As JSON has it, without what is nothing."""
        names = ("requests", "errors", "compared", "differed")
        said: dict[str, Any] = {name: count for name in names if (count := getattr(self, name))}
        if self.latency:
            said["latency"] = {str(at): count for at, count in sorted(self.latency.items())}
        return {**said, "sums": dict(self.sums)} if self.sums else said

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> "Counts":
        """The same back."""
        latency = {int(at): count for at, count in plain.get("latency", {}).items()}
        return cls(**{**plain, "latency": latency})


def _sum(one: Mapping[Any, Any], other: Mapping[Any, Any]) -> Mapping[Any, Any]:
    if not one or not other:
        return one or other
    made = dict(one)
    for key, count in other.items():
        made[key] = made.get(key, 0) + count
    return made


@dataclass(frozen=True, slots=True)
class Evidence:
    """Of both versions, since the look before.

    `looks`: what a metric's query gave for the new version and for the other, by the metric's name.
    """

    canary: Counts = field(default_factory=Counts)
    baseline: Counts = field(default_factory=Counts)
    looks: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def __add__(self, other: "Evidence") -> "Evidence":
        looks = {**self.looks, **other.looks}
        return Evidence(self.canary + other.canary, self.baseline + other.baseline, looks)

    @property
    def plain(self) -> dict[str, Any]:
        """As JSON has it."""
        looks = {name: list(pair) for name, pair in self.looks.items()}
        return {"canary": self.canary.plain, "baseline": self.baseline.plain, "looks": looks}

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> "Evidence":
        """The same back."""
        looks = {name: (canary, base) for name, (canary, base) in plain.get("looks", {}).items()}
        return cls(Counts.of(plain["canary"]), Counts.of(plain["baseline"]), looks)


class Recorder:
    """Counts one version on an event loop: some additions for each request, and one dict when asked."""

    __slots__ = ("compared", "differed", "errors", "latency", "requests", "sums")

    def __init__(self) -> None:
        self.requests = self.errors = self.compared = self.differed = 0
        self.latency: Counter[int] = Counter()
        self.sums: Counter[str] = Counter()

    def finished(self, seconds: float | None, failed: bool) -> None:
        """A request is over. What failed has no latency: failing early isn't being fast."""
        self.requests += 1
        if failed:
            self.errors += 1
        elif seconds is not None:
            self.latency[bucket(seconds)] += 1

    def compares(self, differs: bool) -> None:
        """An answer was compared with the other version's."""
        self.compared += 1
        self.differed += differs

    def grew(self, name: str, by: float) -> None:
        """One of the further measures."""
        self.sums[name] += by  # type: ignore[assignment]  # typed for whole numbers

    def take(self) -> Counts:
        """What was counted since the last time."""
        made = Counts(
            self.requests, self.errors, dict(self.latency), self.compared, self.differed, dict(self.sums)
        )
        Recorder.__init__(self)
        return made


def over(latency: Mapping[int, int], edge: int) -> int:
    """How many were at least as long as the lower edge of that bucket."""
    return sum([count for at, count in latency.items() if at >= edge])  # twice as fast as one by one


def quantile(latency: Mapping[int, int], share: float) -> int | None:
    """The lowest bucket from which on at most `1 - share` of them lie; None without any."""
    most = sum(latency.values()) * (1 - share)
    left, lowest = 0, None
    for at in sorted(latency, reverse=True):
        left += latency[at]
        if left > most:
            return at + 1 if lowest is None else lowest
        lowest = at
    return lowest


def merged(several: Iterable[Evidence]) -> Evidence:
    """Of all Routers together."""
    return sum(several, Evidence())
