"""`tandem traffic MODEL`: how a model's requests are shared, and share them otherwise."""

import json
import os
import sys
from argparse import Namespace
from typing import Any

import yaml

from serve_app.errors import ConfigError
from serve_app.tools.models.command import table
from serve_app.tools.models.service import TOKEN, Refused, Row, Service, address_of, text_of


def run(options: Namespace) -> int:
    """0 when it is so in every Router, 1 when the service refuses it."""
    if sum(map(bool, (options.weights, options.config, options.clear))) > 1:
        raise ConfigError("one of VERSION=PERCENT, --config and --clear")
    service = Service(address_of(options.address), os.environ.get(TOKEN, ""))
    try:
        found = _asked(service, options)
    except Refused as error:
        print(error, file=sys.stderr)
        return 1
    if options.json:
        print(json.dumps(found, indent=2))
    elif options.write:
        print(written(found), end="")
    else:
        print(shown(found))
    return 0


def _asked(service: Service, options: Namespace) -> Row:
    model = options.model
    if options.clear:
        return service.traffic(model, method="DELETE")
    if options.config:
        return service.traffic(model, _json(text_of(options.config)), "POST")
    if not options.weights:
        return service.traffic(model)
    said = dict(service.traffic(model)["traffic"] or {})
    said["weights"] = dict(map(_weight, options.weights))
    return service.traffic(model, said, "POST")


def _weight(said: str) -> tuple[str, float]:
    version, _, percent = said.partition("=")
    try:
        return version, float(percent.removesuffix("%"))
    except ValueError:
        raise ConfigError(f"'{said}': expected VERSION=PERCENT, as 2=5") from None


def _json(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError as error:
        raise ConfigError(f"--config: expected JSON: {error}") from None


def shown(found: Row) -> str:
    """A table of the versions, and what else decides."""
    rows = [
        {**row, "weight": f"{row['weight']:g} %", "share": f"{row['share']:g} %"}
        for row in found["versions"]
    ]
    if all(row["weight"] == row["share"] for row in rows):
        rows = [{key: row[key] for key in row if key != "share"} for row in rows]
    lines = [table(rows) if rows else "no versions"]
    said: dict[str, Any] = found["traffic"] or {}
    lines += [f"match   {_words(one)}" for one in said.get("match", [])]
    lines += [f"sticky  {_words(one)}" for one in said.get("sticky", [])]
    if found["source"] == "live":
        lines.append("set while the service runs: --write prints the block to commit, --clear undoes it")
    return "\n".join(lines)


def _words(said: Row) -> str:
    return ", ".join(f"{key} {value}" for key, value in said.items())


def written(found: Row) -> str:
    """The block of the Router's `user_config` that says the same."""
    if found["traffic"] is None:
        return "# the newest version that is ready answers, or defaultVersion\n"
    weights = {
        one: int(w) if w == int(w) else w for one, w in found["traffic"].get("weights", {}).items()
    }
    traffic = {**found["traffic"], "weights": weights} if weights else found["traffic"]
    said = {"routing": {found["name"]: {"traffic": traffic}}}
    return yaml.safe_dump(said, sort_keys=False, allow_unicode=True)
