"""Tandem with its repository API on, and a load by it."""

import copy
import http.client
import os
import secrets
from collections.abc import Mapping
from typing import Any

import orjson

from loadtests.answers import Refused
from loadtests.client.target import Target

LIVE = "tandem-load"  # a server's kind; `tandem` is told of a version by a deploy
TOKEN = "TANDEM_ADMIN_TOKEN"
_TIMEOUT_S = 60.0


def with_admin(config: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of a Serve config whose Router takes loads, and the token in this environment."""
    made = copy.deepcopy(dict(config))
    (router,) = [one for one in made["applications"] if one.get("route_prefix")]
    router["args"] = {**router.get("args", {}), "admin": {}}
    os.environ.setdefault(TOKEN, secrets.token_hex(24))
    return made


def load(target: Target, model: str, parameters: Mapping[str, Any], live: bool = True) -> None:
    """Returns when it is served. Refused. Not `live`: of a peer, which needs no token."""
    headers = {"Content-Type": "application/json"}
    if live:
        headers["Authorization"] = f"Bearer {os.environ[TOKEN]}"
    body = orjson.dumps({"parameters": dict(parameters)} if parameters else {})
    client = http.client.HTTPConnection(target.url.hostname or "", target.port, timeout=_TIMEOUT_S)
    try:
        client.request("POST", f"/v2/repository/models/{model}/load", body, headers)
        answer = client.getresponse()
        text = answer.read()
    finally:
        client.close()
    if answer.status != 200:
        raise Refused(f"{answer.status} {text[:200].decode('utf-8', 'replace')}")
