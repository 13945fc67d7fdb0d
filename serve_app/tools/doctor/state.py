"""The state of a service as a word, out of what was found. Pure."""

from dataclasses import dataclass

from serve_app.tools.doctor.causes import Cause, Snapshot
from serve_app.tools.doctor.seen import Seen

READY = "ready"
# Of several the first one is it. What each means is in docs/doctor.md.
_FIRST = ("deleting", "suspended", "away", "empty")
_THEN = ("upgrading", "refused", "recovering", "scaling", "changing")
SENTENCES = {
    READY: "is ready",
    "starting": "is starting",
    "changing": "serves, and is changing",
    "scaling": "serves, and is scaling",
    "upgrading": "serves, and is upgrading",
    "recovering": "serves, and is recovering",
    "refused": "serves, but not what was last asked for",
    "degraded": "serves, but not all of it is ready",
    "away": "is away",
    "failed": "isn't ready",
    "empty": "isn't ready",
    "suspended": "is suspended",
    "deleting": "is being deleted",
}
_WAITS = ("starting", "changing", "scaling", "upgrading", "recovering")


@dataclass(frozen=True)
class State:
    """`wait`: nothing is wrong, and it comes to rest by itself. `serves`: requests are answered."""

    word: str
    serves: bool
    wait: bool

    @property
    def exit_code(self) -> int:
        """0 ready, 3 to be waited for, 1 something is wrong, refused or gone."""
        if self.word == READY:
            return 0
        return 3 if self.wait else 1

    def sentence(self, name: str) -> str:
        """The beginning of what is printed."""
        if self.word == "upgrading" and not self.wait:
            return f"{name} serves, and its upgrade can't go on"
        return f"{name} {SENTENCES[self.word]}"


def state_of(snapshot: Snapshot, causes: list[Cause]) -> State:
    """From everything that was found."""
    words = {one.state for one in causes if one.state}
    wrong = [one for one in causes if not one.wait]
    serves = _serves(snapshot) and not words.intersection(_FIRST)
    word = next((one for one in _FIRST if one in words), "")
    if not word and not causes:
        word, serves = READY, True
    if not word and not serves:
        word = "failed" if wrong or not words & {"starting", *_THEN} else "starting"
    word = word or next((one for one in _THEN if one in words), "degraded")
    if word in ("recovering", "scaling", "changing") and wrong:
        word = "degraded"
    return State(word, serves, word in _WAITS and not wrong)


def _serves(snapshot: Snapshot) -> bool:
    """Whether somebody answers: by the operator's word, or by Serve's of its Router."""
    if snapshot.namespace:
        seen = Seen(snapshot)
        ready = seen.condition("Ready").get("status", "True") == "True"
        return bool(seen.active) and ready
    applications = (snapshot.ray.get("serve") or {}).get("applications") or {}
    return any(one.get("status") == "RUNNING" or _runs(one) for one in applications.values())


def _runs(app: dict[str, object]) -> bool:
    deployments = app.get("deployments")
    found = deployments.values() if isinstance(deployments, dict) else ()
    return any(
        replica.get("state") == "RUNNING" for one in found for replica in one.get("replicas") or []
    )
