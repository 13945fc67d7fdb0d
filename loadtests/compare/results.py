"""What was measured: raw samples, as JSON. Every figure of a report is computed from this alone."""

import lzma
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
import orjson

FORMAT = 1
_US = 1e6


@dataclass
class Run:
    """One stretch of load on one side.

    Lists have one entry per request that was due after the warm-up, whole microseconds: `due_us`
    from the warm-up's end, `latency_us` from due to answered, -1 where it failed. `late_us`: how late
    this client noticed arrivals, its warm-up included. `rate` is per second, as offered; 0 is a
    closed loop.
    """

    part: str
    case: str
    side: str
    round: int
    rate: float
    seconds: float
    due_us: list[int]
    latency_us: list[int]
    late_us: list[int]
    errors: dict[str, int]
    checked: int  # answers that were compared with the known ones
    wrong: int  # of these, other ones
    client_cpu: float  # cores of one client process, mean
    server_cpu: float | None = None  # CPU seconds, warm-up included; None of a server we don't see
    server_wall: float = 0  # seconds in which they were used
    memory: int | None = None  # bytes
    others_cpu: float = 0  # cores that other sides' servers took meanwhile, which were up as well
    count: int = 1  # models in the server
    versions: list[tuple[int, str]] = field(default_factory=list)  # due_us and model version
    moments: dict[str, float] = field(default_factory=dict)  # seconds from the warm-up's end

    @property
    def latencies(self) -> np.ndarray:
        """Seconds; infinite for the failed."""
        found = np.array(self.latency_us, dtype=float)
        return np.where(found < 0, np.inf, found / _US)

    @property
    def due(self) -> np.ndarray:
        """Seconds."""
        return np.array(self.due_us, dtype=float) / _US

    @property
    def late(self) -> np.ndarray:
        """Seconds."""
        return np.array(self.late_us, dtype=float) / _US

    @property
    def failed(self) -> int:
        return sum(1 for one in self.latency_us if one < 0)

    @property
    def achieved(self) -> float:
        """Answers per second, until the last one came."""
        good = self.latencies < np.inf
        if not good.any():
            return 0.0
        return float(good.sum() / max(self.seconds, (self.due + self.latencies)[good].max()))


@dataclass
class Start:
    """Seconds of one start. The split is None where the server's log doesn't tell."""

    side: str
    round: int
    ready: float  # from process start until every model says that it is
    first: float  # until each model has given a right answer
    platform: float | None = None  # until the process that holds the models began
    imports: float | None = None  # from there until it began to load
    load: float | None = None
    warm_up: float | None = None


@dataclass
class Event:
    """Something that a reader must know: a server died, gave no answers..."""

    side: str
    round: int
    part: str
    what: str


@dataclass
class Results:
    """Everything of one comparison. `about` holds the conditions, `checks` what was found equal."""

    sides: list[str]
    about: dict[str, Any]
    checks: list[str] = field(default_factory=list)
    starts: list[Start] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    finished: bool = False

    def of(self, part: str, case: str = "", side: str = "") -> Iterator[Run]:
        """The runs of a part, in the order of time."""
        for run in self.runs:
            if run.part == part and case in ("", run.case) and side in ("", run.side):
                yield run

    def save(self, path: Path) -> None:
        """As JSON, at once or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(".part")
        draft.write_bytes(orjson.dumps({"format": FORMAT, **vars(self)}))
        draft.replace(path)

    @classmethod
    def load(cls, path: Path) -> Self:
        """What `save` wrote, also as .xz; ValueError when it is something else."""
        data = path.read_bytes()
        found = orjson.loads(lzma.decompress(data) if path.suffix == ".xz" else data)
        if not isinstance(found, dict) or found.pop("format", None) != FORMAT:
            raise ValueError(f"{path} is no result of a comparison, format {FORMAT}")
        kinds: dict[str, Any] = {"starts": Start, "runs": Run, "events": Event}
        lists = {key: [kind(**one) for one in found[key]] for key, kind in kinds.items()}
        made = cls(**{**found, **lists})
        for run in made.runs:
            run.versions = [(due, version) for due, version in run.versions]
        return made
