"""Shadows of a Router's models: versions that are there, and outputs that they have."""

from collections.abc import Iterable, Iterator

from serve_app.config import Routing
from serve_app.routing.shadowed import trouble
from serve_app.tools.check.applications import Applications
from serve_app.tools.kube.findings import Problem


def check(apps: Applications) -> Iterator[Problem]:
    """Where it is known here which versions there are."""
    if apps.router is None or not apps.whole:
        return
    user, where = apps.router
    for name, route in user.routing.items():
        if route.shadow is not None and (versions := apps.versions(name)):
            for place, what in trouble(name, route.shadow, versions, _alone(route, versions)):
                yield Problem((*where, "routing", name, "shadow", *place), what, "nothing is copied")


def _alone(route: Routing, versions: Iterable[str]) -> str | None:
    """The one version that requests get which name none; None where they are shared."""
    if route.traffic is not None:
        weighted = [number for number, weight in route.traffic.weights.items() if weight > 0]
        return weighted[0] if len(weighted) == 1 else None
    return route.default_version or max(versions, key=int)
