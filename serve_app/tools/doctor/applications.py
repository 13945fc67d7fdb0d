"""Causes in what Serve says of its applications."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from serve_app.releases.applications import cause
from serve_app.tools.doctor.causes import Cause, Snapshot, last
from serve_app.tools.doctor.replicas import counts, of
from serve_app.tools.doctor.room import no_place
from serve_app.tools.doctor.seen import Seen, before
from serve_app.tools.doctor.times import length, seconds
from serve_app.tools.serve_says import no_room, slow

_OUT_OF_MEMORY = re.compile(r"OutOfMemory|OOM|out of memory|exit code 137", re.IGNORECASE)
# What Serve says when a replica died under it; it starts others without being asked.
_REPLACED = re.compile(
    r"health check failed|node (?:has )?died|node was (?:terminated|drained|preempted)|NodeDied|"
    r"ActorUnavailable",
    re.IGNORECASE,
)
# Ray's guesses, which stand behind every crash.
_GUESSES = re.compile(
    r"(?:There are some potential root causes|Some common causes include).*", re.DOTALL
)
NONE = 44
DEPTHS = _NOT_SEEN, _UNDER_WAY = 11, 12
_GAVE_UP = "times in a row"  # Serve tries no more, until the next deploy
_BUILD = "Deploying app"  # of an application that wasn't built: what was there before isn't touched


def look(snapshot: Snapshot) -> Iterator[Cause]:
    """Through every application, of the cluster that serves and of the one that is made."""
    if snapshot.namespace:
        seen = Seen(snapshot)
        for name in seen.kept:
            for app, state in seen.applications(name).items():
                yield from _one(snapshot, app, state, seen.active == name)
                yield from _not_seen(seen, name, app, state)
        if snapshot.serves.get(seen.active) and not seen.applications(seen.active):
            yield Cause(
                NONE, f"Serve has no application on {seen.active}", "by its own word",
                "somebody took them away, and the operator hands its config over when that changes",
                f"change serveConfigV2, a comment is enough: {snapshot.redeploy}",
            )  # fmt: skip
    elif snapshot.ray:
        applications = applications_of(snapshot)
        serving = any(one.get("status") == "RUNNING" for one in applications.values())
        for app, state in applications.items():
            yield from _one(snapshot, app, state, serving)
        if not applications:
            yield Cause(
                10, "Serve has no application", why="nothing was deployed, or the config was refused",
                next="`tandem check CONFIG`, `tandem deploy CONFIG`", state="empty",
            )  # fmt: skip


def _not_seen(seen: Seen, cluster: str, app: str, state: Mapping[str, Any]) -> Iterator[Cause]:
    """An application that runs, by Serve's own word, and not yet by the operator's."""
    told = (seen.told(cluster).get(app) or {}).get("status")
    if told == "DEPLOYING" and state.get("status") == "RUNNING" and cluster in seen.snapshot.serves:
        looked = seen.service.status.get("lastUpdateTime")
        yield Cause(
            _NOT_SEEN, f"application '{app}' runs, and the operator hasn't seen that yet",
            "\n".join([f"the operator looked at {looked}, when it was {told}", *_came(seen.snapshot)]),
            "", seen.snapshot.watch,
            ends="with the operator's next look", state=_word(seen.snapshot, True), wait=True,
        )  # fmt: skip


def _word(snapshot: Snapshot, serving: bool) -> str:
    """What it is when an application is being deployed: more workers came for it, or it is changed."""
    if not serving:
        return "starting"
    return "scaling" if _came(snapshot) else "changing"


def _came(snapshot: Snapshot) -> list[str]:
    """Workers that were made since the operator handed the config over."""
    seen = Seen(snapshot)
    handed = seen.since_event("UpdatedServeApplications", snapshot.name)
    return [
        f"worker {pod.name} came for it, asked for {length(seconds(pod.created, snapshot.now) or 0)} ago"
        for pod in seen.workers(seen.active)
        if handed and before(handed, pod.created) and before(seen.provisioned(seen.active), pod.created)
    ]


def applications_of(snapshot: Snapshot) -> Mapping[str, Any]:
    """Those that serve, by name, by whoever was asked."""
    if snapshot.namespace:
        seen = Seen(snapshot)
        return seen.applications(seen.active or seen.pending)
    found: Mapping[str, Any] = (snapshot.ray.get("serve") or {}).get("applications") or {}
    return found


def _one(snapshot: Snapshot, name: str, app: Mapping[str, Any], serving: bool) -> Iterator[Cause]:
    status, deployments = app.get("status"), of(app)
    if status == "RUNNING" and all(_well(one) for one in deployments.values()):
        return
    found = [
        one
        for deployment, state in deployments.items()
        if not _well(state)
        for one in _deployment(snapshot, name, deployment, state)
    ]
    yield from found
    if found or status == "RUNNING":
        return
    message = str(app.get("message") or "")
    if status in ("DEPLOY_FAILED", "UNHEALTHY"):
        yield _failed(snapshot, name, str(status), message, serving and not deployments)
    else:
        yield _under_way(snapshot, name, str(status), message, serving)


def _well(state: Mapping[str, Any]) -> bool:
    return state.get("status") in ("HEALTHY", "RUNNING")


def _failed(snapshot: Snapshot, name: str, status: str, message: str, serving: bool) -> Cause:
    if serving and (status == "DEPLOY_FAILED" or message.startswith(_BUILD)):
        others = [
            app for app, one in applications_of(snapshot).items() if one.get("status") == "RUNNING"
        ]
        runs = f"; these run: {', '.join(others)}" if others else ""
        since = Seen(snapshot).since_event("UpdatedServeApplications", snapshot.name)
        return Cause(
            47, f"the change of application '{name}' is refused", cause(message),
            f"what it had before, if anything, goes on{runs}", snapshot.redeploy, since, state="refused",
        )  # fmt: skip
    if status == "UNHEALTHY" and (
        not message or _REPLACED.search(message) or "are UNHEALTHY" in message
    ):
        return _replaced(snapshot, f"application '{name}'", message)
    return Cause(
        40, f"application '{name}' is {status}", last(message),
        "the last line is the reason; the other applications go on", snapshot.redeploy,
    )  # fmt: skip


def _under_way(snapshot: Snapshot, name: str, status: str, message: str, serving: bool) -> Cause:
    what = "is removed" if status == "DELETING" else "is being deployed"
    return Cause(
        _UNDER_WAY, f"application '{name}' {what} ({status})",
        "\n".join([last(message), *_came(snapshot)]),
        "its replicas start, or are exchanged one after the other", snapshot.watch,
        ends="when they are all there", state=_word(snapshot, serving), wait=True,
    )  # fmt: skip


def _replaced(snapshot: Snapshot, who: str, message: str, evidence: str = "") -> Cause:
    return Cause(
        20, f"replicas of {who} died, and Serve starts others", evidence or last(message),
        "a node or a process of theirs went; the replicas that are left serve on", snapshot.watch,
        ends="when the new ones are ready", state="recovering", wait=True,
    )  # fmt: skip


def _deployment(snapshot: Snapshot, app: str, name: str, state: Mapping[str, Any]) -> Iterator[Cause]:
    who, message = f"deployment {name} of application '{app}'", str(state.get("message") or "")
    number = counts(state)
    runs = f"{number[0]} of {number[1]} replicas run" if number else ""
    if room := no_room(message):
        yield no_place(snapshot, app, name, state, room)
    elif slow_s := slow(message):
        yield Cause(
            30, f"{who} takes long to start", f"more than {slow_s} s so far",
            "a model that is large or far away loads slowly; its requests wait or get a 503",
            f"{snapshot.watch}; the lines `loaded` in its replica's log have the seconds",
            ends="when it is loaded", state="changing", wait=True,
        )  # fmt: skip
    elif _REPLACED.search(message) and _GAVE_UP not in message:
        yield _replaced(snapshot, who, message, "\n".join(filter(None, (runs, last(message)))))
    elif message and state.get("status") not in ("UPSCALING", "DOWNSCALING"):
        memory = _OUT_OF_MEMORY.search(_GUESSES.sub("", message))
        yield Cause(
            55, f"a replica of {who} {'ran out of memory' if memory else 'fails'}", last(message),
            "the last line is the reason" + ("; Serve has given up" if _GAVE_UP in message else ""),
            "more memory for the node, or fewer replicas on it (max_replicas_per_node): "
            + snapshot.redeploy if memory else snapshot.redeploy,
        )  # fmt: skip
    elif state.get("status") in ("UPSCALING", "DOWNSCALING"):
        yield Cause(
            13, f"{who} is {str(state['status']).lower()}", runs or message,
            "Serve's autoscaler, or a changed number of replicas", snapshot.watch,
            ends="when it has as many replicas as it wants", state="scaling", wait=True,
        )  # fmt: skip
    elif state.get("status") == "UNHEALTHY":
        yield _replaced(snapshot, who, message, runs)
