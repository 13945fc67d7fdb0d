"""How far a Router is with what it is to serve, and what was refused of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from serve_app.core.directory import Directory


@dataclass(frozen=True, slots=True)
class Progress:
    """One Router's.

    `generation` counts the configurations that it took; `settled` says that it has tried the models of
    the last one; `loaded`, at which generation each inline model was loaded; `applications`, those that
    it has asked what they are, each with the time of the deployment that it asked about; `anew`, by the
    deployment of which time the files of one were last loaded anew. `deployed` is the time of the
    Router's own last deployment after which it has looked at the files of its models.
    """

    generation: int = 0
    settled: bool = True
    loaded: Mapping[str, int] = field(default_factory=dict)
    applications: Mapping[str, float] = field(default_factory=dict)
    anew: Mapping[str, float] = field(default_factory=dict)
    deployed: float = 0.0


def changes(
    router: str, directory: Directory, progress: Progress, live: Mapping[str, str] = MappingProxyType({})
) -> dict[str, Any]:
    """`GET /v2/repository/changes` of the Router of that name.

    `refused` is of a whole configuration; `models`, why the last change of each isn't served, '' where
    it is; `applications`, those that were asked what they are, when those were deployed, the same, and
    which deployment it was that loaded other files in their processes (`loaded`, its time, 0 for none).
    `live` are models that aren't as the configuration has them, because somebody changed them since, and
    what was changed: entry, unloaded, traffic.
    """
    models = directory.models.values()
    of = {source: model.refused.of(source) for model in models for source in model.sources}
    return {
        "router": router,
        "generation": progress.generation,
        "settled": progress.settled,
        "deployed": progress.deployed,
        "refused": directory.refused,
        "models": directory.refusals(),
        "loaded": dict(progress.loaded),
        "live": dict(live),
        "applications": {
            name: {
                "deployed": stamp,
                "refused": of.get(name, ""),
                "loaded": progress.anew.get(name, 0.0),
            }
            for name, stamp in progress.applications.items()
        },
    }
