"""Where a server is, and what a request needs to get there through gateways."""

import difflib
import os
import ssl
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import SplitResult, urlsplit

_KEYS = ("grpc", "host", "token-env", "ca")


class TargetError(Exception):
    """The text names no target; says what is wrong with it."""


@dataclass(frozen=True)
class Target:
    """`http` is a base URL, `grpc` host:port; `host` stands in the Host header and :authority.

    TLS by an https URL (gRPC then too), checked against the file `ca` or the system's authorities.
    The token is a bearer token; it stands in no repr.
    """

    name: str
    http: str
    grpc: str = ""
    host: str = ""
    token: str = field(default="", repr=False)
    ca: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """`kserve=http://10.0.0.1:80,grpc=10.0.0.1:80,host=m.example.com,token-env=TOKEN,ca=ca.pem`."""
        name, equals, rest = text.partition("=")
        url, *pairs = rest.split(",")
        if not name or not equals:
            raise TargetError(f"a target is name=URL[,grpc=host:port...], got '{text}'")
        values = {"name": name, "http": url.rstrip("/")}
        if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
            raise TargetError(f"target '{name}': expected an http:// or https:// URL, got '{url}'")
        for pair in pairs:
            key, _, value = pair.partition("=")
            if key not in _KEYS or not value:
                near = difflib.get_close_matches(key, _KEYS, n=1)
                hint = f", did you mean '{near[0]}='?" if near and near[0] != key else ""
                keys = ", ".join(f"{known}=" for known in _KEYS)
                raise TargetError(f"target '{name}': '{pair}' is none of {keys}{hint}")
            if key == "token-env":
                if value not in os.environ:
                    raise TargetError(f"target '{name}': the environment has no {value}")
                key, value = "token", os.environ[value]
            values[key] = value
        if (grpc := values.get("grpc", "")) and not grpc.rpartition(":")[2].isdigit():
            raise TargetError(f"target '{name}': grpc must be host:port, got '{grpc}'")
        return cls(**values)

    @property
    def url(self) -> SplitResult:
        """The base URL, taken apart."""
        return urlsplit(self.http)

    @property
    def port(self) -> int:
        return self.url.port or (443 if self.secure else 80)

    @property
    def secure(self) -> bool:
        """Whether TLS is spoken."""
        return self.url.scheme == "https"

    def headers(self) -> dict[str, str]:
        """For every HTTP request."""
        found = {"Host": self.host or self.url.netloc}
        if self.token:
            found["Authorization"] = f"Bearer {self.token}"
        return found

    def context(self) -> ssl.SSLContext | None:
        """For HTTP's connections; None without TLS."""
        return ssl.create_default_context(cafile=self.ca or None) if self.secure else None

    def record(self) -> dict[str, Any]:
        """For a report: everything but the token."""
        return {"name": self.name, "http": self.http, "grpc": self.grpc, "host": self.host}
