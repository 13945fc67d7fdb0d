"""What is wrong with a service. Pure: what was gathered in, causes out."""

from collections.abc import Iterator
from dataclasses import replace

from serve_app.tools.doctor import (
    agent,
    applications,
    deleting,
    head,
    models,
    pods,
    service,
    upgrade,
    workers,
)
from serve_app.tools.doctor.causes import Cause, Snapshot
from serve_app.tools.doctor.seen import Seen

# What an application that is being deployed waits for.
_MOVES = ("starting", "upgrading", "scaling", "recovering")


def diagnose(snapshot: Snapshot) -> list[Cause]:
    """All that is wrong or moves, the root first. Empty: it is ready."""
    found: list[Cause] = []
    seen = Seen(snapshot)
    if snapshot.namespace and (going := list(deleting.look(seen))):
        return going
    looks = [pods.look(snapshot), agent.look(snapshot), service.look(snapshot)]
    if snapshot.namespace:
        looks += [head.look(seen), upgrade.look(seen), workers.look(seen)]
    looks += [applications.look(snapshot), models.look(snapshot)]
    for look in looks:
        found += _new(look, found)
    return sorted(_plain(found), key=lambda cause: -cause.depth)


def notes(snapshot: Snapshot, causes: list[Cause]) -> list[str]:
    """What is as it should be and worth saying, and what couldn't be looked at."""
    seen = Seen(snapshot)
    unseen = [f"{one}: what that would tell is missing here" for one in snapshot.unseen]
    unseen = [*models.differing(snapshot), *unseen]
    if not causes or not snapshot.namespace or any(one.state == "deleting" for one in causes):
        return unseen
    unheard = [f"Serve itself wasn't asked ({snapshot.unheard})"] if snapshot.unheard else []
    return [*workers.by_design(seen, causes), *unheard, *unseen]


def _new(causes: Iterator[Cause], known: list[Cause]) -> Iterator[Cause]:
    seen = {cause.what for cause in known}
    for cause in causes:
        if cause.what not in seen:
            seen.add(cause.what)
            yield cause


def _stuck(upgrade: Cause) -> Cause:
    """Waiting alone is no way out."""
    return replace(upgrade, wait=False, next=upgrade.next.replace("wait; ", "mend what it waits for; "))


def _plain(causes: list[Cause]) -> list[Cause]:
    """Without what another one has said: an application that waits for a worker, a head or a cluster."""
    words = {one.state for one in causes}
    waits = [one for one in causes if one.wait and one.depth in applications.DEPTHS]
    wrong = [one for one in causes if not one.wait]
    causes = [_stuck(one) if one.state == "upgrading" and wrong else one for one in causes]
    if "away" in words:
        away = [one for one in causes if one.state == "away"]
        deep = max(away, key=lambda one: one.depth)  # it explains the rest
        said = ("", "upgrading", "refused", *(["recovering"] if deep.depth == service.SILENT else []))
        causes = [one for one in causes if one is deep or one.state in said]
        causes = [one for one in causes if one.depth != applications.NONE]
    moves = [one for one in causes if one.state in _MOVES and one not in waits]
    if not waits or not moves:
        return causes
    causes = [one for one in causes if one not in waits]
    if moves[0].state in ("scaling", "recovering"):
        lines = "\n".join([moves[0].evidence, *(one.what for one in waits)])
        causes[causes.index(moves[0])] = replace(moves[0], evidence=lines.strip())
    return causes
