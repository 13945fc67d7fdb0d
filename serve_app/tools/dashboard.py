"""Ray's dashboard over HTTP: Serve's config in, Serve's and Ray's state out."""

import json
import urllib.error
import urllib.request
from typing import Any

_APPLICATIONS = "/api/serve/applications/"
_TIMEOUT_S, _DEPLOY_TIMEOUT_S = 30, 120  # the first deployment starts Serve
# Without proxies: an environment that names one means it for other machines.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


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
