"""Causes in the pods of a RayService and the events around them."""

import re
from collections.abc import Iterator

from serve_app.tools.doctor.causes import Cause, Json, Snapshot, last
from serve_app.tools.kube.pods import Pod

_PULL = ("ImagePullBackOff", "ErrImagePull", "InvalidImageName", "ErrImageNeverPull")
_PORT = re.compile(r"address already in use|Failed to bind|errno 98", re.IGNORECASE)
_REDIS = re.compile(r"redis", re.IGNORECASE)
_VERSION = re.compile(r"Version mismatch|version mismatch|different version", re.IGNORECASE)


def look(snapshot: Snapshot) -> Iterator[Cause]:
    """Through every pod, then the events."""
    for pod in map(Pod, snapshot.pods):
        yield from _scheduled(snapshot, pod)
        for status in pod.containers:
            yield from _container(snapshot, pod.name, status)
    for event in snapshot.events:
        yield from _event(snapshot, event)


def notes(snapshot: Snapshot) -> list[str]:
    """What is as it should be, and worth saying."""
    return [
        f"{pod.name} is NotReady: a worker without a replica is, by design"
        for pod in map(Pod, snapshot.pods)
        if pod.labels.get("ray.io/node-type") == "worker" and pod.ready is False
    ]


def _scheduled(snapshot: Snapshot, pod: Pod) -> Iterator[Cause]:
    for condition in pod.conditions:
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            asked = _asked(pod)
            yield Cause(
                80,
                f"pod {pod.name} finds no machine",
                f"it asks for {asked}\n{condition.get('message', '')}",
                "no machine has that free; a taint or a missing device plugin counts as well",
                f"{snapshot.kubectl} describe pod {pod.name}; smaller `resources`, or more machines",
            )


def _asked(pod: Pod) -> str:
    return "; ".join(
        f"{name}: " + ", ".join(f"{key} {value}" for key, value in requests.items())
        for name, requests in pod.requests.items()
    )


def _container(snapshot: Snapshot, name: str, status: Json) -> Iterator[Cause]:
    waiting = (status.get("state") or {}).get("waiting") or {}
    ended = (status.get("lastState") or {}).get("terminated") or {}
    ended = ended or (status.get("state") or {}).get("terminated") or {}
    reason = str(waiting.get("reason") or "")
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
