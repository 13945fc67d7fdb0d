"""What a comparison is asked to do, and what it will take."""

import re
from dataclasses import dataclass, field
from pathlib import Path

from loadtests.compare.cases import CASES, Case

PARTS = ("start", "load", "switch", "burst", "models")
_SLO = re.compile(r"(?:(?P<of>[\w./-]+):)?p(?P<percent>[\d.]+)=(?P<ms>[\d.]+)ms")


@dataclass(frozen=True)
class Slo:
    """So much of all requests must be answered within so many seconds."""

    quantile: float
    seconds: float

    def __str__(self) -> str:
        return f"p{self.quantile * 100:g} within {self.seconds * 1000:g} ms"


@dataclass(frozen=True)
class Prices:
    """Per hour, in dollars."""

    core: float = 0.04
    gib: float = 0.005


# What a caller of such a model would put up with; texts take two cores tens of milliseconds.
SLOS = {"": Slo(0.99, 0.05), "sentences": Slo(0.99, 0.5)}


@dataclass(frozen=True)
class Options:
    """`seconds` are of one step of load, without its warm-up."""

    sides: tuple[str, ...] = ("tandem", "kserve-tuned", "kserve")
    config: Path = Path("configs/bench.yaml")
    parts: tuple[str, ...] = PARTS
    cases: tuple[Case, ...] = tuple(CASES.values())
    rounds: int = 10
    kept: bool = False  # servers that are started here live through all rounds, side by side
    starts: int = 10
    seconds: float = 1.5
    warm_up: float = 0.5
    steps: int = 5
    counts: tuple[int, ...] = (1, 4, 16)
    spike: float = 8  # seconds of the burst
    calm: float = 3  # seconds before it; three times that after it
    arrivals: str = "poisson"
    slos: dict[str, Slo] = field(default_factory=lambda: dict(SLOS))
    prices: Prices = Prices()
    processes: int = 1
    switches: dict[str, str] = field(default_factory=dict)  # by side: the command that switches
    output: Path = Path("build/compare")

    def slo(self, case: str) -> Slo:
        """Of a case: its own, else its model's, else everyone's."""
        return self.slos.get(case) or self.slos.get(case.partition("/")[0]) or self.slos[""]

    @property
    def models(self) -> list[str]:
        """All that are asked."""
        return list(dict.fromkeys(model for case in self.cases for model in case.models))


def parse_slo(text: str) -> tuple[str, Slo]:
    """`p99=50ms`, or `sentences:p99=500ms` of one model or case; ValueError when it isn't one."""
    found = _SLO.fullmatch(text)
    if not found or not 0 < float(found["percent"]) < 100:
        raise ValueError(f"an SLO is p99=50ms, or sentences:p99=500ms, got '{text}'")
    return found["of"] or "", Slo(round(float(found["percent"]) / 100, 9), float(found["ms"]) / 1000)


def parse_prices(text: str) -> Prices:
    """`core=0.04,gib=0.005`, dollars per hour; ValueError when it isn't that."""
    try:
        return Prices(
            **{key: float(value) for key, _, value in (p.partition("=") for p in text.split(","))}
        )
    except (TypeError, ValueError):
        raise ValueError(f"prices are core=0.04,gib=0.005 in dollars per hour, got '{text}'") from None
