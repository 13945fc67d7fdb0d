"""What Kubernetes' functions for CEL work on: quantities, addresses, networks, URLs, versions, formats.

They are mappings here: CEL takes no other objects from Python.
"""

import ipaddress
import re
import urllib.parse
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from serve_app.tools.check.json_schema import FORMATS, accepts
from serve_app.tools.kube.quantity import exact

# An argument that is none of what a rule takes it for: then the API server refuses the object.
NONE_OF_ITS_KIND = re.compile(
    r"'.*' is no (quantity|IP address|CIDR|URL|semantic version)"
    r"|cannot convert \w+ to \w+|Type conversion error from .*|String to \w+ conversion failed",
    re.DOTALL,
)
_URL = re.compile(r"(?:([A-Za-z][-+.\w]*):(?://([^/?]*))?)?([^?]*)(?:\?.*)?", re.DOTALL)
_AUTHORITY = re.compile(
    r"([-\w.~!$&'()*+,;=:%@]*@)?(\[[-\w:.%]*\]|([-\w.~!$&'()*+,;=<>\"]|%[89A-Fa-f][0-9A-Fa-f])*)(:\d*)?"
)
Object = dict[str, str]
_LABEL, _UPPER = "[a-z0-9]([-a-z0-9]*[a-z0-9])?", "[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?"
NAMES: dict[str, tuple[str, int]] = {
    "dns1123Label": (_LABEL, 63),
    "dns1123Subdomain": (rf"{_LABEL}(\.{_LABEL})*", 253),
    "dns1035Label": ("[a-z]([-a-z0-9]*[a-z0-9])?", 63),
    "qualifiedName": (rf"({_LABEL}(\.{_LABEL})*/)?{_UPPER}", 317),
    "dns1123LabelPrefix": (f"{_LABEL}-?", 63),
    "dns1123SubdomainPrefix": (rf"{_LABEL}(\.{_LABEL})*[-.]?", 253),
    "dns1035LabelPrefix": ("[a-z]([-a-z0-9]*[a-z0-9])?-?", 63),
    "labelValue": (f"({_UPPER})?", 63),
}
FORMATS_NAMED = (*NAMES, "uri", "uuid", "byte", "date", "datetime")


def quantity(text: Any) -> Object:
    return {"quantity": str(exact(text) if isinstance(text, str) else text)}


def _parsed(make: Callable[[str], Any], text: str, form: str, what: str) -> Any:
    """No address of IPv4 in IPv6, as on the API server."""
    found = make(text) if re.search(form, text) and accepts(make)(text) else None
    if found is None or getattr(getattr(found, "ip", found), "ipv4_mapped", None):
        raise ValueError(f"'{text}' is no {what}")
    return found


def address(text: str) -> Any:
    return _parsed(ipaddress.ip_address, text, "^[^%]*$", "IP address")


def ip(text: Any) -> Object:
    return {"ip": str(address(str(text)))}


def network(text: str) -> Any:
    return _parsed(ipaddress.ip_interface, text, r"/\d+$", "CIDR")


def cidr(text: Any) -> Object:
    return {"cidr": str(network(str(text)))}


def url(text: str) -> Object:
    """By Go's url.ParseRequestURI: an absolute URI or an absolute path."""
    scheme, authority, path = _URL.fullmatch(text).groups()  # type: ignore[union-attr]
    odd = re.search(r"[\x00-\x1f\x7f]", text) or re.search("%(?![0-9A-Fa-f]{2})", path)
    if odd or not (scheme or path.startswith("/")) or not _AUTHORITY.fullmatch(authority or ""):
        raise ValueError(f"'{text}' is no URL")
    return {"url": text}


def semver(text: str, loose: bool = False) -> Object:
    if loose:
        main, mark, rest = re.sub("^v", "", text).partition("-")
        numbers = [re.sub(r"^0+(?=\d)", "", part) for part in main.split(".")]
        text = ".".join([*numbers, "0", "0"][: max(3, len(numbers))]) + mark + rest
    number = r"(?:0|[1-9]\d*)"
    if not re.fullmatch(rf"{number}\.{number}\.{number}(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?", text):
        raise ValueError(f"'{text}' is no semantic version")
    return {"semver": text}


def version(text: str) -> Any:
    """What can be compared."""
    main, _, early = text.partition("+")[0].partition("-")
    parts = [(0, int(p), "") if p.isdigit() else (1, 0, p) for p in early.split(".")] if early else []
    return (*map(int, main.split(".")), not early, parts)


_READ: dict[str, Callable[[str], Any]] = {
    "quantity": Fraction, "ip": ipaddress.ip_address, "cidr": ipaddress.ip_interface,
    "url": urllib.parse.urlsplit, "semver": version, "format": str,
}  # fmt: skip


def on(ask: Callable[..., Any]) -> Callable[..., Any]:
    """Asked with what the mappings stand for; other arguments are themselves."""

    def read(one: Any) -> Any:
        kind, text = next(iter(one.items())) if isinstance(one, dict) else ("", one)
        return _READ[kind](text) if kind else text

    return lambda *arguments: ask(*map(read, arguments))


def whole(value: Fraction) -> int:
    if value.denominator != 1 or not -(2**63) <= value < 2**63:
        raise ValueError("a quantity that is no integer")
    return int(value)


def compared(one: Any, other: Any) -> int:
    return int(one > other) - int(one < other)


def is_global(one: Any) -> bool:
    odd = (one.is_unspecified, one.is_loopback, one.is_multicast, one.is_link_local)
    return not any(odd) and str(one) != "255.255.255.255"


def contains(outer: Any, other: Any) -> bool:
    """Whether a network has another in it."""
    inner = network(str(other)).network
    return outer.version == inner.version and bool(inner.subnet_of(outer.network))


def host(one: Any) -> str:
    return str(one.netloc).rpartition("@")[2]


def same(one: Any, other: Any) -> bool:
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


def among(one: Any, many: list[Any]) -> bool:
    return any(same(one, other) for other in many)


def valid(name: str, text: str) -> list[str]:
    """What is wrong with a text, as CEL's optional has it: an empty list is none."""
    if name in NAMES:
        pattern, most = NAMES[name]
        fits = re.fullmatch(pattern, text) is not None and len(text) <= most
    elif name == "uri":
        fits = accepts(url)(text)
    else:
        fits = FORMATS[name.replace("datetime", "date-time")](text)
    return [] if fits else [f"'{text}' is no {name}"]
