"""Whom of an application's replicas a Router has told to look at their files. Pure."""

from collections.abc import Container, Mapping
from dataclasses import dataclass

from serve_app.releases.applications import RemoteApp

# What a replica says when it has looked: its own name; why what changed isn't served, or ''; in how many
# seconds it tries that again by itself, 0 for never.
Said = tuple[str, str, float]


@dataclass(frozen=True, slots=True)
class Told:
    """The `replicas` of an application that answered; the reason of one, and when it tries again."""

    replicas: frozenset[str] = frozenset()
    reason: str = ""
    again: float = 0.0


# For the deploy of which time, and which replicas answered; NEVER: this Router hasn't told any yet.
Tellings = Mapping[str, tuple[float, frozenset[str]]]
NEVER = 0.0


def deployed(app: RemoteApp, told: Tellings) -> bool:
    """Whether those that run weren't told yet since it was deployed."""
    there = app.settled and app.running > 0
    return there and told.get(app.name, (NEVER,))[0] not in (NEVER, app.stamp)


def untold(app: RemoteApp, told: Tellings, paused: Container[str]) -> bool:
    """Whether replicas are to be told: all of them, of a deploy; or those that came up since, of which
    nobody knows what they have read. `paused`: applications of which some couldn't be told a moment ago.
    """
    if app.name not in told or not app.settled or not app.running:
        return False
    if deployed(app, told):
        return True
    return app.name not in paused and bool(app.replicas - told[app.name][1])
