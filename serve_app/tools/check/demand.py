"""What a Serve config asks a cluster for, held against what the cluster's pods offer."""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from serve_app.config import NEW_FIRST, RemoteModel, TokenizerConfig
from serve_app.tools.check.paths import MODEL_PATH, ROUTER_PATH, nearest
from serve_app.tools.check.rules import Resource
from serve_app.tools.kube.findings import Place, Problem
from serve_app.tools.kube.part import Part
from serve_app.tools.kube.ray_cluster import Group

Sizes = dict[str, float]
# Every node has its own without a word in the manifest; under the last two names Ray refuses them.
_RAYS_OWN = re.compile(r"node:|accelerator_type:|[CG]PU$")


@dataclass(frozen=True)
class Demand:
    """Replicas of a deployment: at least so many, each of so much; `more` of them while it changes."""

    place: Place
    name: str
    least: int
    sizes: Sizes
    more: int = 0
    per_node: int | None = None  # max_replicas_per_node


def demands(config: Any, place: Place) -> Iterator[Demand]:
    """Of every deployment that the config says something about."""
    for app in Part(place, config).parts("applications"):
        given = {str(one.get("name")): one for one in app.parts("deployments")}
        for name, (least, sizes) in _own(app):
            one = given.pop(name, Part(app.place, {}))
            yield _demand(app, name, one, least, sizes)
        for name, one in given.items():  # of others: what isn't said here is said in their code
            yield _demand(app, name, one, 0, {})


def _demand(app: Part, name: str, one: Part, least: int, sizes: Sizes) -> Demand:
    count, each = _changed(one, least, sizes)
    surge = one.number("max_surge_percent")
    more = math.ceil((NEW_FIRST if surge is None else surge) * count / 100)
    per_node = one.number("max_replicas_per_node")
    label = f"deployment {name} of application {app.get('name')}"
    return Demand(one.place, label, count, each, more, per_node)


def _own(app: Part) -> Iterator[tuple[str, tuple[int, Sizes]]]:
    """What `build_model` makes of its arguments, and what the Router is by itself."""
    if nearest(app.get("import_path")) == ROUTER_PATH:
        yield "Router", (1, {"num_cpus": 1.0})
    if nearest(app.get("import_path")) != MODEL_PATH:
        return
    try:
        model = RemoteModel.model_validate({**app.mapping("args"), "name": app.get("name")})
    except ValidationError:
        return  # said elsewhere
    sizes = {"num_cpus": model.resources.num_cpus, "num_gpus": model.resources.num_gpus}
    least = model.autoscaling.min_replicas if model.autoscaling else model.replicas or 1
    yield "ModelReplica", (least, sizes)
    tokenizer = model.tokenizer or TokenizerConfig()
    if model.model_format == "transformers" and tokenizer.replicas:
        yield "Tokenizer", (tokenizer.replicas, {"num_cpus": tokenizer.num_cpus})


def _changed(one: Part, least: int, sizes: Sizes) -> tuple[int, Sizes]:
    options = one.at("ray_actor_options")
    said = {"num_cpus": options.get("num_cpus"), "num_gpus": options.get("num_gpus")}
    said |= {str(key): value for key, value in options.mapping("resources").items()}
    changed = {
        key: float(value)
        for key, value in said.items()
        if isinstance(value, int | float) and not _RAYS_OWN.match(key)
    }
    count = one.number("num_replicas")
    count = one.number("autoscaling_config", "min_replicas") if count is None else count
    return (least if count is None else count), {**sizes, **changed}


def finds_no_place(config: Part, resource: Resource) -> Iterator[Problem]:
    """What of it no pod has room for."""
    asked = list(demands(config.data, config.place))
    groups = [group for group in resource.cluster.groups if group.most > 0]
    for demand in asked:
        if not any(_fits(demand.sizes, group) for group in groups):
            size, offers = _text(demand.sizes), _offers(groups)
            what = f"a replica of {demand.name} needs {size}, which no pod offers: {offers}"
            fix = "a group with such pods, or a smaller replica"
            yield Problem(demand.place, what, "it stays pending for ever", fix)
        yield from _spread(demand, [group for group in groups if _fits(demand.sizes, group)])
    for key in sorted({key for demand in asked for key in demand.sizes}):
        total = sum(demand.least * demand.sizes.get(key, 0) for demand in asked)
        most = sum(group.most * group.offers.get(key, 0) for group in groups if group.offers.get(key))
        if 0 < most < total:
            what = f"all replicas together need {total:g} {key}, all pods together have at most {most:g}"
            fix = "a larger maxReplicas of a group, or fewer replicas"
            yield Problem((*config.place, "applications"), what, "some stay pending for ever", fix)
        for demand in asked if total <= most else ():
            needed = total + demand.more * demand.sizes.get(key, 0)
            if needed > most > 0:
                yield Problem(
                    demand.place,
                    f"{demand.name} changes by new replicas beside old ones: with all others they need "
                    f"{needed:g} {key}, all pods together have at most {most:g}",
                    "a change waits for room, and the old replicas serve on",
                    "a larger maxReplicas of a group, or max_surge_percent: 0 (then requests wait)",
                    "warning",
                )


def _spread(demand: Demand, groups: list[Group]) -> Iterator[Problem]:
    """Whether there may be so many nodes that each has no more replicas than it is allowed."""
    nodes = sum(group.most for group in groups)
    if demand.per_node and 0 < nodes * demand.per_node < demand.least:
        what = (
            f"{demand.least} replicas of {demand.name}, max_replicas_per_node {demand.per_node}, and at "
            f"most {nodes:g} pods that one fits on: there is room for {nodes * demand.per_node:g}"
        )
        fix = "more pods (maxReplicas of a group), fewer replicas, or more of them on a node"
        yield Problem(demand.place, what, "the others stay pending for ever", fix)


def _fits(sizes: Sizes, group: Group) -> bool:
    return all(value <= group.offers.get(key, 0) for key, value in sizes.items())


def _text(sizes: Sizes) -> str:
    return ", ".join(f"{key} {value:g}" for key, value in sizes.items() if value) or "nothing"


def _offers(groups: list[Group]) -> str:
    return "; ".join(
        f"{group.name} {_text(group.offers)}" + ("" if group.most == math.inf else f" x {group.most:g}")
        for group in groups
    )
