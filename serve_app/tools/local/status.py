"""The state of a RayService in the operator's words: what stands in `.status` of the resource."""

from typing import Any

from serve_app.tools.local.cluster import Cluster


def status(active: Cluster | None, pending: Cluster | None, endpoints: int) -> dict[str, Any]:
    """`.status`, with the processes of each node beside it."""
    return {
        "serviceStatus": "Running" if active and endpoints else "",
        "numServeEndpoints": endpoints,
        "activeServiceStatus": _service(active),
        "pendingServiceStatus": _service(pending),
        "conditions": [_ready(active, endpoints), _upgrade(active, pending)],
    }


def line(found: dict[str, Any]) -> str:
    """All of it that a line holds."""
    conditions = [f"{c['type']}={c['status']} ({c['reason']})" for c in found["conditions"]]
    states = [
        f"{part}: "
        + ", ".join(f"{name} {app['status']}" for name, app in service["applicationStatuses"].items())
        for part in ("active", "pending")
        if (service := found[f"{part}ServiceStatus"]).get("applicationStatuses")
    ]
    return "; ".join([*conditions, f"endpoints {found['numServeEndpoints']}", *states])


def _condition(kind: str, holds: bool, reason: str, message: str) -> dict[str, str]:
    return {"type": kind, "status": str(holds), "reason": reason, "message": message}


def _ready(active: Cluster | None, endpoints: int) -> dict[str, str]:
    if active is None:
        return _condition("Ready", False, "Initializing", "no cluster serves yet")
    if not endpoints:
        return _condition("Ready", False, "ZeroServeEndpoints", "no node's proxy takes requests")
    return _condition("Ready", True, "NonZeroServeEndpoints", f"{endpoints} nodes take requests")


def _upgrade(active: Cluster | None, pending: Cluster | None) -> dict[str, str]:
    if active is None:
        return _condition("UpgradeInProgress", False, "NoActiveCluster", "the first cluster starts")
    if pending is None:
        return _condition("UpgradeInProgress", False, "NoPendingCluster", "one cluster, as it should be")
    return _condition(
        "UpgradeInProgress", True, "BothActivePendingClustersExist", f"{pending.name} gets ready"
    )


def _service(cluster: Cluster | None) -> dict[str, Any]:
    if cluster is None:
        return {}
    return {
        "rayClusterName": cluster.name,
        "dashboardPort": cluster.head.dashboard_port,
        "applicationStatuses": {
            name: {
                "status": app["status"],
                "message": app.get("message", ""),
                "serveDeploymentStatuses": {
                    each: {
                        "status": deployment["status"],
                        "message": deployment.get("message", ""),
                        "replicas": [r["replica_id"] for r in deployment.get("replicas", [])],
                    }
                    for each, deployment in app.get("deployments", {}).items()
                },
            }
            for name, app in cluster.applications.items()
        },
        "nodes": [
            {"name": node.name, "group": node.group.name, "pids": node.pids, "httpPort": node.http_port}
            for node in cluster.nodes
        ],
    }
