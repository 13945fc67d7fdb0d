"""What the API server refuses in a container of a pod, beyond its schema."""

import re
from collections.abc import Iterable, Iterator, Mapping

from serve_app.tools.kube.findings import Place
from serve_app.tools.kube.part import Looks
from serve_app.tools.kube.quantity import exact

Problems = Iterator[tuple[Place, str]]
LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_PORT = re.compile(r"(?=.{1,15}$)(?=.*[a-z])(?!.*--)[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_WORDS = {
    "imagePullPolicy": ("Always", "IfNotPresent", "Never"),
    "terminationMessagePolicy": ("File", "FallbackToLogsOnError"),
    "securityContext seccompProfile type": ("RuntimeDefault", "Unconfined", "Localhost"),
}
_SOURCES = ("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef")
_FIELD = re.compile(
    r"metadata\.(name|namespace|uid|(labels|annotations)\['.+'\])"
    r"|spec\.(nodeName|serviceAccountName)|status\.(hostIPs?|podIPs?)"
)
_KINDS = {bool: "flag", int: "number", float: "number"}
_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
_HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc")
_TIMES = (
    "initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold",
)  # fmt: skip


def container(box: Looks, complete: bool) -> Problems:
    """Unless `complete` somebody else puts in what it lacks."""
    name = box.text("name")
    if name and not LABEL.fullmatch(name):
        yield (*box.place, "name"), f"'{name}' is no DNS label: a-z, 0-9 and '-'"
    if complete and not box.text("image") and isinstance(box.get("image"), str | None):
        yield box.place, "no image"
    if (image := box.text("image")) != image.strip():
        yield (*box.place, "image"), f"'{image}' begins or ends with a space"
    yield from one_of(box, _WORDS)
    for mount in box.parts("volumeMounts"):
        if mount.get("mountPath") == "":
            yield (*mount.place, "mountPath"), "an empty path"
    yield from _ports(box)
    yield from _variables(box)
    yield from _resources(box)
    yield from _probes(box, complete)


def one_of(part: Looks, words: Mapping[str, tuple[str, ...]]) -> Problems:
    """Words out of a few, by their paths."""
    for at, known in words.items():
        word = part.text(*at.split())
        if word and word not in known:
            yield (*part.place, *at.split()), f"'{word}' is none of {', '.join(known)}"


def distinct(parts: Iterable[Looks], key: str) -> Problems:
    """Parts of one list may not share a name."""
    seen = set()
    for one in parts:
        if (name := one.text(key)) and name in seen:
            yield (*one.place, key), f"another '{name}' came before"
        seen.add(name)


def _ports(box: Looks) -> Problems:
    ports = list(box.parts("ports"))
    yield from distinct(ports, "name")
    for one in ports:
        for key, least in (("containerPort", 1), ("hostPort", 0)):
            number = one.number(key)
            if number is not None and not least <= number < 65536:
                yield (*one.place, key), f"{number} is no port: 1 to 65535"
        if (name := one.text("name")) and not _PORT.fullmatch(name):
            what = f"'{name}' is no name of a port: at most 15 of a-z, 0-9 and '-', one of them a letter"
            yield (*one.place, "name"), what
        yield from one_of(one, {"protocol": ("TCP", "UDP", "SCTP")})


def _variables(box: Looks) -> Problems:
    for one in box.parts("env"):
        if "=" in one.text("name"):
            yield (*one.place, "name"), f"'{one.text('name')}' has a '='"
        value = one.get("value")
        if isinstance(value, bool | int | float):
            written = str(value).lower() if isinstance(value, bool) else value
            yield (
                (*one.place, "value"),
                f'a variable is text, not the {_KINDS[type(value)]} {written}: "{written}"',
            )
        if one.text("value") and one.mapping("valueFrom"):
            yield (*one.place, "valueFrom"), "beside `value`: it is one or the other"
        sources = [key for key in _SOURCES if one.get("valueFrom", key) is not None]
        if len(sources) > 1:
            yield (*one.place, "valueFrom"), f"one source, not {' and '.join(sources)}"
        field = one.text("valueFrom", "fieldRef", "fieldPath")
        if field and not _FIELD.fullmatch(field):
            yield (
                (*one.place, "valueFrom", "fieldRef", "fieldPath"),
                f"'{field}' is no field of a pod here",
            )


def _resources(box: Looks) -> Problems:
    found = {}
    for kind in ("requests", "limits"):
        for key, value in box.mapping("resources", kind).items():
            place = (*box.place, "resources", kind, key)
            try:
                found[kind, key] = number = exact(value)
            except ValueError:
                continue  # said by the schema
            if number < 0:
                yield place, f"{value} is negative"
            elif _extended(key) and number.denominator != 1:
                yield place, f"{value}: {key} comes in whole numbers"
    for (kind, key), number in found.items():
        place, limit = (*box.place, "resources", kind, key), found.get(("limits", key))
        if kind == "limits":
            continue
        said = box.get("resources", kind, key)
        if limit is not None and number > limit:
            yield place, f"{said} is more than the limit, {box.get('resources', 'limits', key)}"
        elif _extended(key) and number != limit:
            yield place, f"{said}: of {key} the limit must be the same"


def _extended(key: object) -> bool:
    name = str(key)
    return "/" in name and "kubernetes.io/" not in name


def _probes(box: Looks, complete: bool) -> Problems:
    for kind in _PROBES:
        probe = box.at(kind)
        handlers = [one for one in _HANDLERS if probe.get(one) is not None]
        if probe.mapping() and (len(handlers) > 1 or (complete and not handlers)):
            said = " and ".join(handlers) or "none of them"
            yield probe.place, f"a probe has one of {', '.join(_HANDLERS)}, here is {said}"
        for key in _TIMES:
            if (number := probe.number(key)) is not None and number < 0:
                yield (*probe.place, key), f"{number} is negative"
        if kind != "readinessProbe" and (probe.number("successThreshold") or 1) != 1:
            yield (*probe.place, "successThreshold"), f"a {kind} takes 1 alone"
        for handler in ("httpGet", "tcpSocket"):
            port = probe.number(handler, "port")
            if port is not None and not 0 < port < 65536:
                yield (*probe.place, handler, "port"), f"{port} is no port: 1 to 65535"
            if (name := probe.text(handler, "port")) and name not in {
                one.text("name") for one in box.parts("ports")
            }:
                yield (*probe.place, handler, "port"), f"the container has no port '{name}'"
