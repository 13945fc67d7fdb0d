"""Causes in the pods of a RayService and the events around them."""

import re
from collections.abc import Iterator

from serve_app.tools.doctor import agent
from serve_app.tools.doctor.causes import Cause, Json, Snapshot, last
from serve_app.tools.doctor.happened import Event, events
from serve_app.tools.doctor.times import seconds
from serve_app.tools.kube.pods import Pod

_PULL = ("ImagePullBackOff", "ErrImagePull", "InvalidImageName", "ErrImageNeverPull")
_PORT = re.compile(r"address already in use|Failed to bind|errno 98", re.IGNORECASE)
_REDIS = re.compile(r"redis", re.IGNORECASE)
_VERSION = re.compile(r"Version mismatch|version mismatch|different version", re.IGNORECASE)
_CLAIMS = re.compile(r"unbound immediate PersistentVolumeClaims|persistentvolumeclaim", re.IGNORECASE)
_WAITS_S = 120  # that a worker waits for a head that is ready


def look(snapshot: Snapshot) -> Iterator[Cause]:
    """Through every pod that stays, then the events."""
    every = map(Pod, [*snapshot.pods, *(snapshot.redis or [])])
    pods = [pod for pod in every if not pod.leaves]
    told = events(snapshot.events)
    for pod in pods:
        yield from _scheduled(snapshot, pod, told)
        yield from _waits(snapshot, pod, pods)
        for status in pod.containers:
            yield from _container(snapshot, pod, status)
    up = {pod.name for pod in map(Pod, snapshot.pods) if pod.ready}
    for event in told:
        if event.of not in up:
            yield from _event(snapshot, event)


def _scheduled(snapshot: Snapshot, pod: Pod, told: list[Event]) -> Iterator[Cause]:
    condition = pod.condition("PodScheduled")
    if condition.get("status") != "False":
        return
    message, since = str(condition.get("message") or ""), str(condition.get("lastTransitionTime") or "")
    evidence = f"it asks for {_asked(pod)}\n{message}"
    describe = f"{snapshot.kubectl} describe pod {pod.name}"
    if condition.get("reason") == "SchedulingGated":
        yield Cause(81, f"pod {pod.name} is held back by a scheduling gate", evidence,
                    "whoever set the gate takes it off (Kueue, say)", describe, since)  # fmt: skip
    elif _CLAIMS.search(message):
        claims = ", ".join(pod.claims) or "its volume claim"
        yield _claim(snapshot, pod.name, claims, [evidence, *_about(pod.claims, told)], since)
    elif machine := next((e for e in told if (e.of, e.reason) == (pod.name, "TriggeredScaleUp")), None):
        yield Cause(
            16, f"pod {pod.name} waits for a machine", f"{evidence}\n{machine.message}",
            "no machine has that free, and the cluster's own autoscaler brings one", snapshot.watch,
            since, "when the machine has joined", "scaling", wait=True,
        )  # fmt: skip
    else:
        refused = [e.message for e in told if (e.of, e.reason) == (pod.name, "NotTriggerScaleUp")]
        yield Cause(
            80, f"pod {pod.name} finds no machine", "\n".join([evidence, *refused[-1:]]),
            "no machine has that free; a taint or a missing device plugin counts as well",
            f"{describe}; smaller `resources`, or more machines", since,
        )  # fmt: skip


def _claim(snapshot: Snapshot, pod: str, claims: str, evidence: list[str], since: str) -> Cause:
    return Cause(
        82, f"pod {pod} waits for its volume", "\n".join(evidence),
        f"{claims}: no volume fits it, or no storage class makes one",
        f"{snapshot.kubectl} get pvc,storageclass; a `storageClassName` that the cluster has", since,
    )  # fmt: skip


def _about(names: list[str], told: list[Event]) -> list[str]:
    found = [
        e.message for e in told if e.of in names and e.reason in ("FailedBinding", "ProvisioningFailed")
    ]
    return found[-1:]


