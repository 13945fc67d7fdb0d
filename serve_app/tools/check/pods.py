"""The pods of a Ray cluster: what can't work, and advice on draining, the head and security."""

import importlib.metadata
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

from serve_app.tools.check import rules as the
from serve_app.tools.check import variables
from serve_app.tools.check.rules import Resource, Rule, Table, When
from serve_app.tools.kube.documents import CONFIG
from serve_app.tools.kube.findings import Place
from serve_app.tools.kube.part import Looks, Part
from serve_app.tools.kube.quantity import amount, quantity
from serve_app.tools.kube.ray_cluster import Group, RayCluster
from serve_app.tools.kube.start_cost import LEAST_CPU

_PROXY, _MODE = "RAY_SERVE_ENABLE_HA_PROXY", "RAY_SERVE_THROUGHPUT_OPTIMIZED"
_DRAIN, _DRAIN_S = "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S", 30.0
_INGRESS, _INGRESS_S = "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S", 30.0
_STOP_S = 20.0  # graceful_shutdown_timeout_s of a deployment
_OFF = (None, "", "0", "false", "False")
_GRACE = "terminationGracePeriodSeconds"
_BOX = "template spec containers 0"
_LOCAL = ("127.0.0.1", "localhost")


def _advice(at: str, when: When, what: str, why: str, fix: str) -> Rule:
    return Rule(at, when, what, fix, why, "warning")


def _image(group: Looks) -> str:
    return group.text("template", "spec", "containers", 0, "image")


def _own_ray(group: Group, ray: Resource) -> str:
    """The Ray in an image's tag, where rayVersion is another."""
    tag = re.search(r"(?:^|/)ray(?:-ml|-llm)?:(\d+\.\d+\.\d+)", _image(group))
    version = ray.cluster.text("rayVersion")
    return f"Ray {tag[1]}, but rayVersion is {version}" if tag and version not in ("", tag[1]) else ""


def _no_version(group: Group, ray: Resource) -> str:
    image = _image(group)
    tag = image.rpartition("/")[2].partition(":")[2]
    named = "@" in image or "$" in image or tag not in ("", "latest")
    return "" if not image or named else image


def _another(group: Group, ray: Resource) -> str:
    image, first = (_image(one).removesuffix("-gpu") for one in (group, ray.cluster.head))
    return f"'{image}', but the head has '{first}'" if image and first and image != first else ""


def _more(key: str, without: float) -> When:
    """Ray is told of more than the container's limit, or than `without` where it has none."""

    def broken(group: Group, ray: Resource) -> str:
        try:
            told, has = quantity(group.params.get(key, 0)), group.sizes.get(key)
            limit = without if has is None else quantity(has)
        except ValueError:
            return ""
        return f"{told:g}, and the container has {limit:g}" if told > limit else ""

    return broken


def _locked(cluster: RayCluster, ray: Resource) -> str:
    version, own = cluster.text("rayVersion"), importlib.metadata.version("ray")
    ours = "serve_app." in ray.whole.text("spec", CONFIG)
    wrong = ours and version not in ("", own)
    return f"{version}, but this Tandem is locked to Ray {own}" if wrong else ""


def _asks_dashboard(ray: Resource) -> bool:
    """Whether the operator, or a job's pod, calls the dashboard through the head's service."""
    job = ray.spec.text("submissionMode") or "K8sJobMode"
    return ray.kind == "RayService" or (ray.kind != "RayCluster" and job in ("K8sJobMode", "HTTPMode"))


def _serving(head: Group) -> dict[str, int]:
    """The ports that the serve service takes over."""
    found = head.ports.items()
    return {name: port for name, port in found if name == "serve" or name.startswith("serve-")}


def _http(ray: Resource) -> int:
    config = ray.document.config[1] if ray.document.config else None
    return Part((), config).number("http_options", "port") or 8000


def _listens(name: str, key: str, usual: int) -> When:
    """Where Ray listens by rayStartParams, and a port of that name in the container is another."""

    def broken(head: Group, ray: Resource) -> str:
        told, named = head.params.get(key, str(usual)), head.ports.get(name)
        other = named is not None and told.isdecimal() and int(told) != named
        return f"the port `{name}` is {named}, but Ray listens on {told} ({key})" if other else ""

    return broken


