"""Replicas that Serve wants and hasn't, where Serve itself could be asked."""

from collections.abc import Iterator, Mapping
from typing import Any

from serve_app.tools.doctor.seen import Seen


def deployments(applications: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Application, deployment, and what is said of it, by Serve or by the operator."""
    for name, app in applications.items():
        for deployment, state in of(app).items():
            yield name, deployment, state


def of(app: Mapping[str, Any]) -> Mapping[str, Any]:
    """An application's deployments, by name."""
    found = app.get("deployments") or app.get("serveDeploymentStatuses") or {}
    return {name: state or {} for name, state in found.items()}


def counts(state: Mapping[str, Any]) -> tuple[int, int] | None:
    """How many replicas run, and how many are to; None where only the operator spoke."""
    target = state.get("target_num_replicas")
    if not isinstance(target, int) or "replicas" not in state:
        return None
    running = sum(one.get("state") == "RUNNING" for one in filter(None, state["replicas"] or []))
    return running, target


def missing(seen: Seen, cluster: str) -> list[str]:
    """Deployments with fewer replicas than they are to have."""
    found = []
    for app, name, state in deployments(seen.applications(cluster)):
        number = counts(state)
        if number and number[0] < number[1]:
            found.append(f"deployment {name} of application '{app}' runs {number[0]} of {number[1]}")
    return found


def homeless(seen: Seen, cluster: str) -> dict[str, str]:
    """Replicas that Serve still counts on pods that are gone, and these pods."""
    there = {pod.name for pod in seen.pods}
    if not there or not seen.snapshot.serves.get(cluster):
        return {}
    found = {}
    for app, name, state in deployments(seen.applications(cluster)):
        for one in filter(None, state.get("replicas") or []):
            pod = str(one.get("node_instance_id") or "")
            if one.get("state") == "RUNNING" and pod.startswith(f"{cluster}-") and pod not in there:
                found[f"a replica of {name} of application '{app}'"] = pod
    return found
