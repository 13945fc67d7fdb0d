"""What Serve's status says of an application, in words for whoever waits for it."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from serve_app.releases.applications import cause

_NO_ROOM = re.compile(
    r"more than (\d+)s to be scheduled.*?Resources required for each replica: (\{.*?\}), "
    r"total resources available: (\{.*?\})",
    re.DOTALL,
)
_SLOW = re.compile(r"more than (\d+)s to initialize")

# Until one of them ends, nobody knows what becomes of an application.
UNDER_WAY = ("NOT_STARTED", "DEPLOYING", "DELETING")


class NoRoom(NamedTuple):
    """A replica that no node can take: since how many seconds, what it asks for, what is free."""

    seconds: str
    asked: str
    free: str


def no_room(message: str) -> NoRoom | None:
    """Of a deployment's message."""
    match = _NO_ROOM.search(message)
    return NoRoom(*match.groups()) if match else None


def slow(message: str) -> str:
    """Seconds that a replica of a deployment has been starting, when Serve finds that long; else ''."""
    match = _SLOW.search(message)
    return match[1] if match else ""


def why(app: Mapping[str, Any]) -> str:
    """Why an application isn't RUNNING, in a line; '' when Serve has no word for it."""
    return "; ".join(filter(None, _reasons(app)))


def _reasons(app: Mapping[str, Any]) -> Iterator[str]:
    found = 0
    for name, deployment in (app.get("deployments") or {}).items():
        message = str(deployment.get("message") or "")
        if deployment.get("status") in ("HEALTHY", "RUNNING") or not message:
            continue
        found += 1
        if room := no_room(message):
            asked = f"a replica asks for {room.asked}, free in the cluster: {room.free}"
            yield f"no room for {name}: {asked}"
        elif seconds := slow(message):
            yield f"{name} has been loading for more than {seconds} s"
        else:
            yield f"{name}: {cause(message)}"
    if not found:
        yield cause(str(app.get("message") or ""))