@dataclass(frozen=True)
class _Difference(Looks):
    """A variable of Serve's that a worker has otherwise than the head."""

    place: Place
    data: str
    name: str


def _differences(ray: Resource) -> Iterator[_Difference]:
    """Each at its variable."""
    head = ray.cluster.head
    for group in ray.cluster.workers:
        for name in sorted(name for name in head.env | group.env if name.startswith("RAY_SERVE_")):
            here, there = group.env.get(name), head.env.get(name)
            elsewhere = any(one.env.get(name, "") is None for one in (group, head))  # valueFrom
            if not elsewhere and here != there and not (here in _OFF and there in _OFF):
                said = [f"'{it}'" if isinstance(it, str) else "not set" for it in (here, there)]
                text = f"{name} is {said[0]} here and {said[1]} on the head"
                yield _Difference(group.env_place(name), text, name)


def _seconds(group: Looks, name: str, default: float) -> float:
    try:
        return float(group.env.get(name, default)) if isinstance(group, Group) else default
    except (TypeError, ValueError):
        return default


def _grace(group: Group, ray: Resource) -> str:
    drain, grace = _seconds(group, _DRAIN, _DRAIN_S), group.number("template", "spec", _GRACE)
    said = "30 by default" if grace is None else str(grace)
    short = (30 if grace is None else grace) <= drain
    return f"{said}, while Ray drains for {drain:g} s" if short else ""


def _stop(group: Group, ray: Resource) -> str:
    drain = _seconds(group, _DRAIN, _DRAIN_S)
    stop = max(_STOP_S, _seconds(group, _INGRESS, _INGRESS_S) + 5)
    late = group.env.get(_PROXY) == "1" and drain <= stop
    return f"Ray drains for {drain:g} s, and a replica takes {stop:g} s to stop" if late else ""


def _cold(head: bool) -> When:
    """It asks for less than a start needs; on a full machine it gets no more."""

    def broken(group: Group, ray: Resource) -> str:
        asked, limit = (group.first.get("resources", kind, "cpu") for kind in ("requests", "limits"))
        asks = limit if asked is None else asked  # as the API server fills it in
        number, least = amount(asks), amount(LEAST_CPU[head])
        short = asks is None or (number is not None and least is not None and number < least)
        said = "no CPU is asked for" if asks is None else f"{asks} CPU is asked for"
        return said if short and group.head is head else ""

    return broken


