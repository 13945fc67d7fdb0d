"""The serveConfigV2 of a RayService: as a Serve config, and against the pods around it."""

from collections.abc import Iterator

from serve_app.tools.check.serve_config import check_serve_config
from serve_app.tools.kube.documents import Document
from serve_app.tools.kube.findings import Problem
from serve_app.tools.kube.part import Part
from serve_app.tools.kube.ray_cluster import RayCluster
from serve_app.tools.kube.ray_service import RayService

_LOOPBACK = ("127.", "localhost", "::1")


def check(document: Document, cluster: RayCluster | None) -> None:
    """Note what is wrong in the document's report."""
    if document.config is None:
        return
    place, config, inner = document.config
    if not isinstance(config, dict):
        if not inner.found:
            inner.add((), "expected a mapping with `applications`")
    else:
        check_serve_config(config, inner)
    document.report.take(inner, place)
    if cluster and isinstance(config, dict):
        document.report.extend(_ports(Part(place, config), cluster))
        document.report.extend(_spread(document, Part(place, config)))


def _ports(config: Part, cluster: RayCluster) -> Iterator[Problem]:
    http = config.get("http_options", "port") or 8000
    grpc = config.get("grpc_options", "port") or 9000
    host = config.get("http_options", "host")
    if str(host).startswith(_LOOPBACK):
        yield Problem(
            (*config.place, "http_options", "host"),
            f"{host}: nothing outside of the pod can reach it",
            "the serve service and the probes come from outside",
            "host: 0.0.0.0",
        )
    ports = cluster.head.ports
    for name, port, key in (("serve", http, "http_options"), ("serve-grpc", grpc, "grpc_options")):
        found = ports.get(name)
        if found is not None and found != port:
            yield Problem(
                (*config.place, key, "port"),
                f"{port}, but the port `{name}` of head is {found}",
                "the service sends requests to the latter",
                f"port: {found}",
            )
    functions = config.get("grpc_options", "grpc_servicer_functions")
    if "serve-grpc" in ports and not functions:
        yield Problem(
            (*config.place, "grpc_options"),
            "port `serve-grpc`, and no grpc_servicer_functions",
            "Serve starts gRPC only for functions",
            "grpc_servicer_functions: [serve_app.ingress.grpc.add_inference_service]",
        )
    if functions and ports and grpc not in ports.values():
        yield Problem(
            (*cluster.head.box, "ports"),
            f"gRPC listens on {grpc}, and no port names it",
            "the serve service takes over named ports alone",
            f"- {{name: serve-grpc, containerPort: {grpc}}}",
            "warning",
        )


def _spread(document: Document, config: Part) -> Iterator[Problem]:
    """Where the head is left out and one pod answers for all, its end is an outage."""
    if not RayService(document.data).without_head:
        return
    if (where := config.get("proxy_location")) in ("HeadOnly", "Disabled"):
        yield Problem(
            (*config.place, "proxy_location"),
            f"{where}, and excludeHeadPodFromServeSvc: nothing answers behind the serve service",
            "proxies are on the head alone, or nowhere",
            "proxy_location: EveryNode",
        )
    for app in config.parts("applications"):
        if app.get("route_prefix") is None:
            continue
        for one in app.parts("deployments"):
            count = one.number("num_replicas") or one.number("autoscaling_config", "min_replicas") or 1
            if count >= 2 and one.get("max_replicas_per_node") is None:
                yield Problem(
                    one.place,
                    f"{count} replicas may be on one node",
                    "they then end together",
                    "max_replicas_per_node: 1",
                    "warning",
                )
