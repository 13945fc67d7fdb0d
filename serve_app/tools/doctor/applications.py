"""Causes in what Serve says of its applications."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from serve_app.tools.doctor.causes import Cause, Snapshot, last
from serve_app.tools.kube.ray_service import RayService

_WAITS = re.compile(
    r"more than (\d+)s to be scheduled.*?Resources required for each replica: (\{.*?\}), "
    r"total resources available: (\{.*?\})",
    re.DOTALL,
)
_SLOW = re.compile(r"more than (\d+)s to initialize")
_OUT_OF_MEMORY = re.compile(r"OutOfMemory|OOM|out of memory|exit code 137|SIGKILL", re.IGNORECASE)


def look(snapshot: Snapshot) -> Iterator[Cause]:
    """Through every application, then the models that the Router knows."""
    if not snapshot.ray and not snapshot.service:
        return
    applications = _applications(snapshot)
    if not applications:
        yield Cause(
            10,
            "Serve has no application",
            why="nothing was deployed, or the config was refused",
            next="serve deploy -a http://DASHBOARD:8265 CONFIG, after `tandem check CONFIG`",
        )
    for name, app in applications.items():
        if app.get("status") != "RUNNING":
            yield from _application(snapshot, name, app)
    yield from _models(snapshot.ray, applications)


def _applications(snapshot: Snapshot) -> Mapping[str, Any]:
    if snapshot.ray.get("serve"):
        found: Mapping[str, Any] = snapshot.ray["serve"].get("applications") or {}
        return found
    service = RayService(snapshot.service)
    return service.pending.applications or service.active.applications


def _application(snapshot: Snapshot, name: str, app: Mapping[str, Any]) -> Iterator[Cause]:
    deployments = app.get("deployments") or app.get("serveDeploymentStatuses") or {}
    before = 0
    for deployment, state in deployments.items():
        if state.get("status") not in ("HEALTHY", "RUNNING"):
            for cause in _deployment(snapshot, name, deployment, str(state.get("message") or "")):
                before += 1
                yield cause
    if before:
        return
    message = str(app.get("message") or "")
    if app.get("status") in ("DEPLOY_FAILED", "UNHEALTHY"):
        yield Cause(
            40,
            f"application '{name}' is {app['status']}",
            last(message),
            "the last line is the reason; the other applications go on",
            "mend it, `tandem check` the file, deploy again",
        )
    else:
        yield Cause(20, f"application '{name}' is {app.get('status')}", last(message), "it is under way")


def _deployment(snapshot: Snapshot, app: str, name: str, message: str) -> Iterator[Cause]:
    who = f"deployment {name} of application '{app}'"
    if match := _WAITS.search(message):
        seconds, asked, there = match.groups()
        yield Cause(
            60,
            f"{who} finds no room",
            f"a replica asks for {asked}\nfree in the cluster: {there}\nfor more than {seconds} s",
            "no node has that free, or none has it at all",
            "smaller replicas (`resources`), fewer of them, or more nodes (`maxReplicas` of a group)",
        )
    elif match := _SLOW.search(message):
        yield Cause(
            30,
            f"{who} takes long to start",
            f"more than {match[1]} s so far",
            "a model that is large or far away loads slowly; its requests wait or get a 503",
            "wait, or look at its replica's log: the lines `loaded` have the seconds",
        )
    elif message:
        memory = _OUT_OF_MEMORY.search(message)
        yield Cause(
            55,
            f"a replica of {who} {'ran out of memory' if memory else 'fails'}",
            last(message),
            "the last line is the reason",
            "more memory for the node, or fewer replicas on it"
            if memory
            else "mend it, and deploy again",
        )


def _models(ray: Mapping[str, Any], applications: Mapping[str, Any]) -> Iterator[Cause]:
    for row in ray.get("index") or []:
        app = applications.get(row["name"])
        if row.get("state") != "READY" and (app is None or app.get("status") == "RUNNING"):
            yield Cause(
                50,
                f"model '{row['name']}' isn't ready",
                str(row.get("reason") or ""),
                "the service answers for the others",
            )
    if http := ray.get("http"):
        yield Cause(
            45, "HTTP doesn't answer as Tandem does", str(http),
            "another program has the port, or the proxies have no Router",
            "ss -ltnp | grep PORT tells who listens",
        )  # fmt: skip
