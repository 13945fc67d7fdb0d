"""Ray's dashboard over HTTP: Serve's config in, Serve's and Ray's state out."""

import contextlib
import json
import os
import secrets
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_APPLICATIONS = "/api/serve/applications/"
_TIMEOUT_S, _DEPLOY_TIMEOUT_S = 30, 120  # the first deployment starts Serve
# Without proxies: an environment that names one means it for other machines.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def token_file(env: Mapping[str, str] = os.environ) -> Path:
    """Where Ray's own clients look for a token, without a variable that has it."""
    return Path(env.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray" / "auth_token")


def token(env: Mapping[str, str] = os.environ) -> str:
    """Ray's, from where Ray's own clients take it; '' where there is none."""
    if value := env.get("RAY_AUTH_TOKEN"):
        return value
    with contextlib.suppress(OSError):
        return token_file(env).read_text().strip()
    return ""


def own_token() -> str:
    """The same; where there is none one is made and kept there, as Ray does for `ray.init`.

    So what runs here can be asked by `tandem doctor`, `serve status` and whatever else of this user.
    """
    if found := token():
        return found
    made, file = secrets.token_hex(32), token_file()
    with contextlib.suppress(OSError):  # a home that can't be written to: it is in the state file
        file.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as kept:
            kept.write(made)
    return token() or made


class Refused(Exception):
    """Serve didn't take a config, with its reason."""


class Dashboard:
    """At a URL, with Ray's token. OSError while nobody answers there; HTTPError (one, too) says 401."""

    def __init__(self, url: str, token: str = "") -> None:
        self.url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    def serve(self) -> dict[str, Any]:
        """Everything that Serve says of itself: `applications`, `proxies`, `http_options`, ..."""
        found: dict[str, Any] = json.loads(self._send("GET", _APPLICATIONS))
        return found

    def applications(self) -> dict[str, Any]:
        """Serve's applications by name, each with `status`, `message` and `deployments`."""
        found: dict[str, Any] = self.serve().get("applications") or {}
        return found

    def get(self, path: str) -> Any:
        """Any other of its pages in JSON."""
        return json.loads(self._send("GET", path))

    def deploy(self, config: dict[str, Any]) -> None:
        """Hand it over; Refused when Serve finds it wrong."""
        try:
            self._send("PUT", _APPLICATIONS, json.dumps(config).encode(), _DEPLOY_TIMEOUT_S)
        except urllib.error.HTTPError as error:
            with error:
                raise Refused(error.read(4000).decode(errors="replace")) from None

    def _send(
        self, method: str, path: str, body: bytes | None = None, timeout: float = _TIMEOUT_S
    ) -> bytes:
        headers = {**self._headers, "Content-Type": "application/json"}
        request = urllib.request.Request(self.url + path, body, headers, method=method)  # noqa: S310
        with _opener.open(request, timeout=timeout) as answer:
            content: bytes = answer.read()
            return content


def healthy(port: int) -> bool:
    """Whether Serve's proxy there takes requests, by KubeRay's own probe."""
    try:
        with _opener.open(f"http://127.0.0.1:{port}/-/healthz", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
