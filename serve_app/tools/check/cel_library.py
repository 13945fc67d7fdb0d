"""Kubernetes' functions for rules in CEL (https://kubernetes.io/docs/reference/using-api/cel), told to
Google's CEL. Not to be told from Python: comprehensions of two variables, `sortBy`, `first`, `last`."""

import re
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from typing import Any

from serve_app.tools.check import cel_objects as of
from serve_app.tools.check.cel_objects import among, compared, same


def index(many: list[Any], one: Any, last: bool = False) -> int:
    places = [at for at, other in enumerate(many) if same(one, other)]
    return (places[-1] if last else places[0]) if places else -1


def distinct(many: list[Any]) -> list[Any]:
    return [one for at, one in enumerate(many) if not among(one, many[:at])]


def flat(many: list[Any], depth: int = 1) -> list[Any]:
    deeper = [flat(one, depth - 1) if isinstance(one, list) and depth else [one] for one in many]
    return [one for part in deeper for one in part]


def find(text: str, pattern: str, most: int = -1) -> list[str]:
    import re2

    found = [match.group() for match in re2.finditer(pattern, text)]
    return found if most < 0 else found[:most]


# By their signatures: s a text, i an integer, b a bool, l a list, m an object of `cel_objects`, d any.
TABLE: dict[str, Callable[..., Any]] = {
    "quantity(s)": of.quantity,
    "isQuantity(s)": of.accepts(of.quantity),
    "m.isInteger()": of.accepts(of.whole),
    "m.asInteger()": of.whole,
    "m.asApproximateFloat()": lambda one: float(of.amount(one)),
    "m.sign()": lambda one: compared(of.amount(one), 0),
    "m.add(m)": of.added(1),
    "m.add(i)": of.added(1),
    "m.sub(m)": of.added(-1),
    "m.sub(i)": of.added(-1),
    "m.compareTo(m)": lambda one, other: compared(of.value(one), of.value(other)),
    "m.isGreaterThan(m)": lambda one, other: of.value(one) > of.value(other),
    "m.isLessThan(m)": lambda one, other: of.value(one) < of.value(other),
    "ip(s)": of.ip,
    "isIP(s)": of.accepts(of.ip),
    "ip.isCanonical(s)": lambda text: of.ip(text)["ip"] == text,
    "m.family()": of.of_ip(lambda one: one.version),
    "m.isUnspecified()": of.of_ip(lambda one: one.is_unspecified),
    "m.isLoopback()": of.of_ip(lambda one: one.is_loopback),
    "m.isLinkLocalMulticast()": of.of_ip(of.link_local_group),
    "m.isLinkLocalUnicast()": of.of_ip(lambda one: one.is_link_local),
    "m.isGlobalUnicast()": of.of_ip(of.is_global),
    "cidr(s)": of.cidr,
    "isCIDR(s)": of.accepts(of.cidr),
    "m.ip()": lambda one: {"ip": str(of.network(one["cidr"]).ip)},
    "m.masked()": lambda one: {"cidr": str(of.network(one["cidr"]).network)},
    "m.prefixLength()": lambda one: of.network(one["cidr"]).network.prefixlen,
    "m.containsIP(m)": of.contains_ip,
    "m.containsIP(s)": of.contains_ip,
    "m.containsCIDR(m)": of.contains_cidr,
    "m.containsCIDR(s)": of.contains_cidr,
    "url(s)": of.url,
    "isURL(s)": of.accepts(of.url),
    "m.getScheme()": of.of_url(lambda one: one.scheme),
    "m.getHost()": of.of_url(of.host),
    "m.getHostname()": of.of_url(lambda one: re.sub(r":\d*$", "", of.host(one)).strip("[]")),
    "m.getPort()": of.of_url(lambda one: str(one.port or "")),
    "m.getEscapedPath()": of.of_url(of.escaped_path),
    "m.getQuery()": of.of_url(of.query),
    "semver(s)": of.semver,
    "semver(s,b)": of.semver,
    "isSemver(s)": of.accepts(of.semver),
    "isSemver(s,b)": of.accepts(of.semver),
    "m.major()": lambda one: of.value(one)[0],
    "m.minor()": lambda one: of.value(one)[1],
    "m.patch()": lambda one: of.value(one)[2],
    "string(m)": lambda one: str(next(iter(one.values()))),
    # An optional, or a list in its place: no mistakes are an empty list.
    "m.validate(s)": of.valid,
    "l.hasValue()": bool,
    "l.value()": lambda many: many,
    "l.orValue(l)": lambda many, other: many or other,
    "l.isSorted()": lambda many: sorted(many) == many,
    "l.sum()": sum,
    "l.min()": min,
    "l.max()": max,
    "l.indexOf(d)": index,
    "l.lastIndexOf(d)": lambda many, one: index(many, one, True),
    "d.includes(d)": lambda a, b: same(a, b) or (isinstance(a, list) and among(b, a)),
    "l.distinct()": distinct,
    "l.flatten()": flat,
    "l.flatten(i)": flat,
    "l.reverse()": lambda many: many[::-1],
    "l.slice(i,i)": lambda many, start, end: many[start:end],
    "l.sort()": sorted,
    "lists.range(i)": lambda most: list(range(most)),
    "sets.contains(l,l)": lambda many, some: all(among(one, many) for one in some),
    "sets.intersects(l,l)": lambda many, some: any(among(one, many) for one in some),
    "sets.equivalent(l,l)": lambda a, b: all(among(x, b) for x in a) and all(among(x, a) for x in b),
    "s.find(s)": lambda text, pattern: next(iter(find(text, pattern)), ""),
    "s.findAll(s)": find,
    "s.findAll(s,i)": find,
    **{f"format.{name}()": partial(dict, format=name) for name in of.FORMATS_NAMED},
}


def functions(cel: Any) -> list[Any]:
    """The table, declared."""
    kinds = {
        "s": cel.Type.STRING, "i": cel.Type.INT, "b": cel.Type.BOOL, "l": cel.Type.LIST,
        "m": cel.Type.MAP, "d": cel.Type.DYN,
    }  # fmt: skip
    overloads: dict[str, list[Any]] = defaultdict(list)
    for signature, made in TABLE.items():
        whole, _, arguments = signature.rstrip(")").partition("(")
        receiver, dot, name = whole.partition(".")
        member = bool(dot) and receiver in kinds
        parameters = [
            kinds[one] for one in [*([receiver] if member else []), *filter(None, arguments.split(","))]
        ]
        overloads[name if member else whole].append(
            cel.Overload(signature, cel.Type.DYN, parameters, is_member=member, impl=made)
        )
    return [cel.FunctionDecl(name, some) for name, some in overloads.items()]
