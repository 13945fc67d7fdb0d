"""A Serve config as Ray reads it: by the validators of the installed Ray, strictly."""

import copy
import functools
import warnings
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel, ValidationError

from serve_app.config import problems
from serve_app.internals.serve_schema import RayActorOptionsSchema, ServeDeploySchema, serve
from serve_app.internals.serve_schema import config as of_serve
from serve_app.tools.check.ray_values import built, import_path, runtime_env
from serve_app.tools.kube.documents import get, items
from serve_app.tools.kube.findings import Place, Problem

# Options of a deployment that only its deploy looks at, together.
_BUNDLES = "placement_group_bundles"
_TOGETHER = (
    (_BUNDLES, "placement_group_strategy", "placement_group_bundle_label_selector"),
    ("max_replicas_per_node",),
)
_SENTENCES: dict[str, Place] = {"Application names": ("name",), "Host ": ("host",), "Port ": ("port",)}
_IN_DEPLOY = "the application's deploy fails"
MISSING = "required, but not there"


def is_serve_config(data: dict[str, Any]) -> bool:
    """Whether a mapping is meant as one: it has a key of it, or one that is nearly so."""
    known = [*ServeDeploySchema.model_fields, "import_path"]  # the form for one application, before
    return not data or any(get_close_matches(str(key), known, 1, cutoff=0.85) for key in data)


def schema(data: dict[str, Any]) -> list[Problem]:
    """What Serve's schema refuses in each application. What several have in common `routes` finds."""
    apps = data.get("applications")
    if not isinstance(apps, list):
        return list(_schema(_without_imports(data)))
    found = list(_schema(_without_imports({**data, "applications": []})))
    for index, app in enumerate(apps):
        alone = {"applications": [app]}
        for one in list(_no_mappings(alone)) or _schema(_without_imports(alone)):
            about = (at for start, at in _SENTENCES.items() if one.what.startswith(start))
            inside = one.place[2:] or next(about, ())  # a sentence about the whole config
            found.append(replace(one, place=("applications", index, *inside)))
    return found


def deploys(data: dict[str, Any], broken: Collection[Place]) -> Iterator[Problem]:
    """What Ray stumbles over later, in a config that `sound` has left. `broken`: where it was."""
    yield from _ports(data)
    functions = get(data, "grpc_options", "grpc_servicer_functions") or []
    for index, path in enumerate(functions):
        yield from import_path(path, ("grpc_options", "grpc_servicer_functions", index))
    for index, app in enumerate(data.get("applications") or []):
        place: Place = ("applications", index)
        if place in broken:
            continue
        yield from import_path(app.get("import_path"), (*place, "import_path"))
        yield from _route(app.get("route_prefix"), (*place, "route_prefix"))
        env = app.get("runtime_env") or {}
        wrong = list(runtime_env(env, (*place, "runtime_env")))
        yield from wrong
        yield from _policy(app.get("autoscaling_policy"), (*place, "autoscaling_policy"))
        for at, one in enumerate(app.get("deployments") or []):
            here = (*place, "deployments", at)
            if isinstance(one, dict) and here not in broken:
                yield from _deployment(one, here, {} if wrong else env)


def _route(route: str | None, place: Place) -> Iterator[Problem]:
    """What Serve says of a prefix in an application's deploy, after it has taken the config."""
    if route and not route.startswith("/"):
        yield Problem(place, f"'{route}' doesn't begin with a slash", _IN_DEPLOY, f"/{route.strip('/')}")
    elif route and len(route) > 1 and route.endswith("/"):
        yield Problem(place, f"'{route}' ends with a slash", _IN_DEPLOY, route.rstrip("/"))
    elif route is not None and ("{" in route or "}" in route):
        yield Problem(place, f"'{route}' has a wildcard", _IN_DEPLOY)
    elif route == "":
        yield Problem(place, "an empty prefix", _IN_DEPLOY, "/, or null for an application without one")


