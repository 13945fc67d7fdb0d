"""`tandem doctor [NAME]`: ask, diagnose, print."""

import json
from dataclasses import asdict

from serve_app.tools.doctor.causes import Cause, Snapshot
from serve_app.tools.doctor.diagnose import diagnose, notes
from serve_app.tools.doctor.gather import from_ray
from serve_app.tools.doctor.kubernetes import from_kubernetes
from serve_app.tools.doctor.state import READY, State, state_of


def run(name: str | None, namespace: str, address: str | None, as_json: bool) -> int:
    """0 when it is ready, 3 when it will be, 1 when something is wrong, with the causes.

    ConfigError when it can't be asked.
    """
    snapshot = from_kubernetes(name, namespace) if name else from_ray(address)
    causes = diagnose(snapshot)
    state = state_of(snapshot, causes)
    print(as_data(snapshot, state, causes) if as_json else text(snapshot, state, causes))
    return state.exit_code


def as_data(snapshot: Snapshot, state: State, causes: list[Cause]) -> str:
    """For programs."""
    said = {"state": state.word, "ready": state.word == READY, "serves": state.serves}
    said |= {"wait": state.wait}
    told = {"causes": [asdict(one) for one in causes], "notes": notes(snapshot, causes)}
    return json.dumps({**said, **told}, indent=1)


def text(snapshot: Snapshot, state: State, causes: list[Cause]) -> str:
    """The root cause first; what it explains after it."""
    if not causes:
        lines = [state.sentence(snapshot.name)]
    else:
        root, *others = causes
        lines = [f"{state.sentence(snapshot.name)}: {root.told(snapshot.now)}"]
        if others:
            why = "also:" if root.wait else "also, and perhaps because of it:"
            lines += ["", why, *(f"- {one.told(snapshot.now)}" for one in others)]
    if said := notes(snapshot, causes):
        lines += ["", *(f"note: {one}" for one in said)]
    return "\n".join(lines)
