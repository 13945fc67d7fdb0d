"""What must fit together across the models of one Serve config."""

from collections.abc import Iterable, Iterator

from serve_app.config import RemoteModel, RouterUserConfig, Routing, did_you_mean
from serve_app.config.base import Place
from serve_app.routing.shadowed import trouble
from serve_app.tools.check.applications import Applications, Placed
from serve_app.tools.check.payloads import check_payloads
from serve_app.tools.kube.findings import Problem


def check_models(apps: Applications) -> Iterator[Problem]:
    """Inline and remote models against each other and the Router's limits and routes."""
    yield from _names(apps)
    yield from _batches(apps)
    yield from _versions(apps)
    yield from _explainers(apps)
    if apps.router:
        for check in (_routes, _shadows, _graphs, check_payloads):
            yield from check(apps, *apps.router)


def _names(apps: Applications) -> Iterator[Problem]:
    inline = {one.name for one in apps.models if not one.application}
    for one in apps.models:
        if one.application and one.name in inline:
            above = one.place[:-1]  # of `args`
            said = isinstance(one.config, RemoteModel) and one.config.model
            place = (*one.place, "model") if said else (*above, "name")
            yield Problem(place, f"'{one.name}' is also an inline model of the Router")


def _routes(apps: Applications, user: RouterUserConfig, where: Place) -> Iterator[Problem]:
    """`routing`: of models that there are, to versions that they have."""
    known = sorted({one.name for one in apps.models})
    for name, route in user.routing.items():
        if name not in known and apps.whole:
            what = f"no model '{name}'{did_you_mean(name, known)}"
            yield Problem((*where, "routing", name), what)
        if route.rollout and not apps.admin:
            what = "a rollout is kept by a Steward, which this application hasn't: `args: {admin: {}}`"
            place = (*where, "routing", name, "rollout")
            yield Problem(place, what, "the Router refuses this configuration")
        versions = sorted(apps.versions(name) or (), key=lambda v: int(v) if v.isdecimal() else 0)
        for inner, version, follows in _named(route) if versions else ():
            if version not in versions:
                what = f"model '{name}' has no version {version}{did_you_mean(version, versions)}"
                yield Problem((*where, "routing", name, *inner), what, follows)


def _named(route: Routing) -> Iterator[tuple[Place, str, str]]:
    """The versions that a route names: where, which, and what follows if one isn't there."""
    if route.default_version:
        yield ("defaultVersion",), route.default_version, "requests that name no version get a 503"
    for place, version in route.traffic.versions.items() if route.traffic else ():
        yield ("traffic", *place), version, "its requests go to other versions"
    if route.rollout:
        yield ("rollout", "version"), route.rollout.version, "the rollout waits for it"
        if route.rollout.baseline:
            place, follows = ("rollout", "baseline"), "there is nothing to compare the new version with"
            yield place, route.rollout.baseline, follows


def _shadows(apps: Applications, user: RouterUserConfig, where: Place) -> Iterator[Problem]:
    """Versions that are there, and outputs that they have, where it is known here."""
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


def _graphs(apps: Applications, user: RouterUserConfig, where: Place) -> Iterator[Problem]:
    """`graphs` and `transformers`: no model has the name of one, and the models of theirs are there."""
    models = {one.name for one in apps.models}
    graphs = user.composed()
    for index, around in enumerate(user.transformers):
        place = (*where, "transformers", index)
        if around.name in models:
            yield Problem((*place, "name"), f"'{around.name}' is also a model")
        if apps.whole and around.predictor not in models | graphs:
            said = f"no model '{around.predictor}'{did_you_mean(around.predictor, models | graphs)}"
            yield Problem((*place, "predictor"), said, "it would answer 404")
    for index, graph in enumerate(user.graphs):
        place = (*where, "graphs", index)
        if graph.name in models:
            yield Problem((*place, "name"), f"'{graph.name}' is also a model")
        for at, step in graph.steps() if apps.whole else ():
            name = step.service_name
            if name and name not in models | graphs:
                what = f"no model '{name}'{did_you_mean(name, models | graphs)}"
                yield Problem((*place, *at, "serviceName"), what, "its step would fail with 404")


def _explainers(apps: Applications) -> Iterator[Problem]:
    """What `explains` names is there, and no other explains it too."""
    names = {one.name for one in apps.models} | (apps.router[0].composed() if apps.router else set())
    owners: dict[str, str] = {}
    for one in apps.models:
        explained = one.config.explains if isinstance(one.config, RemoteModel) else None
        if explained is None:
            continue
        place = (*one.place, "explains")
        if explained == one.name:
            yield Problem(place, f"'{explained}' is the explainer itself: it needs another name")
        elif explained not in names and apps.whole:
            what = f"no model '{explained}'{did_you_mean(explained, names)}"
            yield Problem(place, what, "its explanations would fail with 404")
        elif owner := owners.get(explained):
            what = f"model '{explained}' has an explainer already, application '{owner}'"
            why = f"this one is asked by its own name alone: /v2/models/{one.name}/infer"
            yield Problem(place, what, why, severity="warning")
        owners.setdefault(explained, one.application)


def _batches(apps: Applications) -> Iterator[Problem]:
    for one in apps.models if apps.limit is not None else ():
        batching = one.config.batching
        if batching and batching.max_batch_size > (apps.limit or 0):
            what = (
                f"{batching.max_batch_size} is larger than the Router's max_ongoing_requests "
                f"{apps.limit}: such a batch would never fill"
            )
            yield Problem((*one.place, "batching", "maxBatchSize"), what)


def _versions(apps: Applications) -> Iterator[Problem]:
    """Applications of one model: each says which versions it has, and no two have the same."""
    by_model: dict[str, list[Placed]] = {}
    for one in apps.models:
        if one.application:
            by_model.setdefault(one.name, []).append(one)
    for model, some in by_model.items():
        owners: dict[str, str] = {}
        several = ", ".join(one.application for one in some)
        for one in some if len(some) > 1 else ():
            config = one.config
            versions = config.versions if config.storage_uri or config.versions != "all" else ["1"]
            if not isinstance(versions, list):
                what, fix = f"model '{model}' has several applications: {several}", 'versions: ["2"]'
                why = "which of them has a version would depend on which started last"
                yield Problem(one.place, what, why, f"list the versions of each, as in {fix}")
                continue
            for version in versions:
                if owner := owners.get(version):
                    what = f"version {version} of model '{model}' is also in application '{owner}'"
                    why = "which of them answers would depend on which started last"
                    yield Problem((*one.place, "versions"), what, why)
                owners.setdefault(version, one.application)
