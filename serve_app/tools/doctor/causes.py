"""What is known of a service, and what a cause is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True)
class Cause:
    """One reason. `depth` orders them: what lies deeper explains what lies above it.

    `serves`: requests are answered all the same, only not by what was last asked for.
    """

    depth: int
    what: str
    evidence: str = ""
    why: str = ""
    next: str = ""
    serves: bool = False

    def __str__(self) -> str:
        lines = [self.what]
        lines += [f"    {line}" for line in self.evidence.strip().splitlines()]
        lines += [f"  why:  {self.why}"] if self.why else []
        lines += [f"  next: {self.next}"] if self.next else []
        return "\n".join(lines)


@dataclass
class Snapshot:
    """A service at one moment. What couldn't be asked for is empty."""

    name: str
    namespace: str = ""  # '' for a Ray that is asked directly
    ray: Json = field(
        default_factory=dict
    )  # `serve`, `mismatch`; of the Routers `index`, `changes`, `http`
    service: Json = field(default_factory=dict)  # the RayService
    clusters: list[Json] = field(default_factory=list)  # its RayClusters
    pods: list[Mapping[str, Any]] = field(default_factory=list)
    events: list[Json] = field(default_factory=list)
    logs: dict[str, str] = field(default_factory=dict)  # the end of what pods that died have said

    @property
    def kubectl(self) -> str:
        """The beginning of a command."""
        return f"kubectl -n {self.namespace}" if self.namespace else "kubectl"


def last(text: str, lines: int = 8) -> str:
    """The end of a log or a message."""
    return "\n".join([line for line in text.splitlines() if line.strip()][-lines:])
