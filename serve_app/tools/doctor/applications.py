"""Causes in what Serve says of its applications."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from serve_app.tools.doctor.causes import Cause, Snapshot, last
from serve_app.tools.kube.ray_service import RayService
from serve_app.tools.serve_says import no_room, slow

_OUT_OF_MEMORY = re.compile(r"OutOfMemory|OOM|out of memory|exit code 137|SIGKILL", re.IGNORECASE)


def look(snapshot: Snapshot) -> Iterator[Cause]:
    """Through every application."""
    if not snapshot.ray and not snapshot.service:
        return
    applications = applications_of(snapshot)
    if not applications:
        yield Cause(
            10,
            "Serve has no application",
            why="nothing was deployed, or the config was refused",
            next="tandem deploy CONFIG",
        )
    for name, app in applications.items():
        if app.get("status") != "RUNNING":
            yield from _application(snapshot, name, app)


def applications_of(snapshot: Snapshot) -> Mapping[str, Any]:
    """By name, by whoever was asked."""
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
    if room := no_room(message):
        yield Cause(
            60,
            f"{who} finds no room",
            f"a replica asks for {room.asked}\nfree in the cluster: {room.free}\n"
            f"for more than {room.seconds} s",
            "no node has that free, or none has it at all",
            "smaller replicas (`resources`), fewer of them, or more nodes (`maxReplicas` of a group)",
        )
    elif seconds := slow(message):
        yield Cause(
            30,
            f"{who} takes long to start",
            f"more than {seconds} s so far",
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
