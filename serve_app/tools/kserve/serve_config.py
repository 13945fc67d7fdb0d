"""Services as a Serve config: the file that `tandem run` serves, and a RayService holds."""

from collections.abc import Sequence
from typing import Any

from serve_app.tools.kserve.own import TRANSFORMER
from serve_app.tools.kserve.service import Model, Service
from serve_app.tools.kube.findings import Place

ROUTER = "tandem"
EVERYWHERE = "0.0.0.0"  # noqa: S104 - of a pod
_GRPC = "serve_app.ingress.grpc.add_inference_service"


def write(services: Sequence[Service], host: str = "127.0.0.1") -> dict[str, Any]:
    """A whole config, with one application for each model that has processes of its own."""
    return {
        "proxy_location": "EveryNode",
        "http_options": {"host": host, "port": 8000},
        "grpc_options": {
            "port": 9000,
            "grpc_servicer_functions": [_GRPC],
            "enable_reflection": False,
        },
        "logging_config": {"enable_access_log": False},
        "applications": [
            {
                "name": router_name(services),
                "route_prefix": "/",
                "import_path": "serve_app.app:build_router",
                "deployments": [
                    {
                        "name": "Router",
                        "ray_actor_options": {"num_cpus": 0.5},
                        "user_config": _router(services),
                    }
                ],
            },
            *(_application(model) for model in _remote(services)),
        ],
    }


def router_name(services: Sequence[Service]) -> str:
    """The routed application's: not one of a model's."""
    taken = {model.name for model in _remote(services)}
    return ROUTER if ROUTER not in taken else f"{ROUTER}-router"


def _remote(services: Sequence[Service]) -> list[Model]:
    return [model for one in services for model in one.models if not model.inline]


def _inline(services: Sequence[Service]) -> list[Model]:
    return [model for one in services for model in one.models if model.inline]


def _router(services: Sequence[Service]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if inline := _inline(services):
        found["models"] = [{"name": one.name, **one.entry} for one in inline]
    if times := [one.timeout for one in services if one.timeout]:
        found["limits"] = {"timeout": max(times)}
    weights = {one.answers_as: {"traffic": {"weights": one.weights}} for one in services if one.weights}
    more = {
        "routing": weights,
        "graphs": [one.graph for one in services if one.graph],
        "transformers": [one.transformer for one in services if one.transformer],
        "payloads": [each for one in services for each in one.payloads],
    }
    return found | {key: value for key, value in more.items() if value}


def _application(model: Model) -> dict[str, Any]:
    return {
        "name": model.name,
        "route_prefix": None,
        "import_path": "serve_app.app:build_model",
        **({"runtime_env": {"env_vars": model.env}} if model.env else {}),
        "args": _args(model),
    }


def _args(model: Model) -> dict[str, Any]:
    """KServe tokenizes in the model's own process."""
    own = {"tokenizer": {"replicas": 0}} if model.format == "transformers" else {}
    return own | model.entry


def places(services: Sequence[Service]) -> list[tuple[Place, Service, Place]]:
    """Where something of the config comes from: a place of it, and that of a document."""
    found: list[tuple[Place, Service, Place]] = []
    inline = 0
    remote = graphs = payloads = transformers = 0
    router: Place = ("applications", 0, "deployments", 0, "user_config")
    for service in services:
        if service.graph:
            found.append(((*router, "graphs", graphs), service, ("spec",)))
            found.append(((*router, "graphs", graphs, "nodes"), service, ("spec", "nodes")))
            graphs += 1
        if service.transformer:
            note: Place = ("metadata", "annotations", TRANSFORMER)
            found.append(((*router, "transformers", transformers), service, note))
            transformers += 1
        for _ in service.payloads:
            logger: Place = ("spec", "predictor", "logger")
            here: Place = (*router, "payloads", payloads)
            found.append((here, service, logger))
            keys = ("url", "mode", "metadataHeaders")
            found += [((*here, key), service, (*logger, key)) for key in keys]
            payloads += 1
        predictor: Place = ("spec", "predictor") if service.root.get("spec", "predictor") else ("spec",)
        for model in service.models:
            if model.inline:
                at: Place = (*router, "models", inline)
                inline += 1
                around, inner = at, at
            else:
                remote += 1
                around = ("applications", remote)
                inner = (*around, "args")
            found.append((around, service, predictor))
            for place, origin in model.origin.items():
                env = place[:1] == ("env",)
                head = (*around, "runtime_env", "env_vars", *place[1:]) if env else (*inner, *place)
                found.append((head, service, origin))
    return found
