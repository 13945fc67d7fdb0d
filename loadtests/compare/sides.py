"""The sides of a comparison: servers that it starts itself, or a running one's address."""

import copy
import http.client
import os
import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import yaml

from loadtests.answers import get
from loadtests.client.target import Target, TargetError
from loadtests.live import LIVE, load, with_admin
from loadtests.servers import COMMANDS, ROOT, Server

_DASHBOARD = re.compile(r"^  Ray +(http://[\w.:]+) ", re.MULTILINE)
_TIMEOUT_S = 60


class SwitchFailed(Exception):
    """The side wouldn't take the new version."""


@dataclass(frozen=True)
class Side:
    """Either `kind`, one of the servers that can be started here, or `target`."""

    name: str
    kind: str = ""
    target: Target | None = None
    switch_command: str = ""

    @classmethod
    def parse(cls, text: str, switches: Mapping[str, str]) -> "Side":
        """`tandem`, `again=tandem`, or `name=URL,...`; TargetError when it is none of them."""
        name, _, value = text.partition("=")
        kind = value or name
        if kind in COMMANDS:
            return cls(name, kind=kind)
        if not value:
            raise TargetError(
                f"'{text}' is neither name=URL nor one of {', '.join(COMMANDS)}, which are started here"
            )
        return cls(name, target=Target.parse(text), switch_command=switches.get(name, ""))

    def server(self, config: dict[str, Any], models: list[str]) -> Server | None:
        """Not yet started; None where it runs already."""
        if self.kind == LIVE:
            config = with_admin(config)
        return Server(self.name, config, models, kind=self.kind) if self.kind else None

    @property
    def switchable(self) -> bool:
        """Whether this program knows how to give it another version."""
        return bool(self.kind or self.switch_command)

    def switch(self, server: Server | None, config: dict[str, Any], model: str) -> None:
        """Begin to serve what `config` says, the way it is done on this side; SwitchFailed."""
        if server is None:
            done = subprocess.run(
                self.switch_command, shell=True, capture_output=True, text=True, timeout=600, check=False
            )
            if done.returncode:
                raise SwitchFailed(done.stderr.strip()[-300:] or f"exit code {done.returncode}")
            return
        server.write(config)
        if self.kind == LIVE:
            load(server.target, model, {"config": orjson.dumps(_of(config, model)).decode()})
        elif self.kind == "tandem":
            deploy(server, config)
        else:
            get(server.target, f"/v2/repository/models/{model}/load", b"")

    def record(self) -> dict[str, Any]:
        if self.target:
            return {"name": self.name, "kind": "running", **self.target.record()}
        _, arguments = COMMANDS[self.kind]
        return {"name": self.name, "kind": self.kind, "command": " ".join(["python", *arguments])}


def _of(config: dict[str, Any], model: str) -> dict[str, Any]:
    """What of an inline model's entry a switch changes."""
    entries = [one for models in _inline_lists(config) for one in models]
    return next({"versions": one["versions"]} for one in entries if one["name"] == model)


def deploy(server: Server, config: dict[str, Any]) -> None:
    """What `serve deploy` sends, without the second of CPU that starting the command takes."""
    found = _DASHBOARD.search(server.text())
    if not found:
        raise SwitchFailed("its log names no dashboard")
    token = os.environ.get("RAY_AUTH_TOKEN") or _token_file().read_text().strip()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    body = orjson.dumps(config)
    client = http.client.HTTPConnection(found[1].removeprefix("http://"), timeout=_TIMEOUT_S)
    try:
        client.request("PUT", "/api/serve/applications/", body, headers)
        answer = client.getresponse()
        text = answer.read()
    finally:
        client.close()
    if answer.status != 200:
        raise SwitchFailed(f"{answer.status} {text[:300].decode('utf-8', 'replace')}")


def _token_file() -> Path:
    named = os.environ.get("RAY_AUTH_TOKEN_PATH")
    return Path(named) if named else Path.home() / ".ray" / "auth_token"


def configured(
    file: Path,
    models: Iterable[str],
    copied: Mapping[str, list[str]] | None = None,
    versions: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """A Serve config file with only these models, the same one for all sides.

    `copied` gives inline models other names, several each; `versions` pins one of each named model.
    """
    config: dict[str, Any] = yaml.safe_load((ROOT / file).read_text())
    wanted, copied, versions = set(models), copied or {}, versions or {}
    for one in _inline_lists(config):
        one[:] = [
            {**copy.deepcopy(model), "name": name}
            for model in one
            if model["name"] in wanted
            for name in copied.get(model["name"], [model["name"]])
        ]
        for model in one:
            if model["name"] in versions:
                model["versions"] = [versions[model["name"]]]
    config["applications"] = [
        app for app in config["applications"] if app.get("route_prefix") or app["name"] in wanted
    ]
    return config


def _inline_lists(config: dict[str, Any]) -> Iterator[list[dict[str, Any]]]:
    for application in config["applications"]:
        for deployment in application.get("deployments", []):
            user_config = deployment.get("user_config") or {}
            if isinstance(user_config.get("models"), list):
                yield user_config["models"]
