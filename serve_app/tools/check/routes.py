"""Names and routes of a Serve config's applications: one Router with a route, the models without."""

from collections.abc import Iterator
from typing import Any

from serve_app.internals.serve_schema import ServeApplicationSchema
from serve_app.tools.check.paths import MODEL_PATH, ROUTER_PATH, SERVICER, SERVICERS, nearest
from serve_app.tools.kube.documents import get, items
from serve_app.tools.kube.findings import Place, Problem

_ROUTER = f"- {{name: tandem, route_prefix: /, import_path: {ROUTER_PATH}}}"
_UNNAMED = ServeApplicationSchema.model_fields["name"].default
_CUT_OFF = "gRPC clients send no application name, so a second one would cut them off"


def check(data: dict[str, Any]) -> Iterator[Problem]:
    """What Serve, or a gRPC client, would stumble over."""
    apps: list[tuple[Place, dict[str, Any]]] = [
        (("applications", index), app)
        for index, app in enumerate(items(data, "applications"))
        if isinstance(app, dict) and app  # one that the schema refuses is left empty
    ]
    ours = {place: nearest(app.get("import_path")) for place, app in apps}
    yield from _named_twice(apps, "application", _UNNAMED)
    routed: list[tuple[Place, dict[str, Any]]] = []
    for place, app in apps:
        some = enumerate(items(app, "deployments"))
        yield from _named_twice([((*place, "deployments", at), one) for at, one in some], "deployment")
        if ours[place] == MODEL_PATH:
            yield from _without(place, app)
        elif app.get("route_prefix", "/") is not None:
            routed.append((place, app))
    yield from _routers(apps, routed) if any(ours.values()) else _same_route(routed)
    functions = get(data, "grpc_options", "grpc_servicer_functions") or []
    if ROUTER_PATH in ours.values() and functions and not set(SERVICERS) & set(map(nearest, functions)):
        yield Problem(("grpc_options", "grpc_servicer_functions"), f"must hold {SERVICER}")


def _named_twice(some: list[tuple[Place, Any]], what: str, default: str = "") -> Iterator[Problem]:
    """Serve refuses two applications of one name; of deployments the later one goes over the earlier."""
    why = "" if default else "Serve takes the later one's options, and drops the earlier one's"
    seen = set[str]()
    for place, one in some:
        if (name := str(get(one, "name") or default)) and name in seen:
            yield Problem((*place, "name"), f"another {what} '{name}' came before", why)
        seen.add(name)


def _without(place: Place, app: dict[str, Any]) -> Iterator[Problem]:
    where = (*place, "route_prefix")
    if "route_prefix" not in app:
        yield Problem(
            where, "`route_prefix: null` is missing: without it Serve gives the application the route /",
            "the Router's is the one with a route, and it hands on to the models",
            "route_prefix: null",
        )  # fmt: skip
    elif app["route_prefix"] is not None:
        what = f"a model's application takes route_prefix: null, not '{app['route_prefix']}'"
        yield Problem(where, what, _CUT_OFF, "route_prefix: null")


def _routers(
    apps: list[tuple[Place, dict[str, Any]]], routed: list[tuple[Place, dict[str, Any]]]
) -> Iterator[Problem]:
    routers = [(place, app) for place, app in apps if nearest(app.get("import_path")) == ROUTER_PATH]
    if not routers and not routed:
        yield Problem(
            ("applications",), "no application has a route: the Router is missing",
            "models are reached through the Router alone", _ROUTER,
        )  # fmt: skip
    elif not routers:
        what = f"no Router ({ROUTER_PATH}): nothing here hands requests to the models"
        yield Problem(("applications",), what, "models are reached through it alone", _ROUTER)
    for place, app in routers:
        if app.get("route_prefix", "/") is None:
            yield Problem(
                (*place, "route_prefix"), "the Router is the one application with a route",
                "no request would reach it", "route_prefix: /",
            )  # fmt: skip
    first = next((one for one in routed if one in routers), routed[0] if routed else None)
    for place, _ in routed:
        if first and place != first[0]:
            what = f"exactly one application may have a route, and '{first[1].get('name')}' has one"
            yield Problem((*place, "route_prefix"), what, _CUT_OFF, "route_prefix: null")


def _same_route(routed: list[tuple[Place, dict[str, Any]]]) -> Iterator[Problem]:
    owners = dict[Any, Any]()
    for place, app in routed:
        route = app.get("route_prefix", "/")
        if route in owners:
            what = f"'{route}' is also the route of application '{owners[route]}'"
            yield Problem((*place, "route_prefix"), what, "Serve refuses the config")
        owners.setdefault(route, app.get("name"))
