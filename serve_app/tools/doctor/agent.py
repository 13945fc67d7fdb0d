"""Cold nodes: Ray's agent on a node has 30 s to start, and the node ends when it needs longer."""

import re
from collections.abc import Iterator

from serve_app.tools.doctor.causes import Cause, Snapshot
from serve_app.tools.doctor.seen import Seen
from serve_app.tools.kube.pods import Pod
from serve_app.tools.kube.quantity import quantity
from serve_app.tools.kube.start_cost import LEAST_CPU

# Ray 2.60's raylet, of the files into which its agents write their ports, and of their answer.
_LATE = re.compile(
    r"Timed out waiting for file \S*agent\S*port\S*|[Rr]untime [Ee]nv [Aa]gent timed out[^\n]{0,80}"
)
_LIVED_S = (30, 180)  # with less it was something else, and after that it had started
_WHAT = "the node's agent didn't start in time: CPU"
_WHY = "Ray gives its agent 30 s, and a node without enough CPU to start it ends, again and again"


def look(snapshot: Snapshot) -> Iterator[Cause]:
    """Pods that ended one after the other as young as that, whose logs are gone with them."""
    if not snapshot.namespace:
        return
    seen = Seen(snapshot)
    for head in (True, False):
        young = [
            one for one in seen.lost
            if one.head == head and one.lived is not None and _LIVED_S[0] <= one.lived <= _LIVED_S[1]
            and one.code not in ("", "0", "137", "-9")
        ]  # fmt: skip
        for cluster in {one.cluster for one in young}:
            ends = [one for one in young if one.cluster == cluster]
            pods = seen.heads(cluster) if head else seen.workers(cluster)
            cold = [pod for pod in pods if pod.ready is not True and _short(pod)]
            if len(ends) > 1 and cold:
                lived = ", ".join(f"{one.lived:.0f}" for one in ends)
                yield _cause(snapshot, cold[0], f"{len(ends)} pods before it ended after {lived} s")


def late(log: str) -> bool:
    """Whether a node's output says that its agent wasn't there."""
    return bool(_LATE.search(log))


def too_late(snapshot: Snapshot, pod: Pod, log: str) -> Cause:
    """One whose output is there."""
    return _cause(snapshot, pod, "\n".join(_lines(log)))


def _cause(snapshot: Snapshot, pod: Pod, evidence: str) -> Cause:
    least = LEAST_CPU[pod.role == "head"]
    asks = _request(pod)
    said = "no CPU" if asks is None else f"{asks:g} CPU"
    mend = f"requests: {{cpu: {least}}} or more for it"
    if asks is not None and asks >= quantity(least):
        mend = "a machine that isn't as full, or more CPU for it"
    return Cause(
        76, f"{pod.name}: {_WHAT}", f"it asks for {said}, a start needs {least}\n{evidence}".strip(),
        _WHY,
        f"{mend}: {snapshot.redeploy}; {snapshot.kubectl} describe pod {pod.name}",
    )  # fmt: skip


def _request(pod: Pod) -> float | None:
    first = next(iter(pod.requests.values()), {})
    try:
        return quantity(first["cpu"])
    except (KeyError, ValueError):
        return None


def _short(pod: Pod) -> bool:
    asks = _request(pod)
    return asks is None or asks < quantity(LEAST_CPU[pod.role == "head"])


def _lines(log: str) -> list[str]:
    """What the output says of it."""
    return list(dict.fromkeys(found[0] for found in _LATE.finditer(log)))[:2]
