"""The serveConfigV2 of a RayService: as a Serve config, and against the pods around it."""

from collections.abc import Iterator
from typing import Any

from serve_app.tools.check.serve_config import check_serve_config
from serve_app.tools.kube.documents import CONFIG, Document, get
from serve_app.tools.kube.findings import Place, Problem
from serve_app.tools.kube.ray_cluster import RayCluster
from serve_app.tools.kube.ray_service import RayService

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def check(document: Document, cluster: RayCluster | None) -> None:
    """Note what is wrong in the document's report."""
    if document.config is None:
        return
    place, config, inner = document.config
    if not isinstance(config, dict):
        inner.add((), "expected a mapping with `applications`")
    elif not inner.found:
        check_serve_config(config, inner)
    document.report.take(inner, place)
    if cluster and isinstance(config, dict):
        document.report.extend(_ports(config, cluster))
        document.report.extend(_spread(document, config, cluster))


def _ports(config: dict[str, Any], cluster: RayCluster) -> Iterator[Problem]:
    place: Place = ("spec", CONFIG)
    http = get(config, "http_options", "port") or 8000
    grpc = get(config, "grpc_options", "port") or 9000
    host = get(config, "http_options", "host")
    if host in _LOOPBACK:
        yield Problem(
            (*place, "http_options", "host"),
            f"{host}: nothing outside of the pod can reach it",
            "the serve service and the probes come from outside",
            "host: 0.0.0.0",
        )
    for group in cluster.groups:
        for name, port, key in (("serve", http, "http_options"), ("serve-grpc", grpc, "grpc_options")):
            found = group.ports.get(name)
            if found is not None and found != port:
                yield Problem(
                    (*place, key, "port"),
                    f"{port}, but the port `{name}` of {group.name} is {found}",
                    "the service sends requests to the latter",
                    f"port: {found}",
                )
    functions = get(config, "grpc_options", "grpc_servicer_functions")
    if "serve-grpc" in cluster.head.ports and not functions:
        yield Problem(
            (*place, "grpc_options"),
            "port `serve-grpc`, and no grpc_servicer_functions",
            "Serve starts gRPC only for functions",
            "grpc_servicer_functions: [serve_app.ingress.grpc.add_inference_service]",
        )
    if functions and cluster.head.ports and grpc not in cluster.head.ports.values():
        yield Problem(
            (*cluster.head.box, "ports"),
            f"gRPC listens on {grpc}, and no port names it",
            "the serve service takes over named ports alone",
            f"- {{name: serve-grpc, containerPort: {grpc}}}",
        )


def _spread(document: Document, config: dict[str, Any], cluster: RayCluster) -> Iterator[Problem]:
    """Where the head is left out and one pod answers for all, its end is an outage."""
    if not RayService(document.data).without_head:
        return
    for index, app in enumerate(get(config, "applications") or []):
        if get(app, "route_prefix") is None:
            continue
        for at, one in enumerate(get(app, "deployments") or []):
            count = get(one, "num_replicas") or get(one, "autoscaling_config", "min_replicas") or 1
            if isinstance(count, int) and count >= 2 and not get(one, "max_replicas_per_node"):
                yield Problem(
                    ("spec", CONFIG, "applications", index, "deployments", at),
                    f"{count} replicas may be on one node",
                    "they then end together",
                    "max_replicas_per_node: 1",
                    "warning",
                )
