"""Workers of the cluster that serves, on their way: in the place of one that was lost, or asked for by
the autoscaler. A worker without a replica on it is NotReady by design, and isn't on its way."""

from collections.abc import Iterator

from serve_app.tools.doctor.causes import Cause
from serve_app.tools.doctor.replicas import homeless, missing
from serve_app.tools.doctor.seen import Seen
from serve_app.tools.doctor.times import length, seconds
from serve_app.tools.kube.documents import get
from serve_app.tools.kube.pods import Pod

_YOUNG_S = 120  # from a pod's making until it is ready, when nothing has to be fetched
_TOGETHER_S = 30  # from the end of a pod to the making of the next


def look(seen: Seen) -> Iterator[Cause]:
    """One cause for each reason."""
    name = seen.active
    if not name or not seen.cluster(name) or seen.blind:
        return
    workers = seen.workers(name)
    ended = [pod for pod in workers if pod.phase == "Failed"]
    coming = [pod for pod in workers if pod.ready is not True and pod.phase != "Failed"]
    lost = {pod.name: _in_place_of(seen, pod) for pod in coming}
    replaced = [pod for pod in coming if lost[pod.name]]
    gone = homeless(seen, name)
    if replaced or ended or gone:
        yield _recovering(seen, replaced, ended, gone, [lost[pod.name] for pod in replaced])
    few = seen.wanted(name) - len(workers)
    asked = [pod for pod in coming if pod not in replaced and _on_its_way(seen, pod)]
    if asked or (few > 0 and not (replaced or ended or gone)):
        yield _scaling(seen, asked, few)


def by_design(seen: Seen, causes: list[Cause]) -> list[str]:
    """Notes on workers of a cluster that serves, which are NotReady and not said to come."""
    if any(one.state == "away" for one in causes):
        return []
    said = "\n".join(f"{one.what}\n{one.evidence}" for one in causes)
    return [
        f"{pod.name} is NotReady: a worker without a replica is, by design"
        for pod in seen.workers(seen.active)
        if pod.ready is False and pod.placed and pod.name not in said
    ]


def _in_place_of(seen: Seen, pod: Pod) -> str:
    """The end of another one just before it was made, or ''."""
    ends = [one.at for one in seen.lost if not one.head and one.cluster == pod.cluster]
    ends += [one.told_to_go for one in seen.leaving(pod.cluster)]
    for end in ends:
        after = seconds(end, pod.created)
        if after is not None and abs(after) < _TOGETHER_S and _unsettled(seen, pod):
            return end
    return ""


def _unsettled(seen: Seen, pod: Pod) -> bool:
    """Whether a pod may still be on its way: Serve, where it was asked, hasn't all it wants."""
    name = pod.cluster
    known = name in seen.snapshot.serves
    return not known or bool(missing(seen, name) or homeless(seen, name)) or _young(seen, pod)


def _young(seen: Seen, pod: Pod) -> bool:
    age = seconds(pod.created, seen.snapshot.now)
    return age is not None and age < _YOUNG_S


def _on_its_way(seen: Seen, pod: Pod) -> bool:
    apps = seen.applications(pod.cluster).values()
    deploying = any(one.get("status") == "DEPLOYING" for one in apps)
    return deploying or bool(missing(seen, pod.cluster)) or _young(seen, pod)


def _counts(seen: Seen) -> str:
    ready = sum(pod.ready is True for pod in seen.workers(seen.active))
    return (
        f"{ready} of {max(seen.wanted(seen.active), len(seen.workers(seen.active)))} workers are ready"
    )


def _recovering(
    seen: Seen, replaced: list[Pod], ended: list[Pod], gone: dict[str, str], since: list[str]
) -> Cause:
    evidence = [_counts(seen), *missing(seen, seen.active)]
    evidence += [f"pod {pod.name} ended{f' ({pod.said})' if pod.said else ''}" for pod in ended]
    leaving = seen.leaving(seen.active)
    evidence += [f"pod {pod.name} leaves, by {pod.leaves} at the latest" for pod in leaving]
    evidence += [f"{who} was on pod {pod}, which is gone" for who, pod in gone.items()]
    evidence += [f"pod {_starts(pod)} in its place" for pod in replaced]
    ends = " and ".join(pod.name for pod in replaced) or "the new worker"
    since = since or [one.at for one in seen.lost if one.name in gone.values()]
    return Cause(
        21, f"a worker of {seen.active} {'leaves' if leaving else 'was lost'}, and is being replaced",
        "\n".join(evidence),
        "it finishes what it has; the others serve on" if leaving
        else "the others serve on; requests that were on it have failed or were sent again",
        seen.snapshot.watch, min(since, default=""), f"when {ends} is ready and has its replicas",
        "recovering", wait=True,
    )  # fmt: skip


def _starts(pod: Pod) -> str:
    return f"{pod.name} {'starts' if pod.placed else 'waits for a machine'}"


def _scaling(seen: Seen, asked: list[Pod], few: int) -> Cause:
    cluster = seen.ray_cluster(seen.active)
    who = "the autoscaler" if cluster and cluster.autoscaled else "the operator"
    ages = {pod.name: seconds(pod.created, seen.snapshot.now) for pod in asked}
    evidence = [_counts(seen), *missing(seen, seen.active)]
    evidence += [
        f"pod {_starts(pod)}, asked for by {who} {length(ages[pod.name] or 0)} ago" for pod in asked
    ]
    if few > 0 and not asked:
        evidence.append(f"{who} wants {few} more, which aren't made yet")
        evidence += _not_made(seen)
    return Cause(
        18, f"{seen.active} gets {'workers' if len(asked) > 1 or few > 1 else 'a worker'} more",
        "\n".join(evidence), "what runs serves meanwhile", seen.snapshot.watch,
        min((pod.created for pod in asked), default=""),
        f"when {' and '.join(pod.name for pod in asked) or 'it'} is ready", "scaling", wait=True,
    )  # fmt: skip


def _not_made(seen: Seen) -> list[str]:
    said = seen.of_cluster(seen.active, "ReplicaFailure")
    reason = str(get(dict(said), "message") or "") if said.get("status") == "True" else ""
    return [reason] if reason else []