def _ports(data: dict[str, Any]) -> Iterator[Problem]:
    """Numbers that no proxy can listen on."""
    used = {}
    for key, default in (("http_options", 8000), ("grpc_options", 9000)):
        options = data.get(key) or {}
        port = int(options.get("port", default))
        if not 0 < port < 65536:
            yield Problem((key, "port"), f"{port} is no port: 1 to 65535", "no proxy can listen on it")
            continue
        if key == "http_options" or options.get("grpc_servicer_functions"):
            used[key] = port
    if len(used) > len(set(used.values())):
        said = "grpc_options" if get(data, "grpc_options", "port") else "http_options"
        yield Problem((said, "port"), f"{port} is for HTTP and gRPC both", "one of the two can't listen")


def _no_mappings(data: dict[str, Any]) -> Iterator[Problem]:
    """Deployments that Ray's own validators stumble over, all of them in the same way."""
    for index, app in enumerate(items(data, "applications")):
        for at, one in enumerate(items(app, "deployments")):
            if not isinstance(one, dict):
                place = ("applications", index, "deployments", at)
                yield Problem(place, f"expected a mapping, got {one!r}")


def _inside(place: Place, value: Any) -> Place:
    """A key where it is: a validator of Ray's that reads a part by itself doesn't say which part."""
    *above, key = place or ("",)
    around = get(value, *above)
    if isinstance(around, dict) and key not in around:
        some = [name for name, part in around.items() if isinstance(part, dict) and key in part]
        return (*above, some[0], key) if len(some) == 1 else place
    return place


def _schema(value: dict[str, Any]) -> Iterator[Problem]:
    """By Serve's schema. Where a validator itself stumbles, the part that it does so over."""
    try:
        _validate(value)
    except ValidationError as error:
        for place, text in _of_one_form(problems(error, ServeDeploySchema), value):
            yield Problem(place if text == MISSING else _inside(place, value), text)
    except Exception as error:  # whatever a validator of Ray's raises
        yield Problem(_culprit(value, repr(error)), f"Ray can't read it: {error}")


def _of_one_form(found: Iterable[tuple[Place, str]], value: Any) -> Iterator[tuple[Place, str]]:
    """Of a value that may have several forms, each with its own complaint, the form that is meant."""
    forms: dict[Place, list[str]] = {}
    for place, text in found:
        around = get(value, *place[:-1])
        listed = isinstance(around, list) and isinstance(place[-1], int)
        inside = listed or isinstance(around, dict | None)
        if inside or text == MISSING:
            yield place, text
        else:  # the last step is the form's name
            forms.setdefault(place[:-1], []).append(text)
    for place, texts in forms.items():
        some = (one for one in texts if not one.startswith("Input should be a valid"))
        yield place, next(some, texts[0])


def _validate(value: Any) -> None:
    with warnings.catch_warnings(action="ignore"):  # heard where the part itself is looked at
        ServeDeploySchema.model_validate(copy.deepcopy(value))  # validators write into what they get


def _culprit(value: dict[str, Any], said: str) -> Place:
    """The innermost part without which the validators don't stumble in the same way."""
    place: Place = ()
    while isinstance(part := get(value, *place), dict | list) and part:
        keys = part if isinstance(part, dict) else range(len(part))
        found = next((key for key in keys if _stumble(value, (*place, key)) != said), None)
        if found is None:
            break
        place = (*place, found)
    return place


def _stumble(value: dict[str, Any], without: Place) -> str:
    """What they stumble over when a part isn't there; an entry of a list leaves an empty one."""
    left = copy.deepcopy(value)
    around = get(left, *without[:-1])
    if isinstance(around, dict):
        del around[without[-1]]
    else:
        around[without[-1]] = {}
    try:
        _validate(left)
    except Exception as error:
        return "" if isinstance(error, ValidationError) else repr(error)
    return ""