def _waits(snapshot: Snapshot, pod: Pod, pods: list[Pod]) -> Iterator[Cause]:
    """A worker whose first container asks for the head, though that is ready."""
    init: Json = next((one for one in pod.containers if one.get("name") == "wait-gcs-ready"), {})
    running = (init.get("state") or {}).get("running") or {}
    head = next((one for one in pods if (one.cluster, one.role) == (pod.cluster, "head")), None)
    if not running or head is None or not head.ready:
        return
    since = max(
        str(running.get("startedAt") or ""), str(head.condition("Ready").get("lastTransitionTime"))
    )
    waited = seconds(since, snapshot.now)
    if waited is not None and waited > _WAITS_S:
        yield Cause(
            68, f"worker {pod.name} doesn't reach its head",
            f"{head.name} is ready, and it still waits for it",
            "a network policy between them (port 6379, and DNS), or no name service",
            f"{snapshot.kubectl} logs {pod.name} -c wait-gcs-ready; "
            f"{snapshot.kubectl} get networkpolicies",
            since,
        )  # fmt: skip


def _asked(pod: Pod) -> str:
    return "; ".join(
        f"{name}: " + ", ".join(f"{key} {value}" for key, value in requests.items())
        for name, requests in pod.requests.items()
    )


def _container(snapshot: Snapshot, pod: Pod, status: Json) -> Iterator[Cause]:
    waiting = (status.get("state") or {}).get("waiting") or {}
    ended = (status.get("lastState") or {}).get("terminated") or {}
    ended = ended or (status.get("state") or {}).get("terminated") or {}
    reason = str(waiting.get("reason") or "")
    if reason in _PULL:
        yield _image(status, str(waiting.get("message") or reason))
    elif reason in ("CreateContainerConfigError", "CreateContainerError"):
        yield Cause(
            88, f"pod {pod.name} can't be made", str(waiting.get("message") or ""),
            "a secret or a config map that it names isn't there",
            f"{snapshot.kubectl} get secrets,configmaps",
        )  # fmt: skip
    elif ended.get("reason") == "OOMKilled":
        yield Cause(
            79, f"container {status.get('name')} of {pod.name} was killed: memory",
            f"{status.get('restartCount', 0)} restarts, the last one at {ended.get('finishedAt')}",
            "it took more than its limit",
            "a higher memory limit, or fewer replicas on the node (max_replicas_per_node): "
            + snapshot.redeploy,
        )  # fmt: skip
    elif reason == "CrashLoopBackOff" or ended.get("exitCode"):
        log = snapshot.logs.get(pod.name, "")
        if agent.late(log):
            yield agent.too_late(snapshot, pod, log)
            return
        again = status.get("restartCount") or not (status.get("state") or {}).get("terminated")
        yield Cause(
            70, f"container {status.get('name')} of {pod.name} ends with {ended.get('exitCode')}",
            last(log) or str(ended.get("message") or ""), _said(log),
            f"{snapshot.kubectl} logs {pod.name}{' --previous' if again else ''}",
        )  # fmt: skip


def _image(status: Json, message: str) -> Cause:
    secret = re.search(r"unauthorized|denied|authentication|forbidden", message, re.IGNORECASE)
    return Cause(
        90, f"image {status.get('image')} can't be pulled", message,
        "no right to pull it" if secret else "it isn't there under this name, or can't be reached",
        "imagePullSecrets in the pod template"
        if secret
        else "push it, load it (`kind load`), or mend `image`",
    )  # fmt: skip


def _said(log: str) -> str:
    if _PORT.search(log):
        return "a port is taken: two programs of the pod, or hostNetwork, want the same one"
    if _VERSION.search(log):
        return "Ray or Python differ between head and worker: one image for both"
    if _REDIS.search(log):
        return "Redis can't be reached: its address, its password, or the network policy in between"
    return "the last line is the reason"


def _event(snapshot: Snapshot, event: Event) -> Iterator[Cause]:
    message, reason = event.message, event.reason
    if reason == "Unhealthy" and "wget" in message and "not found" in message:
        yield Cause(
            72, "the readiness probe can't run: no wget in the image", message,
            "KubeRay asks Ray's agent and Serve's proxy with wget",
            "an image with wget, or a readinessProbe of your own",
        )  # fmt: skip
    elif reason == "FailedMount":
        yield Cause(73, f"a volume of {event.of} isn't there", message,
                    next=f"{snapshot.kubectl} describe pod {event.of}")  # fmt: skip
