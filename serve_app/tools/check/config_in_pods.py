"""The serveConfigV2 of a RayService: as a Serve config, and against the pods around it."""

from serve_app.tools.check import rules as the
from serve_app.tools.check.demand import finds_no_place
from serve_app.tools.check.rules import Resource, Rule, Table, When
from serve_app.tools.check.serve_config import check_serve_config
from serve_app.tools.kube.documents import Document
from serve_app.tools.kube.part import Looks

_LOOPBACK = ("127.", "localhost", "::1")


def as_config(document: Document) -> None:
    """Note what is wrong in it by itself in the document's report."""
    if document.config is None:
        return
    place, config, inner = document.config
    if isinstance(config, dict):
        check_serve_config(config, inner)
    elif not inner.found:
        inner.add((), "expected a mapping with `applications`")
    document.report.take(inner, place)


def _port(config: Looks, key: str) -> int:
    usual = {"http_options": 8000, "grpc_options": 9000}[key]
    return config.get(key, "port") or usual


def _functions(config: Looks) -> object:
    return config.get("grpc_options", "grpc_servicer_functions")


def _other_port(name: str, key: str) -> When:
    """Serve's port, where the head's port of that name is another."""

    def broken(config: Looks, resource: Resource) -> str:
        port, there = _port(config, key), resource.cluster.head.ports.get(name)
        named = f"{port}, but the port `{name}` of head is {there}"
        return "" if there is None or there == port else named

    return broken


def _grpc_unnamed(resource: Resource) -> bool:
    """Whether gRPC listens on a port of the head that has no name."""
    ports = resource.cluster.head.ports
    return bool(ports) and any(_functions(one) and _port(one, "grpc_options") not in ports.values()
                               for one in the.configs(resource))  # fmt: skip


def _together(deployment: Looks, resource: Resource) -> object:
    """Replicas of a routed application that may be on one node."""
    app = resource.document.config[1]["applications"][deployment.place[-3]]  # type: ignore[index]
    least = deployment.number("autoscaling_config", "min_replicas")
    count = deployment.number("num_replicas") or least or 1
    apart = deployment.get("max_replicas_per_node") is not None or app.get("route_prefix") is None
    return count >= 2 and not apart and count


_PORTS = (("serve", "http_options"), ("serve-grpc", "grpc_options"))
# Where the head is left out and one pod answers for all, its end is an outage.
_without_head = the.where(the.configs, lambda r: r.spec.get("excludeHeadPodFromServeSvc"))
TABLE: Table = (
    (the.configs, "the service sends requests to the latter", (
        *(Rule(f"{key} port", _other_port(name, key), fix="the same number in both")
          for name, key in _PORTS),
        Rule("http_options host",
             lambda c, _: str(c.get("http_options", "host")).startswith(_LOOPBACK),
             "{}: nothing outside of the pod can reach it", "host: 0.0.0.0",
             "the serve service and the probes come from outside"),
        Rule("grpc_options",
             lambda c, r: "serve-grpc" in r.cluster.head.ports and not _functions(c),
             "port `serve-grpc`, and no grpc_servicer_functions",
             "grpc_servicer_functions: [serve_app.ingress.grpc.add_inference_service]",
             "Serve starts gRPC only for functions"),
        finds_no_place,
    )),
    (the.where(the.heads, _grpc_unnamed), "the serve service takes over named ports alone", (
        Rule("template spec containers 0 ports",
             lambda _, r: _port(the.configs(r)[0], "grpc_options"),
             "gRPC listens on {}, and no port names it", "- {name: serve-grpc, containerPort: …}",
             severity="warning"),
    )),
    (_without_head, "proxies are on the head alone, or nowhere", (
        Rule("proxy_location", lambda c, _: c.get("proxy_location") in ("HeadOnly", "Disabled"),
             "{}, and excludeHeadPodFromServeSvc: nothing answers behind the serve service",
             "proxy_location: EveryNode"),
    )),
    (the.below(_without_head, "applications * deployments *"), "they then end together", (
        Rule("", _together, "{} replicas may be on one node", "max_replicas_per_node: 1",
             severity="warning"),
    )),
)  # fmt: skip
