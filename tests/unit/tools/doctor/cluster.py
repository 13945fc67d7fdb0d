"""A cluster that answers as it is told: as it once was (`recorded`), or changed from that."""

import copy
import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from serve_app.errors import ConfigError
from serve_app.tools.doctor.causes import Cause, Snapshot
from serve_app.tools.doctor.diagnose import diagnose
from serve_app.tools.doctor.kubernetes import from_kubernetes
from serve_app.tools.doctor.state import State, state_of
from serve_app.tools.kube.kubectl import Kubectl, NotThere

Json = dict[str, Any]
RECORDED = Path(__file__).with_name("recorded")
Change = Callable[[Json], None]


def recorded(state: str) -> Json:
    """All answers of one state."""
    found: Json = json.loads((RECORDED / f"{state}.json").read_text())
    return found


class Answers(Kubectl):
    """kubectl without a cluster. `may_not`: kinds that may not be read, `exec` for what runs in pods."""

    def __init__(self, known: Json, may_not: tuple[str, ...] = ()) -> None:
        self.known, self.may_not = known, may_not

    def _allowed(self, kind: str) -> None:
        if kind in self.may_not:
            raise ConfigError(f"Error from server (Forbidden): {kind} is forbidden: no")

    def get(self, kind: str, name: str) -> Json:
        self._allowed(kind)
        if kind == "namespace":
            found: Json = self.known["namespace"]
            return found
        for one in self.known["rayservices"]:
            if one["metadata"]["name"] == name:
                return dict(one)
        raise NotThere(f'Error from server (NotFound): {kind} "{name}" not found')

    def list(self, kind: str) -> list[Any]:
        self._allowed(kind)
        return list(self.known.get(kind.partition(".")[0]) or [])

    def last_log(self, pod: str, again: bool = True, lines: int = 40) -> str:
        said = str((self.known.get("logs") or {}).get(pod, ""))
        return "\n".join(said.splitlines()[-lines:])

    def through(self, service: str, path: str) -> Any:
        return None  # a token is asked for

    def inside(self, pod: str, container: str, *command: str) -> Any:
        if "exec" in self.may_not:
            return None
        return next((said for name, said in self.known["serve"].items() if pod.startswith(name)), None)


def look(known: Json, *may_not: str, now: datetime | None = None) -> tuple[State, list[Cause], Snapshot]:
    """What doctor finds in it."""
    snapshot = from_kubernetes("tandem", "tandem", Answers(known, may_not), now)
    causes = diagnose(snapshot)
    return state_of(snapshot, causes), causes, snapshot


def changed(state: str, *changes: Change) -> Json:
    """A recorded state, and what is different."""
    found = copy.deepcopy(recorded(state))
    for change in changes:
        change(found)
    return found
