"""`tandem doctor [NAME]`: ask, diagnose, print."""

import json
from dataclasses import asdict

from serve_app.tools.doctor.causes import Cause, Snapshot
from serve_app.tools.doctor.diagnose import diagnose
from serve_app.tools.doctor.gather import from_kubernetes, from_ray
from serve_app.tools.doctor.pods import notes


def run(name: str | None, namespace: str, address: str | None, as_json: bool) -> int:
    """0 when it is ready, 1 when not, with the causes; ConfigError when it can't be asked."""
    snapshot = from_kubernetes(name, namespace) if name else from_ray(address)
    causes = diagnose(snapshot)
    if as_json:
        print(json.dumps({"ready": not causes, "causes": [asdict(one) for one in causes]}, indent=1))
    else:
        print(text(snapshot, causes))
    return 1 if causes else 0


def text(snapshot: Snapshot, causes: list[Cause]) -> str:
    """The root cause first; what it explains after it."""
    if not causes:
        return f"{snapshot.name} is ready"
    root, *others = causes
    what = "serves, but not what was last asked for" if root.serves else "isn't ready"
    lines = [f"{snapshot.name} {what}: {root}"]
    if others:
        lines += ["", "also, and perhaps because of it:", *(f"- {one}" for one in others)]
    if said := notes(snapshot):
        lines += ["", *(f"note: {one}" for one in said)]
    return "\n".join(lines)
