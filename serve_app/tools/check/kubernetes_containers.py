"""What the API server refuses in a container of a pod, beyond its schema (Kubernetes 1.33)."""

from serve_app.tools.check import rules as the
from serve_app.tools.check.rules import Parts, Resource, Rule, Table
from serve_app.tools.kube.part import Looks
from serve_app.tools.kube.quantity import amount

LABEL = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
NO_LABEL = "'{}' is no DNS label: a-z, 0-9 and '-'"
_PORT = r"(?=.{1,15}$)(?=.*[a-z])(?!.*--)[a-z0-9]([-a-z0-9]*[a-z0-9])?"
SECCOMP = the.one_of("securityContext seccompProfile type", "RuntimeDefault", "Unconfined", "Localhost")
_SOURCES = ("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef")
_FIELD = (r"metadata\.(name|namespace|uid|(labels|annotations)\['.+'\])"
          r"|spec\.(nodeName|serviceAccountName)|status\.(hostIPs?|podIPs?)")  # fmt: skip
_KINDS = {bool: "flag", int: "number", float: "number"}
_HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc")
_TIMES = (
    "initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold",
)  # fmt: skip


def _no_text(variable: Looks, _: Resource) -> str:
    value = variable.get("value")
    if not isinstance(value, bool | int | float):
        return ""
    written = str(value).lower() if isinstance(value, bool) else value
    return f'a variable is text, not the {_KINDS[type(value)]} {written}: "{written}"'


def _wrong_size(size: Looks, resource: Resource) -> str:
    *box, kind, key = size.place
    limit, extended = resource.whole.get(*box, "limits", key), "/" in str(key)
    extended &= "kubernetes.io/" not in str(key)
    number, most = amount(size.data), amount(limit)
    if number is None:
        return ""  # said by the schema
    if number < 0:
        return f"{size.data} is negative"
    if extended and number.denominator != 1:
        return f"{size.data}: {key} comes in whole numbers"
    if kind == "requests" and most is not None and number > most:
        return f"{size.data} is more than the limit, {limit}"
    other = extended and kind == "requests" and number != most and (limit is None or most is not None)
    return f"{size.data}: of {key} the limit must be the same" if other else ""


def _unnamed(handler: str) -> Rule:
    """A port by a name that the container doesn't give to any."""

    def broken(probe: Looks, resource: Resource) -> str:
        name, box = probe.text(handler, "port"), resource.whole.at(*probe.place[:-1])
        return "" if name in {"", *(one.text("name") for one in box.parts("ports"))} else name

    return Rule(f"{handler} port", broken, "the container has no port '{}'")


def table(boxes: Parts, why: str, complete: bool = True) -> Table:
    """Of these containers. Unless `complete` somebody else puts in what they lack."""
    missing = Rule("", lambda b, _: b.get("image") in (None, ""), "no image")
    probes = the.below(boxes, "livenessProbe", "readinessProbe", "startupProbe")
    return (
        (boxes, why, (
            the.like("name", LABEL, NO_LABEL),
            *((missing,) if complete else ()),
            the.value("image", str, lambda image: image == image.strip(),
                      "'{}' begins or ends with a space"),
            the.one_of("imagePullPolicy", "Always", "IfNotPresent", "Never"),
            the.one_of("terminationMessagePolicy", "File", "FallbackToLogsOnError"),
            SECCOMP,
        )),
        (the.below(boxes, "volumeMounts *"), why, (
            the.value("mountPath", str, bool, "an empty path"),
        )),
        (the.below(boxes, "ports *"), why, (
            the.first_of("name"),
            the.port("containerPort"),
            the.port("hostPort", 0),
            the.like("name", _PORT,
                 "'{}' is no name of a port: at most 15 of a-z, 0-9 and '-', one of them a letter"),
            the.one_of("protocol", *the.PROTOCOLS),
        )),
        (the.below(boxes, "env *"), why, (
            the.value("name", str, lambda name: "=" not in name, "'{}' has a '='"),
            Rule("value", _no_text),
            Rule("valueFrom", lambda v, _: v.text("value") and v.mapping("valueFrom"),
                 "beside `value`: it is one or the other"),
            the.one_alone("valueFrom", "one source, not {}", *_SOURCES),
            the.like("valueFrom fieldRef fieldPath", _FIELD, "'{}' is no field of a pod here"),
        )),
        (the.below(boxes, "resources limits []", "resources requests []"), why, (
            Rule("", _wrong_size),
        )),
        (probes, why, (
            the.one_alone("", f"a probe has one of {', '.join(_HANDLERS)}, here is {{}}", *_HANDLERS,
                          none=not complete),
            *(the.at_least(key, 0) for key in _TIMES),
            Rule("successThreshold", lambda p, _: (p.number("successThreshold") or 1) != 1
                 and p.place[-1] != "readinessProbe" and p.place[-1], "a {} takes 1 alone"),
            *(the.port(f"{handler} port") for handler in ("httpGet", "tcpSocket")),
            *map(_unnamed, ("httpGet", "tcpSocket")),
        )),
    )  # fmt: skip
