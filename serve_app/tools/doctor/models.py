"""Causes in what the Routers say: models that can't answer, and changes that were refused."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from serve_app.errors import NOT_HERE
from serve_app.tools.doctor.applications import applications_of
from serve_app.tools.doctor.causes import Cause, Snapshot


def look(snapshot: Snapshot) -> Iterator[Cause]:
    """Through the repository's index, and what became of the last change on each Router."""
    ray, applications = snapshot.ray, applications_of(snapshot)
    # What is wrong with an application itself is said there.
    ill = {name for name, app in applications.items() if app.get("status") != "RUNNING"}
    rows: list[Mapping[str, str]] = [row for row in ray.get("index") or [] if row["name"] not in ill]
    ready = {row["name"] for row in rows if row.get("state") == "READY"}
    told: Mapping[str, Mapping[str, Any]] = ray.get("changes") or {}
    refused = _by_model(told)
    if whole := next((one["refused"] for one in told.values() if one["refused"]), ""):
        yield Cause(
            49, "the Router's user_config is refused", whole,
            "inline models, routes and limits are those of the configuration before",
            snapshot.redeploy, state="refused",
        )  # fmt: skip
    for name, reasons in refused.items():
        # On Kubernetes there is no index, and an application that is ill has no other word for it.
        if (name in ready or (not rows and name not in ill)) and reasons[0] != whole:
            few = f"\non {len(reasons)} of {len(told)} Routers" if len(reasons) < len(told) else ""
            yield Cause(
                48, f"a change of model '{name}' is refused", reasons[0] + few,
                "what was there before goes on", snapshot.redeploy, state="refused",
            )  # fmt: skip
    for row in rows:
        if row.get("reason") == NOT_HERE or row.get("state") == "LOADING":
            continue  # as `maxLoadedModels` has it; what is fetched beside what serves
        if row.get("state") != "READY" and not (row["name"] in refused and row["name"] in ready):
            yield Cause(
                50,
                f"model '{row['name']}' isn't ready",
                str(row.get("reason") or ""),
                "the service answers for the others",
                snapshot.redeploy,
            )
    if http := ray.get("http"):
        yield Cause(
            45, "HTTP doesn't answer as Tandem does", str(http),
            "another program has the port, or the proxies have no Router",
            f"ss -ltnp 'sport = :{_port(str(http))}' tells who listens",
        )  # fmt: skip


_WRITES = {
    "traffic": "`tandem traffic {name} --write` prints the block to commit",
    "entry": "GET /v2/repository/audit has what was asked for: commit it, or deploy it as it was",
    "unloaded": "`tandem models load {name}`, or take it out of the configuration",
}


def differing(snapshot: Snapshot) -> Iterator[str]:
    """Models that somebody changed while the service ran: nothing is wrong, and the configuration says
    otherwise. It stays so when the configuration is applied again as it is.
    """
    told: Mapping[str, Mapping[str, Any]] = snapshot.ray.get("changes") or {}
    changed = {name: how for one in told.values() for name, how in (one.get("live") or {}).items()}
    where = "serveConfigV2" if snapshot.namespace else "the configuration"
    for name, how in sorted(changed.items()):
        todo = "; ".join(_WRITES[one].format(name=name) for one in how.split(", ") if one in _WRITES)
        yield f"model '{name}' was changed since ({how}), and {where} says otherwise: {todo}"


def _port(http: str) -> str:
    found = re.search(r":(\d+)/", http)
    return found[1] if found else "8000"


def _by_model(told: Mapping[str, Mapping[str, Any]]) -> dict[str, list[str]]:
    """The reasons of all Routers, of the models that have some."""
    found: dict[str, list[str]] = {}
    for one in told.values():
        for name, reason in one["models"].items():
            if reason:
                found.setdefault(name, []).append(reason)
    return found
