"""What a client process is told to do, and what it tells when it is through."""

from dataclasses import asdict, dataclass, field
from typing import Any, Self

import numpy as np
import orjson

from loadtests.client.target import Target


@dataclass(frozen=True)
class Job:
    """Requests in turn, from `connections` with `streams` calls in flight on each (gRPC only).

    A closed loop for `seconds`, or the arrivals of `schedule`: seconds from the end of the warm-up,
    in which those below 0 are. Several processes share a job: this one is `share` of `shares`.
    """

    target: Target
    requests: list[tuple[str, dict[str, str], str]]  # path, headers, file with the body
    grpc: bool
    connections: int
    seconds: float = 0  # of a closed loop, warm-up not counted
    warm_up: float = 1.0
    schedule: list[float] = field(default_factory=list)
    streams: int = 1
    share: int = 0
    shares: int = 1
    patience: float = 30.0
    keep_every: int = 0

    def dump(self) -> bytes:
        """One line for the process's standard input: it holds the token."""
        return orjson.dumps(asdict(self), option=orjson.OPT_APPEND_NEWLINE)

    @classmethod
    def load(cls, data: bytes) -> Self:
        """What `dump` wrote."""
        found: dict[str, Any] = orjson.loads(data)
        return cls(**{**found, "target": Target(**found["target"])})


@dataclass
class Outcome:
    """Arrays with one entry per request, in seconds from the end of the warm-up, which is left out."""

    due: np.ndarray
    sent: np.ndarray
    done: np.ndarray
    failed: np.ndarray
    late: np.ndarray  # how late arrivals were noticed, in this program
    errors: dict[str, int]  # how often which
    kept: dict[int, bytes]  # bodies by turn
    cpu: float  # seconds, and
    wall: float  # those in which they were used: from ready to the last answer, of all processes

    @property
    def latencies(self) -> np.ndarray:
        """Seconds from due to answered, of those that were; infinite for the failed."""
        # Timers come up to a millisecond early: then it counts from when it was sent.
        return np.where(self.failed, np.inf, self.done - np.minimum(self.due, self.sent))
