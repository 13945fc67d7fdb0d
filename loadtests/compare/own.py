"""Cases of one's own: requests in files, for any model on any two servers."""

import difflib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import yaml

from loadtests.compare.cases import TRANSPORTS, Case
from loadtests.compare.options import Slo, parse_slo
from loadtests.requests import Request
from serve_app.protocol import client, rest_codec

SUFFIXES = (".yaml", ".yml", ".json")  # by which `--cases` tells a file from a name
_KEYS = ("model", "transport", "requests", "slo")


def payload(text: str) -> Case:
    """`MODEL=FILE` with a V2 request in JSON; ValueError says what is wrong."""
    model, equals, file = text.partition("=")
    if not model or not equals:
        raise ValueError(f"a payload is MODEL=FILE, got '{text}'")
    return Case(f"{model}/http", (_request(model, "http", Path(file).read_bytes(), file),))


def read(file: Path) -> tuple[tuple[Case, ...], dict[str, Slo]]:
    """The cases of a file as in docs/comparison/cases.yaml, and their SLOs by case; ValueError.

    Requests are files beside it, or written out in it.
    """
    try:
        entries = yaml.safe_load(file.read_text())
    except yaml.YAMLError as error:
        raise ValueError(f"{file} is no YAML: {error}") from None
    if not isinstance(entries, list) or not entries:
        raise ValueError(f"{file}: expected a list of cases, each with a model and its requests")
    cases: dict[str, Case] = {}
    slos = {}
    for at, entry in enumerate(entries):
        where = f"{file}, case {at + 1}"
        case = _case(entry, file.parent, where)
        if case.name in cases:
            raise ValueError(f"{where}: there is a {case.name} already: put the requests into one case")
        cases[case.name] = case
        if "slo" in entry:
            _, slos[case.name] = parse_slo(str(entry["slo"]))
    return tuple(cases.values()), slos


def _case(entry: Any, folder: Path, where: str) -> Case:
    if not isinstance(entry, Mapping):
        raise ValueError(f"{where}: expected {', '.join(_KEYS)}, got {entry!r}")
    for key in entry:
        if key not in _KEYS:
            near = difflib.get_close_matches(str(key), _KEYS, n=1)
            hint = f", did you mean '{near[0]}'?" if near else ""
            raise ValueError(f"{where}: no key '{key}'{hint}; there are {', '.join(_KEYS)}")
    model, transport = entry.get("model"), entry.get("transport", "http")
    if not isinstance(model, str) or not model:
        raise ValueError(f"{where}: model must be a model's name, got {model!r}")
    if transport not in TRANSPORTS:
        raise ValueError(f"{where}: transport must be one of {', '.join(TRANSPORTS)}, got {transport!r}")
    given = entry.get("requests")
    requests = []
    for one in given if isinstance(given, list) else [given]:
        if isinstance(one, Mapping):
            body, source = orjson.dumps(one), where
        elif isinstance(one, str):
            body, source = (folder / one).read_bytes(), str(folder / one)
        else:
            raise ValueError(f"{where}: requests must be a file, or a list of files and requests")
        requests.append(_request(model, transport, body, source))
    if not requests:
        raise ValueError(f"{where}: requests must be a file, or a list of files and requests")
    return Case(f"{model}/{transport}", tuple(requests))


def _request(model: str, transport: str, body: bytes, where: str) -> Request:
    """A V2 request in JSON, sent as it is or by another transport."""
    try:
        read = rest_codec.decode_request(body, None, model, "")
    except Exception as error:  # whatever the codec has against it
        raise ValueError(f"{where} is no V2 request: {error}") from None
    if transport == "grpc":
        return Request(model, client.encode_grpc(read), grpc=True)
    if transport == "binary":
        data, length = client.encode_http(replace(read, binary_output=True), binary=True)
        return Request(model, data, json_length=length)
    return Request(model, body)
