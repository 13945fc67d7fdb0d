"""Kubernetes' functions for rules in CEL (https://kubernetes.io/docs/reference/using-api/cel), told to
Google's CEL. Not to be told from Python: comprehensions of two variables, `sortBy`, `first`, `last`."""

import operator
import re
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from ipaddress import ip_network
from typing import Any
from urllib.parse import parse_qs, quote

from serve_app.tools.check import cel_objects as of
from serve_app.tools.check.cel_objects import among, compared, on, same
from serve_app.tools.check.json_schema import accepts

_LINK_LOCAL = {4: ip_network("224.0.0.0/24"), 6: ip_network("ff02::/16")}


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
    "isQuantity(s)": accepts(of.quantity),
    "m.isInteger()": accepts(on(of.whole)),
    "m.asInteger()": on(of.whole),
    "m.asApproximateFloat()": on(float),
    "m.sign()": on(lambda one: compared(one, 0)),
    **{f"m.add({one})": on(lambda a, b: of.quantity(a + b)) for one in "mi"},
    **{f"m.sub({one})": on(lambda a, b: of.quantity(a - b)) for one in "mi"},
    "m.compareTo(m)": on(compared),
    "m.isGreaterThan(m)": on(operator.gt),
    "m.isLessThan(m)": on(operator.lt),
    "ip(s)": of.ip,
    "isIP(s)": accepts(of.ip),
    "ip.isCanonical(s)": lambda text: of.ip(text)["ip"] == text,
    "m.family()": on(lambda one: one.version),
    "m.isUnspecified()": on(lambda one: one.is_unspecified),
    "m.isLoopback()": on(lambda one: one.is_loopback),
    "m.isLinkLocalMulticast()": on(lambda one: one in _LINK_LOCAL[one.version]),
    "m.isLinkLocalUnicast()": on(lambda one: one.is_link_local),
    "m.isGlobalUnicast()": on(of.is_global),
    "cidr(s)": of.cidr,
    "isCIDR(s)": accepts(of.cidr),
    "m.ip()": on(lambda one: of.ip(one.ip)),
    "m.masked()": on(lambda one: of.cidr(one.network)),
    "m.prefixLength()": on(lambda one: one.network.prefixlen),
    **{f"m.containsIP({one})": on(lambda net, ip: of.address(str(ip)) in net.network) for one in "ms"},
    **{f"m.containsCIDR({one})": on(of.contains) for one in "ms"},
    "url(s)": of.url,
    "isURL(s)": accepts(of.url),
    "m.getScheme()": on(lambda one: one.scheme),
    "m.getHost()": on(of.host),
    "m.getHostname()": on(lambda one: re.sub(r":\d*$", "", of.host(one)).strip("[]")),
    "m.getPort()": on(lambda one: str(one.port or "")),
    "m.getEscapedPath()": on(lambda one: quote(one.path, safe="/%:@!$&'()*+,;=~-._")),
    "m.getQuery()": on(lambda one: parse_qs(one.query, keep_blank_values=True)),
    **{f"semver({some})": of.semver for some in ("s", "s,b")},
    **{f"isSemver({some})": accepts(of.semver) for some in ("s", "s,b")},
    "m.major()": on(lambda one: one[0]),
    "m.minor()": on(lambda one: one[1]),
    "m.patch()": on(lambda one: one[2]),
    "string(m)": lambda one: str(next(iter(one.values()))),
    # An optional, or a list in its place: no mistakes are an empty list.
    "m.validate(s)": on(of.valid),
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
