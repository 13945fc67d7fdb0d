"""A replica that no node of Ray's can take: what is missing, and whether it is on its way."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from serve_app.tools.doctor.causes import Cause, Snapshot
from serve_app.tools.doctor.seen import Seen
from serve_app.tools.doctor.times import length, seconds
from serve_app.tools.kube.documents import CONFIG
from serve_app.tools.kube.pods import Pod
from serve_app.tools.serve_says import NoRoom

_LIMIT = "max_replicas_per_node"


def no_place(snapshot: Snapshot, app: str, name: str, state: Mapping[str, Any], room: NoRoom) -> Cause:
    """Why, what it waits for, and what to do when nothing comes."""
    who = f"deployment {name} of application '{app}'"
    evidence = f"a replica asks for {room.asked}\nfree in the cluster: {room.free}\n"
    evidence += f"for more than {room.seconds} s"
    fits = _fits(room)
    limit = _limit(snapshot, app, name, state) if fits else None
    if limit:
        why = f"{_LIMIT}: {limit} lets no more of them onto a node that has one"
        mend = f"more nodes, a higher {_LIMIT}, or fewer replicas"
    elif fits:
        why = "there is enough in all, and perhaps not on any one node"
        mend = "smaller replicas (`resources`), or larger nodes"
    else:
        why = "no node has that free, or none has it at all"
        mend = "smaller replicas (`resources`), or fewer of them"
    coming = _coming(snapshot)
    if coming:
        age = seconds(min(pod.created for pod in coming), snapshot.now)
        names = ", ".join(pod.name for pod in coming)
        evidence += f"\npod {names} is on its way, asked for {length(age or 0)} ago"
        return Cause(
            19, f"{who} waits for a node", evidence, why, snapshot.watch,
            min(pod.created for pod in coming), f"when {names} is ready", "scaling", wait=True,
        )  # fmt: skip
    if full := "; ".join(_full(snapshot)):
        evidence += f"\n{full}"
        mend += ", or a higher `maxReplicas` of the group"
    return Cause(60, f"{who} finds no room", evidence, why, f"{mend}: {snapshot.redeploy}")


def _fits(room: NoRoom) -> bool:
    """Whether the cluster has that much free, all nodes together."""
    try:
        asked, free = json.loads(room.asked), json.loads(room.free)
        return all(float(free.get(key, 0)) >= float(value) for key, value in asked.items())
    except (ValueError, TypeError, AttributeError):
        return False


def _limit(snapshot: Snapshot, app: str, name: str, state: Mapping[str, Any]) -> int | None:
    """max_replicas_per_node, by Serve, else by the config in the resource."""
    config: Mapping[str, Any] = state.get("deployment_config") or {}
    found = config.get(_LIMIT) or next(_written(snapshot, app, name), None)
    return found if isinstance(found, int) else None


def _written(snapshot: Snapshot, app: str, name: str) -> Iterator[Any]:
    try:
        config = yaml.safe_load(str((snapshot.service.get("spec") or {}).get(CONFIG) or ""))
        for one in config["applications"]:
            for deployment in one.get("deployments") or []:
                if (one.get("name"), deployment.get("name")) == (app, name):
                    yield deployment.get(_LIMIT)
    except (yaml.YAMLError, TypeError, KeyError, AttributeError):
        return


def _coming(snapshot: Snapshot) -> list[Pod]:
    """Workers that have been asked for and aren't there yet, of the clusters that are to stay."""
    if not snapshot.namespace:
        return []
    seen = Seen(snapshot)
    return [
        pod
        for cluster in (seen.pending, seen.active)
        for pod in seen.workers(cluster)
        if pod.ready is not True and pod.phase != "Failed" and pod.placed
    ]


def _full(snapshot: Snapshot) -> Iterator[str]:
    """Groups of workers that may not grow."""
    if not snapshot.namespace:
        return
    seen = Seen(snapshot)
    cluster = seen.ray_cluster(seen.active or seen.pending)
    for group in cluster.workers if cluster else ():
        have = [
            pod
            for pod in seen.workers(seen.active or seen.pending)
            if pod.labels.get("ray.io/group") == group.name
        ]
        if cluster and not cluster.autoscaled:
            yield f"group {group.name} has {len(have)} workers, and no autoscaler makes more"
        elif len(have) >= group.most:
            yield f"group {group.name} has {len(have)} of at most {group.most:g} workers (maxReplicas)"
