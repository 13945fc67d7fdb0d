"""A Serve config: as Ray reads it, our arguments in it, and what must fit together."""

from dataclasses import replace
from typing import Any, TypeVar

from pydantic import ValidationError

from serve_app.config import (
    Config,
    ModelConfig,
    RemoteModel,
    ReplicaUserConfig,
    RouterArgs,
    RouterUserConfig,
    did_you_mean,
    problems,
)
from serve_app.releases.applications import REPLICA, TOKENIZER
from serve_app.tools.check import ray_serve, ray_values
from serve_app.tools.check.models_together import check_models
from serve_app.tools.kube.findings import Place, Problem, Report

C = TypeVar("C", bound=Config)
ROUTER_PATH = "serve_app.app:build_router"
MODEL_PATH = "serve_app.app:build_model"
SERVICER = "serve_app.ingress.grpc.add_inference_service"
SERVICERS = (SERVICER, "serve_app.app.add_inference_service")


def check_serve_config(data: dict[str, Any], report: Report) -> None:
    """Everything that can be known to be wrong with a Serve config before it runs."""
    if not ray_serve.is_serve_config(data):
        text = "neither a Serve config nor a resource of Kubernetes"
        report.add((), text, "it was not looked at", severity="note")
        return
    before = len(report.found)
    report.extend(ray_serve.check(data))
    if not any(one.severity == "error" for one in report.found[before:]):
        _check_applications(data, report)
    report.found[before:] = map(_explained, report.found[before:])


def is_path(given: Any, ours: str) -> bool:
    """Whether an import path is one of ours, in either of the forms that Ray takes."""
    return isinstance(given, str) and given.replace(":", ".") == ours.replace(":", ".")


def _explained(one: Problem) -> Problem:
    """With why it matters, and the way out where the sentence has it."""
    _, found, better = one.what.rstrip("?").partition("; did you mean ")
    why = one.why or "the deploy fails, or the application at its start"
    return replace(one, why=why, fix=one.fix or (f"{better}" if found else ""))


def _check_applications(data: dict[str, Any], report: Report) -> None:
    """Ours: arguments, user_config, and what must fit together across applications."""
    routed: list[int] = []
    remote: dict[str, RemoteModel] = {}
    router: tuple[RouterArgs, RouterUserConfig, Place] | None = None
    for index, app in enumerate(data["applications"]):
        place: Place = ("applications", index)
        if app.get("route_prefix", "/") is not None:
            routed.append(index)
        path = app.get("import_path")
        if is_path(path, ROUTER_PATH):
            args = _read(RouterArgs, app.get("args") or {}, (*place, "args"), report)
            user, where = _user_config(app, place, "Router", RouterUserConfig, report)
            for at, one in enumerate(user.models if user else ()):
                _class(one.class_path, (*where, "models", at, "class"), report)
                _trusted(one, (*where, "models", at), report)
            _deployments(app, place, ("Router",), report)
            if args and user:
                router = (args, user, where)
        elif is_path(path, MODEL_PATH):
            _model(app, place, remote, report)
    ours = [app for app in data["applications"] if str(app["import_path"]).startswith("serve_app.app")]
    if ours and len(routed) != 1:
        report.add(
            ("applications",),
            f"exactly one application may have a route, this file has {len(routed)}: gRPC clients "
            "send no application name, so a second one would cut them off (set route_prefix: null)",
        )
    functions = (data.get("grpc_options") or {}).get("grpc_servicer_functions") or []
    if router and functions and not set(SERVICERS) & set(functions):
        report.add(("grpc_options", "grpc_servicer_functions"), f"must hold {SERVICER}")
    if router and not any(one.severity == "error" for one in report.found):
        check_models(data, router, remote, report)


def _class(path: str | None, place: Place, report: Report) -> None:
    """The class of a Python model."""
    if path and ":" not in path:
        report.add(place, f"'{path}' is no import path: module:Class")
    else:
        report.extend(ray_values.import_path(path, place))


def _trusted(model: ModelConfig, place: Place, report: Report) -> None:
    """What that means, where it is said."""
    if model.trusted:
        report.add(
            (*place, "trusted"),
            "a TorchScript file (model.pt) is loaded unchecked",
            "whoever can write it can read and write what the process can: files, tokens, requests",
            "torch.export.save(...) as model.pt2, which is checked",
            severity="note",
        )


def _model(app: dict[str, Any], place: Place, remote: dict[str, RemoteModel], report: Report) -> None:
    if app.get("route_prefix", "/") is not None:
        report.add((*place, "route_prefix"), "a model's application takes route_prefix: null")
    config = _read(RemoteModel, app.get("args") or {}, (*place, "args"), report)
    if config is None:
        return
    _class(config.class_path, (*place, "args", "class"), report)
    _trusted(config, (*place, "args"), report)
    names = (REPLICA, TOKENIZER) if config.model_format == "transformers" else (REPLICA,)
    _deployments(app, place, names, report)
    _user_config(app, place, REPLICA, ReplicaUserConfig, report)
    if config.name not in (None, app.get("name")):
        report.add((*place, "args", "name"), f"must equal the application's name, {app.get('name')!r}")
    # The application's name is the model's name, mostly: it obeys the same rule.
    _read(RemoteModel, {**(app.get("args") or {}), "name": app.get("name")}, (*place,), report)
    remote[str(app.get("name"))] = config


def _deployments(app: dict[str, Any], place: Place, names: tuple[str, ...], report: Report) -> None:
    for index, deployment in enumerate(app.get("deployments") or []):
        name = deployment.get("name")
        if name not in names:
            text = f"no deployment '{name}' here{did_you_mean(str(name), names)}"
            report.add((*place, "deployments", index, "name"), text)


def _user_config(
    app: dict[str, Any], place: Place, name: str, kind: type[C], report: Report
) -> tuple[C | None, Place]:
    for index, deployment in enumerate(app.get("deployments") or []):
        if deployment.get("name") == name and deployment.get("user_config"):
            where = (*place, "deployments", index, "user_config")
            return _read(kind, deployment["user_config"], where, report), where
    return kind(), place


def _read(kind: type[C], data: Any, place: Place, report: Report) -> C | None:
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        for inner, text in problems(error, kind):
            report.add((*place, *inner), text)
        return None
