"""A head that was lost. With its state in Redis the workers serve on; without, all of it starts anew."""

from collections.abc import Iterator

from serve_app.tools.doctor.causes import Cause
from serve_app.tools.doctor.seen import Seen, before
from serve_app.tools.kube.documents import get
from serve_app.tools.kube.pods import Pod

AWAY = "away"
_AVOID = "so that it doesn't happen again: gcsFaultToleranceOptions with a Redis, as in configs/k8s/base"


def look(seen: Seen) -> Iterator[Cause]:
    """At the head of the cluster that serves."""
    yield from _deleted(seen)
    provisioned = seen.provisioned(seen.active)
    if not seen.active or not provisioned:
        return
    head = next(iter(seen.heads(seen.active)), None)
    new = not seen.blind and (head is None or before(provisioned, head.started))
    said = seen.of_cluster(seen.active, "HeadPodReady")
    known = said.get("status", "True") == "True"  # KubeRay before 1.3 doesn't say
    ready = known and (seen.blind or (head is not None and head.ready is not False))
    if ready and not new:
        return
    since = _since(seen, head, new) or str(said.get("lastTransitionTime") or "")
    if not ready and (seen.keeps_state(seen.active) or not new):
        yield _serves(seen, head, new, since)
    elif not seen.keeps_state(seen.active) and (not ready or (head and _not_yet(seen, head))):
        yield _away(seen, head, ready, since)


def _deleted(seen: Seen) -> Iterator[Cause]:
    """The cluster that served, deleted beside the operator."""
    name, known = seen.active, not any(one.startswith("rayclusters") for one in seen.snapshot.unseen)
    goes = str(get(seen.cluster(name), "metadata", "deletionTimestamp") or "")
    if name and (goes or (known and not seen.cluster(name))):
        yield Cause(
            79, f"RayCluster {name}, which served, {'is being deleted' if goes else 'is gone'}", "",
            "somebody deleted it, or its namespace's clean-up; the operator makes another one",
            seen.snapshot.watch, goes, "when the applications run on the new one", AWAY, wait=True,
        )  # fmt: skip


def _since(seen: Seen, head: Pod | None, new: bool) -> str:
    ended = [one.at for one in seen.lost if one.head and one.cluster == seen.active]
    return (ended[-1] if ended else head.started if head else "") if new else ""


def _not_yet(seen: Seen, head: Pod) -> bool:
    """Whether the new head's cluster isn't back: workers are the old head's, or nothing answers."""
    workers = seen.workers(seen.active)
    old = any(before(one.started, head.started) for one in workers)
    return old or seen.condition("Ready").get("status") == "False"


def _next_head(head: Pod | None) -> str:
    return f"pod {head.name} takes its place" if head else "the operator makes another one"


def _serves(seen: Seen, head: Pod | None, new: bool, since: str) -> Cause:
    lost = "was lost" if new else "doesn't answer its probe"
    why = "the workers serve on; no change can be made and nothing scales until it is back"
    return Cause(
        22, f"the head of {seen.active} {lost}", _next_head(head) if new else "", why,
        seen.snapshot.watch, since, f"when {head.name if head else 'the new head'} is ready",
        "recovering", wait=True,
    )  # fmt: skip


def _away(seen: Seen, head: Pod | None, ready: bool, since: str) -> Cause:
    where = f"{_next_head(head)}; it is {'ready, its workers are not yet' if ready else 'not ready yet'}"
    return Cause(
        78, f"the head of {seen.active} was lost, and with it all that the cluster knew", where,
        "without GCS fault tolerance the workers end and start anew too, and the applications are "
        "deployed again: requests fail until then",
        f"{seen.snapshot.watch}; {_AVOID}", since,
        "when the head is ready, workers have joined it, and the applications run again",
        AWAY, wait=True,
    )  # fmt: skip
