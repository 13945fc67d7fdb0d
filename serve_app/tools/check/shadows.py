"""Shadows of a Router's models: versions that are there, and outputs that they have."""

from collections.abc import Iterator, Mapping, Sequence

from serve_app.config import Routing
from serve_app.routing.shadowed import trouble
from serve_app.tools.check.applications import Applications
from serve_app.tools.check.sources import versions_of
from serve_app.tools.kube.findings import Problem

Versions = Mapping[str, Sequence[str]]  # their outputs, as far as the configuration says


def check(apps: Applications) -> Iterator[Problem]:
    """Where it is known here which versions there are."""
    if apps.router is None or not apps.whole:
        return
    user, where = apps.router
    for name, route in user.routing.items():
        if route.shadow is not None and (versions := _versions(apps, name)):
            for place, what in trouble(name, route.shadow, versions, _alone(route, versions)):
                yield Problem((*where, "routing", name, "shadow", *place), what, "nothing is copied")


def _versions(apps: Applications, name: str) -> Versions:
    """None of them where those of one part aren't known."""
    found: dict[str, Sequence[str]] = {}
    for one in (one for one in apps.models if one.name == name):
        unknown = one.changed & {"versions", "storageUri"}
        numbers = None if unknown else versions_of(one.config, apps.here)
        if numbers is None:
            return {}
        found |= dict.fromkeys(numbers, tuple(tensor.name for tensor in one.config.outputs))
    return found


def _alone(route: Routing, versions: Versions) -> str | None:
    """The one version that requests get which name none; None where they are shared."""
    if route.traffic is not None:
        weighted = [number for number, weight in route.traffic.weights.items() if weight > 0]
        return weighted[0] if len(weighted) == 1 else None
    return route.default_version or max(versions, key=int)
