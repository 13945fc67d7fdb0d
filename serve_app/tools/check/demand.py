"""What a Serve config asks a cluster for, held against what the cluster's pods offer."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from serve_app.config import RemoteModel, TokenizerConfig
from serve_app.tools.check.serve_config import MODEL_PATH, is_path
from serve_app.tools.kube.documents import Document, get
from serve_app.tools.kube.findings import Place, Problem
from serve_app.tools.kube.ray_cluster import Group, RayCluster

Sizes = dict[str, float]


@dataclass(frozen=True)
class Demand:
    """Replicas of a deployment: at least so many, each of so much."""

    place: Place
    name: str
    least: int
    sizes: Sizes


def demands(config: Any, place: Place) -> Iterator[Demand]:
    """Of every deployment that the config says something about."""
    for index, app in enumerate(get(config, "applications") or []):
        here = (*place, "applications", index)
        given = {
            str(get(one, "name")): (at, one)
            for at, one in enumerate(get(app, "deployments") or [])
            if isinstance(one, dict)
        }
        own = dict(_own(app))
        for name, (least, sizes) in own.items():
            at, one = given.pop(name, (None, {}))
            where = here if at is None else (*here, "deployments", at)
            yield Demand(where, _label(app, name), *_changed(one, least, sizes))
        for name, (at, one) in given.items():
            yield Demand(
                (*here, "deployments", at), _label(app, name), *_changed(one, 1, {"num_cpus": 1.0})
            )


def _label(app: Any, name: str) -> str:
    return f"deployment {name} of application {get(app, 'name')}"


def _own(app: Any) -> Iterator[tuple[str, tuple[int, Sizes]]]:
    """What `build_model` makes of its arguments."""
    if not is_path(get(app, "import_path"), MODEL_PATH):
        return
    try:
        model = RemoteModel.model_validate({**(get(app, "args") or {}), "name": get(app, "name")})
    except ValidationError:
        return  # said elsewhere
    sizes = {"num_cpus": model.resources.num_cpus, "num_gpus": model.resources.num_gpus}
    least = model.autoscaling.min_replicas if model.autoscaling else model.replicas or 1
    yield "ModelReplica", (least, sizes)
    tokenizer = model.tokenizer or TokenizerConfig()
    if model.model_format == "transformers" and tokenizer.replicas:
        yield "Tokenizer", (tokenizer.replicas, {"num_cpus": tokenizer.num_cpus})


def _changed(one: dict[str, Any], least: int, sizes: Sizes) -> tuple[int, Sizes]:
    options = one.get("ray_actor_options") or {}
    changed = {
        key: options[key]
        for key in ("num_cpus", "num_gpus")
        if isinstance(options.get(key), int | float)
    }
    changed |= {k: v for k, v in (options.get("resources") or {}).items() if isinstance(v, int | float)}
    count = one.get("num_replicas", get(one, "autoscaling_config", "min_replicas"))
    return (count if isinstance(count, int) else least), {**sizes, **changed}


def check(document: Document, cluster: RayCluster) -> Iterator[Problem]:
    """Whether everything finds a place."""
    if document.config is None:
        return
    place, config, _ = document.config
    asked = list(demands(config, place))
    groups = [group for group in cluster.groups if group.most > 0]
    for demand in asked:
        if not any(_fits(demand.sizes, group) for group in groups):
            yield Problem(
                demand.place,
                f"a replica of {demand.name} needs {_text(demand.sizes)}, which no pod offers: "
                + _offers(groups),
                "it stays pending for ever",
                "a group with such pods, or a smaller replica",
            )
    for key in sorted({key for demand in asked for key in demand.sizes}):
        total = sum(demand.least * demand.sizes.get(key, 0) for demand in asked)
        most = sum(group.most * group.offers.get(key, 0) for group in groups if group.offers.get(key))
        if 0 < most < total:
            yield Problem(
                (*place, "applications"),
                f"all replicas together need {total:g} {key}, all pods together have at most {most:g}",
                "some stay pending for ever",
                "a larger maxReplicas of a group, or fewer replicas",
            )


def _fits(sizes: Sizes, group: Group) -> bool:
    return all(value <= group.offers.get(key, 0) for key, value in sizes.items())


def _text(sizes: Sizes) -> str:
    return ", ".join(f"{key} {value:g}" for key, value in sizes.items() if value) or "nothing"


def _offers(groups: list[Group]) -> str:
    return "; ".join(
        f"{group.name} {_text(group.offers)}" + ("" if group.most == math.inf else f" x {group.most:g}")
        for group in groups
    )
