"""Causes in the pods of a RayService and the events around them."""

import re
from collections.abc import Iterator
from typing import Any

from serve_app.tools.doctor.causes import Cause, Json, Snapshot, last

_PULL = ("ImagePullBackOff", "ErrImagePull", "InvalidImageName", "ErrImageNeverPull")
_PORT = re.compile(r"address already in use|Failed to bind|errno 98", re.IGNORECASE)
_REDIS = re.compile(r"redis", re.IGNORECASE)
_VERSION = re.compile(r"Version mismatch|version mismatch|different version", re.IGNORECASE)


def look(snapshot: Snapshot) -> Iterator[Cause]:
    """Through every pod, then the events."""
    for pod in snapshot.pods:
        yield from _scheduled(snapshot, pod)
        for status in _statuses(pod):
            yield from _container(snapshot, pod, status)
    for event in snapshot.events:
        yield from _event(snapshot, event)


def _name(thing: Json) -> str:
    return str((thing.get("metadata") or {}).get("name"))


def _statuses(pod: Json) -> list[Any]:
    status = pod.get("status") or {}
    return [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]


def _scheduled(snapshot: Snapshot, pod: Json) -> Iterator[Cause]:
    for condition in (pod.get("status") or {}).get("conditions") or []:
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            asked = _asked(pod)
            yield Cause(
                80,
                f"pod {_name(pod)} finds no machine",
                f"it asks for {asked}\n{condition.get('message', '')}",
                "no machine has that free; a taint or a missing device plugin counts as well",
                f"{snapshot.kubectl} describe pod {_name(pod)}; smaller `resources`, or more machines",
            )


def _asked(pod: Json) -> str:
    containers = (pod.get("spec") or {}).get("containers") or []
    return "; ".join(
        f"{one.get('name')}: "
        + ", ".join(f"{k} {v}" for k, v in ((one.get("resources") or {}).get("requests") or {}).items())
        for one in containers
    )


def _container(snapshot: Snapshot, pod: Json, status: Json) -> Iterator[Cause]:
    waiting = (status.get("state") or {}).get("waiting") or {}
    ended = (status.get("lastState") or {}).get("terminated") or {}
    ended = ended or (status.get("state") or {}).get("terminated") or {}
    reason, name = str(waiting.get("reason") or ""), _name(pod)
    if reason in _PULL:
        message = str(waiting.get("message") or "")
        secret = re.search(r"unauthorized|denied|authentication|forbidden", message, re.IGNORECASE)
        yield Cause(
            90,
            f"image {status.get('image')} can't be pulled",
            message or reason,
            "no right to pull it" if secret else "it isn't there under this name, or can't be reached",
            "imagePullSecrets in the pod template"
            if secret
            else "push it, load it (`kind load`), or mend `image`",
        )
        return
    if reason == "CreateContainerConfigError":
        yield Cause(
            88, f"pod {name} can't be made", str(waiting.get("message") or ""),
            "a secret or a config map that it names isn't there",
            f"{snapshot.kubectl} get secrets,configmaps",
        )  # fmt: skip
        return
    if ended.get("reason") == "OOMKilled":
        yield Cause(
            75,
            f"container {status.get('name')} of {name} was killed: memory",
            f"{status.get('restartCount', 0)} restarts, the last one at {ended.get('finishedAt')}",
            "it took more than its limit",
            "a higher memory limit, or fewer replicas on the node (max_replicas_per_node)",
        )
    elif reason == "CrashLoopBackOff" or ended.get("exitCode"):
        log = snapshot.logs.get(name, "")
        yield Cause(
            70,
            f"container {status.get('name')} of {name} ends with {ended.get('exitCode')}",
            last(log) or str(ended.get("message") or ""),
            _said(log),
            f"{snapshot.kubectl} logs {name} --previous",
        )


def _said(log: str) -> str:
    if _PORT.search(log):
        return "a port is taken: two programs of the pod, or hostNetwork, want the same one"
    if _VERSION.search(log):
        return "Ray or Python differ between head and worker: one image for both"
    if _REDIS.search(log):
        return "Redis can't be reached: its address, its password, or the network policy in between"
    return "the last line is the reason"


def _event(snapshot: Snapshot, event: Json) -> Iterator[Cause]:
    message, reason = str(event.get("message") or ""), event.get("reason")
    if "exceeded quota" in message:
        yield Cause(
            85, "the namespace's quota is used up", message,
            "an upgrade needs both clusters' share at once",
            f"{snapshot.kubectl} describe resourcequota; raise it, or use the incremental upgrade",
        )  # fmt: skip
    elif reason == "Unhealthy" and "wget" in message and "not found" in message:
        yield Cause(
            72, "the readiness probe can't run: no wget in the image", message,
            "KubeRay asks Ray's agent and Serve's proxy with wget",
            "an image with wget, or a readinessProbe of your own",
        )  # fmt: skip
    elif reason == "FailedMount":
        yield Cause(
            73, f"a volume of {(event.get('involvedObject') or {}).get('name')} isn't there", message
        )
