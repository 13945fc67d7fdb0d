"""What a request to the repository API asks for, by Triton's forms. Pure."""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from serve_app.config import did_you_mean
from serve_app.errors import InvalidArgument, TooLarge, shown
from serve_app.releases.triton_config import entry_of

Verb = Literal["load", "unload"]
FILE = "file:"
_VERSION = re.compile(r"[1-9][0-9]{0,18}")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
# What can't run code when it is read; `.data` are weights beside an ONNX graph.
SAFE = (".onnx", ".data", ".pt2", ".safetensors", ".json", ".txt", ".model")
_MOST_FILES = 1024
_KNOWN: Mapping[Verb, tuple[str, ...]] = {
    "load": ("config", "version", "file:<version>/<name>"),
    "unload": ("unload_dependents", "version"),
}


@dataclass(frozen=True, slots=True)
class Asked:
    """`config` are keys of an entry of the Router's models; `files`, by `<version>/<name>`."""

    verb: Verb
    model: str
    version: str = ""
    config: Mapping[str, Any] | None = None
    files: Mapping[str, bytes] = field(default_factory=dict)


def asked(verb: Verb, model: str, parameters: Mapping[str, Any], most: int) -> Asked:
    """Of the `parameters` of a request; `most` bytes of files. InvalidArgument or TooLarge."""
    config, version, files = None, "", dict[str, bytes]()
    for name, value in parameters.items():
        if name == "version":
            version = _version(value)
        elif name == "unload_dependents" and verb == "unload":
            if not isinstance(value, bool):  # no model depends on another: nothing follows from it
                raise InvalidArgument(f"unload_dependents: expected true or false, got {shown(value)}")
        elif name == "config" and verb == "load":
            config = _config(model, value)
        elif name.startswith(FILE) and verb == "load":
            files[_path(name)] = _bytes(name, value)
        else:
            known = _KNOWN[verb]
            raise InvalidArgument(f"unknown parameter {shown(name)}{did_you_mean(name, known)}")
    _bounded(files, most)
    if files and version:
        raise InvalidArgument("version: the files say which versions there are")
    return Asked(verb, model, version, config, files)


def _version(value: object) -> str:
    text = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    if not _VERSION.fullmatch(text):
        raise InvalidArgument(f"version: expected a positive integer, got {shown(value)}")
    return text


def _config(model: str, value: object) -> dict[str, Any]:
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    try:
        found = json.loads(value) if isinstance(value, str) else value
    except ValueError as error:
        raise InvalidArgument(f"config: expected a JSON object as text: {error}") from None
    if not isinstance(found, dict):
        raise InvalidArgument(f"config: expected a JSON object as text, got {shown(found)}")
    if found.get("name", model) not in (model, ""):
        raise InvalidArgument(f"config: its name {shown(found['name'])} isn't the model's, '{model}'")
    return {key: one for key, one in entry_of(found).items() if key != "name"}


def _path(name: str) -> str:
    """`<version>/<name>`, and folders between, that stay below their version's."""
    path = name.removeprefix(FILE)
    version, *names = path.split("/")
    if not _VERSION.fullmatch(version) or not names or not all(map(_NAME.fullmatch, names)):
        raise InvalidArgument(
            f"{shown(name)}: expected file:<version>/<name>, as in file:1/model.onnx, of letters, "
            "digits, '.', '_' and '-'"
        )
    if not names[-1].endswith(SAFE):
        raise InvalidArgument(
            f"{shown(name)}: only files that hold no code may come this way ({', '.join(SAFE)})"
        )
    return path


def _bytes(name: str, value: object) -> bytes:
    if isinstance(value, bytes):  # gRPC's bytes_param
        return value
    try:
        return base64.b64decode(value, validate=True) if isinstance(value, str) else _none()
    except (binascii.Error, ValueError):
        raise InvalidArgument(f"{shown(name)}: expected the file's bytes in base64") from None


def _none() -> bytes:
    raise ValueError


def _bounded(files: Mapping[str, bytes], most: int) -> None:
    size = sum(map(len, files.values()))
    if files and not most:
        raise InvalidArgument("files: this service takes none (admin.maxUploadBytes is 0)")
    if size > most:
        raise TooLarge(f"the files have {size} bytes, the limit (admin.maxUploadBytes) is {most}")
    if len(files) > _MOST_FILES:
        raise InvalidArgument(f"files: {len(files)} of them, at most {_MOST_FILES} may come")
    for path in files:
        if any(other.startswith(f"{path}/") for other in files):
            raise InvalidArgument(f"{shown(path)} is to be a file and a folder")
