"""What is known of a service, and what a cause is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from serve_app.tools.doctor.times import told

Json = dict[str, Any]


@dataclass(frozen=True)
class Cause:
    """One reason. `depth` orders them: what lies deeper explains what lies above it."""

    depth: int
    what: str
    evidence: str = ""
    why: str = ""
    next: str = ""
    since: str = ""
    ends: str = ""  # what will end it
    state: str = ""  # the state that it puts the service in: see `state`
    wait: bool = False  # it ends by itself: there is nothing to mend

    def __str__(self) -> str:
        return self.told()

    def told(self, now: datetime | None = None) -> str:
        """In words; `now` for how long it has been so."""
        lines = [self.what]
        if self.since:
            lines.append(f"    since {told(self.since, now) if now else self.since}")
        lines += [f"    {line}" for line in self.evidence.strip().splitlines()]
        lines += [f"  why:  {self.why}"] if self.why else []
        lines += [f"  ends: {self.ends}"] if self.ends else []
        lines += [f"  next: {self.next}"] if self.next else []
        return "\n".join(lines)


@dataclass
class Snapshot:
    """A service at one moment. What couldn't be asked for is empty, and `unseen` says so."""

    name: str
    namespace: str = ""  # '' for a Ray that is asked directly
    ray: Json = field(
        default_factory=dict
    )  # `serve`, `mismatch`; of the Routers `index`, `changes`, `http`
    service: Json = field(default_factory=dict)  # the RayService; empty when it is gone
    clusters: list[Json] = field(default_factory=list)  # its RayClusters
    pods: list[Mapping[str, Any]] = field(default_factory=list)  # theirs
    events: list[Json] = field(default_factory=list)
    logs: dict[str, str] = field(default_factory=dict)  # the end of what pods that died have said
    whole: Json = field(default_factory=dict)  # the namespace
    redis: list[Mapping[str, Any]] | None = None  # pods behind Redis' service; None: not in here
    serves: dict[str, Json] = field(default_factory=dict)  # what dashboards say, by cluster
    unseen: list[str] = field(default_factory=list)  # what couldn't be asked for, and why
    unheard: str = ""  # why no dashboard was asked
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def kubectl(self) -> str:
        """The beginning of a command."""
        return f"kubectl -n {self.namespace}"

    @property
    def redeploy(self) -> str:
        """How a mended config is handed over where this service is."""
        if self.namespace:
            return f"mend it in the manifest, `tandem check FILE`, {self.kubectl} apply -f FILE"
        return "mend it, `tandem check FILE`, `tandem deploy FILE`"

    @property
    def watch(self) -> str:
        """How to look at what moves until it has come to rest."""
        if self.namespace:
            return f"wait; {self.kubectl} get pods -w shows how it goes"
        return "wait; `tandem doctor` again"


def last(text: str, lines: int = 8) -> str:
    """The end of a log or a message."""
    return "\n".join([line for line in text.splitlines() if line.strip()][-lines:])
