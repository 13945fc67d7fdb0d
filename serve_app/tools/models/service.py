"""The repository API of a service that runs."""

import base64
import json
import os
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from serve_app.errors import ConfigError
from serve_app.tools import clusters, routers

TOKEN = "TANDEM_ADMIN_TOKEN"  # noqa: S105 - a variable's name
_TIMEOUT_S = 600  # a load waits for every Router
# Without proxies: an environment that names one means it for other machines.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

Row = dict[str, Any]


class Refused(Exception):
    """What the service answers instead."""


def address_of(said: str | None, env: Mapping[str, str] = os.environ) -> str:
    """The service's URL: the one that was said, else that of the last `tandem run`."""
    if url := said or env.get("TANDEM_ADDRESS"):
        return (url if "://" in url else f"http://{url}").rstrip("/")
    _, serve = clusters.ask(clusters.find(None))
    return routers.url_of(serve)


class Service:
    """At a URL. Refused says why something isn't done; ConfigError, that nobody answers there."""

    def __init__(self, url: str, token: str = "") -> None:
        self._url, self._token = url, token

    def index(self) -> list[Row]:
        """Every version, and its state."""
        found: list[Row] = self._ask("/v2/repository/index", {})
        return found

    def counts(self, model: str) -> dict[str, int]:
        """Requests that each version of a model answered, in one Router."""
        found = self._ask(f"/v2/models/{quote(model, safe='')}/stats", None)["model_stats"]
        return {one["version"]: one["inference_stats"]["success"]["count"] for one in found}

    def shadow(self, model: str) -> Row:
        """What came of the copies of a model's requests, in all Routers."""
        found: Row = self._ask(f"/v2/repository/models/{quote(model, safe='')}/shadow", None)
        return found

    def change(self, verb: str, model: str, parameters: Mapping[str, Any]) -> None:
        """Load or unload; returns when every Router serves it."""
        path = f"/v2/repository/models/{quote(model, safe='')}/{verb}"
        self._ask(path, {"parameters": dict(parameters)})

    def traffic(self, model: str, said: object = None, method: str = "GET") -> Row:
        """How its requests are shared; POST: from now on so, DELETE: as the configuration has it."""
        path = f"/v2/repository/models/{quote(model, safe='')}/traffic"
        found: Row = self._ask(path, said, method)
        return found

    def rollout(self, model: str, said: object = None) -> Row:
        """Its last rollout; what is `said` does something to it, or begins one."""
        path = f"/v2/repository/models/{quote(model, safe='')}/rollout"
        found: Row = self._ask(path, said)
        return found

    def _ask(self, path: str, body: object, method: str | None = None) -> Any:
        headers = {"Content-Type": "application/json"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        data = None if body is None else json.dumps(body).encode()
        try:
            request = urllib.request.Request(self._url + path, data, headers, method=method)  # noqa: S310
            with _opener.open(request, timeout=_TIMEOUT_S) as answer:
                text = answer.read()
        except urllib.error.HTTPError as error:
            with error:
                raise Refused(_reason(error.code, error.read(10_000))) from None
        except (OSError, ValueError) as error:
            raise ConfigError(f"nobody answers at {self._url} ({error}): --address") from None
        return json.loads(text) if text else None


def parameters(config: str | None, files: list[str], version: str | None) -> dict[str, Any]:
    """Those of a load, of what the command line says; ConfigError for files that aren't there."""
    found: dict[str, Any] = {}
    if config is not None:
        found["config"] = text_of(config)
    if version:
        found["version"] = version
    for one in files:
        name, separator, path = one.partition("=")
        if not separator:
            raise ConfigError(f"--file: expected VERSION/NAME=PATH, as in 1/model.onnx=m.onnx: '{one}'")
        try:
            found[f"file:{name}"] = base64.b64encode(Path(path).read_bytes()).decode()
        except OSError as error:
            raise ConfigError(f"--file {one}: {error.strerror}") from None
    return found


def text_of(config: str) -> str:
    """As it stands, or in the file behind an @."""
    if not config.startswith("@"):
        return config
    try:
        return Path(config[1:]).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"--config {config}: {error}") from None


def _reason(code: int, body: bytes) -> str:
    try:
        said = str(json.loads(body)["error"])
    except (ValueError, KeyError, TypeError):
        said = body.decode(errors="replace")[:200]
    hint = f" (the variable {TOKEN})" if code == 401 else ""
    return f"{said}{hint}" if said else f"HTTP {code}"
