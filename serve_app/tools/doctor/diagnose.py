"""What is wrong with a service. Pure: what was gathered in, causes out."""

from collections.abc import Iterator

from serve_app.tools.doctor import applications, models, pods, service
from serve_app.tools.doctor.causes import Cause, Snapshot


def diagnose(snapshot: Snapshot) -> list[Cause]:
    """All that is wrong, the root first. Empty: it is ready."""
    found: list[Cause] = []
    for look in (pods.look, service.look, applications.look, models.look):
        found += _new(look(snapshot), found)
    return sorted(found, key=lambda cause: -cause.depth)


def _new(causes: Iterator[Cause], known: list[Cause]) -> Iterator[Cause]:
    seen = {cause.what for cause in known}
    for cause in causes:
        if cause.what not in seen:
            seen.add(cause.what)
            yield cause