_TOLD = "Ray places on it what doesn't fit"
_GROUPS = (
    _advice("rayStartParams num-gpus", _more("num-gpus", 0), "{}", _TOLD, "the same in both"),
    _advice("rayStartParams memory", _more("memory", math.inf), "{}", _TOLD, "the same in both"),
    _advice(f"{_BOX} image", _own_ray, "{}", "the operator writes commands for the latter",
            "the same version in both"),
    _advice(f"{_BOX} image", _no_version, "'{}' names no version",
            "nodes of one cluster may run different code, and no upgrade is seen", "a tag, or a digest"),
    _advice(f"{_BOX} image", _another, "{}", "Ray and Python must be the same on every node", ""),
    Rule(f"env {_MODE}", lambda g, _: g.env.get(_MODE) == "1" and g.env.get(_PROXY) != "1",
         f"{_MODE} without {_PROXY}", f'- {{name: {_PROXY}, value: "1"}}',
         "proxies then run on the head alone, and workers never become ready"),
    *(_advice(f"{_BOX} resources requests cpu", _cold(head),
              f"{{}}, and a {'head' if head else 'worker'} of Ray's needs {least} to start",
              "on a full machine its agent isn't up within the 30 s that it has: the pod ends, again "
              "and again", f"requests: {{cpu: {least}}} or more")
      for head, least in LEAST_CPU.items()),
    _advice("template spec", lambda g, _: not (g.first.get("securityContext", "runAsNonRoot")
            or g.get("template", "spec", "securityContext", "runAsNonRoot")), "may run as root",
            "what breaks out of the container is root on the node",
            "securityContext: {runAsNonRoot: true, runAsUser: 1000}"),
    _advice(_BOX, lambda g, _: g.first.get("securityContext", "allowPrivilegeEscalation") is not False,
            "may gain privileges", "sudo and setuid programs work",
            "securityContext: {allowPrivilegeEscalation: false}"),
)  # fmt: skip
_HEAD = (
    _advice(f"{_BOX} ports", lambda h, _: h.ports and (port := h.params.get("port", "6379")).isdecimal()
            and int(port) not in h.ports.values() and port, "no port {} (gcs)",
            "a port of one's own drops the operator's defaults, and with them this one",
            "- {name: gcs-server, containerPort: …}"),
    Rule(f"{_BOX} ports", lambda h, r: h.ports and _asks_dashboard(r) and "dashboard" not in h.ports,
         "no port named `dashboard`", "- {name: dashboard, containerPort: 8265}",
         "a port of one's own drops the operator's defaults, and without this one nothing is deployed"),
    Rule(f"{_BOX} ports", lambda h, r: r.kind == "RayService" and h.ports and not _serving(h)
         and not r.spec.get("serveService"),
         "no port named `serve`", "- {name: serve, containerPort: 8000}",
         "the serve service takes over `serve` and `serve-*` alone"),
    _advice(f"{_BOX} ports", lambda h, r: r.kind == "RayService" and _serving(h)
            and _http(r) not in _serving(h).values(), "no port named `serve` for HTTP",
            "the serve service takes over `serve` and `serve-*` alone",
            "- {name: serve, containerPort: 8000}"),
    *(Rule(f"{_BOX} ports", _listens(name, key, usual), "{}", "the same number in both",
           "the head service sends to the container's port, where nothing listens")
      for name, key, usual in (
          ("dashboard", "dashboard-port", 8265), ("gcs-server", "port", 6379), ("gcs", "port", 6379),
          ("redis", "port", 6379), ("client", "ray-client-server-port", 10001),
      )),
    Rule("rayStartParams dashboard-host",
         lambda h, r: _asks_dashboard(r) and h.params.get("dashboard-host") in _LOCAL
         and h.params["dashboard-host"], "{}: the operator can't reach the dashboard",
         'dashboard-host: "0.0.0.0"', "it deploys and asks through it"),
    _advice("rayStartParams", lambda h, r: r.kind == "RayService" and h.offers["num_cpus"] > 0,
            "replicas may run on the head", "a busy head is an unreachable cluster", 'num-cpus: "0"'),
)  # fmt: skip
_DRAINING = (
    _advice(f"template spec {_GRACE}", _grace, "{}",
            "the kubelet kills the pod in the middle of it, with the requests in flight",
            f"{_GRACE}: 30 more than {_DRAIN}"),
    _advice(f"env {_DRAIN}", _stop, "{}",
            "so Serve stops replicas at once, before proxies have sent their clients elsewhere",
            f"a larger {_DRAIN}, or a smaller {_INGRESS}"),
    _advice(f"{_BOX} lifecycle preStop", lambda g, _: "ray stop" in " ".join(
            map(str, g.first.items("lifecycle", "preStop", "exec", "command"))),
            "`ray stop` before the end skips the drain", "requests in flight are lost",
            "leave it out: Ray drains on SIGTERM"),
)  # fmt: skip
_SAME = "the same `env` on head and workers (a YAML anchor)"
_AGREE = "Serve runs on all nodes, and its parts must agree"
_DIFFERENCES = (
    Rule("", lambda d, _: d.name in (_PROXY, _MODE) and d.data, "{}", _SAME, _AGREE),
    _advice("", lambda d, _: d.name not in (_PROXY, _MODE) and d.data, "{}", _AGREE, _SAME),
)
TABLE: Table = (
    (the.clusters, "", (
        Rule("rayVersion", _locked, "{}", "rayVersion: Tandem's", "its images hold that one"),
    )),
    (the.groups, "", _GROUPS),
    (the.heads, "", _HEAD),
    (the.where(the.groups, lambda r: r.kind == "RayService"), "", _DRAINING),
    (_differences, "", _DIFFERENCES),
    *variables.TABLE,
)  # fmt: skip
