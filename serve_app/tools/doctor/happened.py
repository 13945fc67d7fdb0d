"""What events say has happened: pods that ended, and what the operator did and couldn't do."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from serve_app.tools.doctor.times import seconds

_DELETED = re.compile(r"Deleted (?:head|worker) Pod \S+?/(\S+?);")
_CODE = re.compile(r"ExitCode:(-?\d+)")
_TIMES = re.compile(r"(?:StartedAt|FinishedAt):(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d) \+0000")
_CLUSTER = re.compile(r"the RayCluster \S+?/(\S+?)(?::|$|\s)")


@dataclass(frozen=True)
class Event:
    """One event, of whichever API its writer uses."""

    data: dict[str, Any]

    @property
    def at(self) -> str:
        """When it was written last."""
        series = self.data.get("series") or {}
        times = (series.get("lastObservedTime"), self.data.get("lastTimestamp"))
        more = (self.data.get("eventTime"), self.data.get("firstTimestamp"))
        return str(next((one for one in (*times, *more) if one), ""))

    @property
    def times(self) -> int:
        """How often."""
        return int((self.data.get("series") or {}).get("count") or self.data.get("count") or 1)

    @property
    def reason(self) -> str:
        return str(self.data.get("reason") or "")

    @property
    def message(self) -> str:
        return str(self.data.get("message") or self.data.get("note") or "")

    @property
    def of(self) -> str:
        """The name of what it is about."""
        return str((self.data.get("involvedObject") or {}).get("name") or "")

    @property
    def cluster(self) -> str:
        """The RayCluster that its message names."""
        found = _CLUSTER.search(self.message)
        return found[1] if found else ""


@dataclass(frozen=True)
class Lost:
    """A pod of Ray's that ended by itself, and that the operator cleared away to make another."""

    name: str
    cluster: str
    head: bool
    at: str
    code: str  # '' when the operator didn't know it
    lived: float | None  # seconds, None when unknown


def events(found: Iterable[dict[str, Any]]) -> list[Event]:
    """In their order."""
    return sorted(map(Event, found), key=lambda one: one.at)


def lost(found: Iterable[Event]) -> Iterator[Lost]:
    """Pods that failed; what was deleted on purpose isn't among them."""
    for one in found:
        name = _DELETED.search(one.message)
        if one.reason not in ("DeletedHeadPod", "DeletedWorkerPod") or name is None:
            continue
        if "Pod status: Failed" in one.message or _CODE.search(one.message):
            code = _CODE.search(one.message)
            times = [f"{day}T{time}Z" for day, time in _TIMES.findall(one.message)]
            lived = seconds(*times) if len(times) == 2 else None
            head = one.reason == "DeletedHeadPod"
            yield Lost(name[1], one.of, head, one.at, code[1] if code else "", lived)