def _without_imports(value: Any) -> Any:
    """A copy without the import paths that a schema would follow."""
    if isinstance(value, dict):
        left = {key: one for key, one in value.items() if key not in ("policy", "request_router_class")}
        return {key: _without_imports(one) for key, one in left.items()}
    return [_without_imports(one) for one in value] if isinstance(value, list) else value


def _deployment(one: dict[str, Any], place: Place, around: dict[str, Any]) -> Iterator[Problem]:
    """What the schema leaves to the deploy, where it fails."""
    options = one.get("ray_actor_options") or {}
    env, there = options.get("runtime_env") or {}, (*place, "ray_actor_options", "runtime_env")
    found = list(runtime_env(env, there))
    yield from found
    if around and env and not found:  # a deployment's goes over its application's
        yield from runtime_env({**around, **env}, there)
    yield from _scaling(one, place)
    if router := one.get("request_router_config"):
        here, kind = (*place, "request_router_config"), of_serve.RequestRouterConfig
        make = kind.from_serialized_request_router_cls
        yield from built(here, _IN_DEPLOY, kind, make, router, b"-")
        yield from import_path(router.get("request_router_class"), (*here, "request_router_class"))
    try:
        read = RayActorOptionsSchema.model_validate(options).model_dump(exclude_unset=True)
    except ValidationError as error:
        for inner, text in problems(error, RayActorOptionsSchema):
            yield Problem((*place, "ray_actor_options", *inner), text, _IN_DEPLOY)
        return
    read.pop("runtime_env", None)
    yield from _options(place, "ray_actor_options", {"ray_actor_options": {**read}})
    yield from _actors(one.get("deployment_actors") or [], place)
    for keys in _TOGETHER:
        given = {key: one[key] for key in keys if one.get(key) is not None}
        if given and _BUNDLES in keys:  # what isn't said here may be said in the code
            given["ray_actor_options"] = {**read} if read and _BUNDLES in given else {"num_cpus": 0}
            given.setdefault(_BUNDLES, [{"CPU": 1}])
        yield from _options(place, keys[0], given)


def _actors(given: list[Any], place: Place) -> Iterator[Problem]:
    found, kind = list[Problem](), of_serve.DeploymentActorConfig
    for at, one in enumerate(given):
        if isinstance(one, dict):
            found += built((*place, "deployment_actors", at), _IN_DEPLOY, kind, kind, **one)
    together = {"deployment_actors": given} if given else {}
    yield from found or _options(place, "deployment_actors", together)


def _options(place: Place, key: str, given: dict[str, Any]) -> Iterator[Problem]:
    if given:
        yield from built((*place, key), _IN_DEPLOY, BaseModel, _any_deployment().options, **given)


@functools.cache
def _any_deployment() -> Any:
    return serve.deployment(type("Any", (), {}))


def _scaling(one: dict[str, Any], place: Place) -> Iterator[Problem]:
    given = one.get("autoscaling_config")
    if not given:
        return
    here = (*place, "autoscaling_config")
    auto = of_serve.AutoscalingConfig.default().model_dump() if one.get("num_replicas") == "auto" else {}
    config = {str(key): value for key, value in {**auto, **given}.items() if key != "policy"}
    yield from built(here, _IN_DEPLOY, of_serve.AutoscalingConfig, of_serve.AutoscalingConfig, **config)
    if "policy" in given:
        yield from _policy(given["policy"] or {}, (*here, "policy"))


def _policy(given: Any, place: Place) -> Iterator[Problem]:
    if given is None:
        return
    if not isinstance(given, dict):
        yield Problem(place, f"expected a mapping with `policy_function`, got {given!r}", _IN_DEPLOY)
        return
    make = of_serve.AutoscalingPolicy.from_serialized_policy_def
    yield from built(place, _IN_DEPLOY, of_serve.AutoscalingPolicy, make, given, b"-")
    yield from import_path(given.get("policy_function"), (*place, "policy_function"))
