"""What `kustomize build` makes of a folder, with the lines of the files that it is made from.

The fields that Tandem's own overlays use, and no more: of anything else kustomize itself says what it
makes of it, if it is there.
"""

import copy
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jsonpatch
import yaml

from serve_app.errors import ConfigError
from serve_app.tools.kube.documents import Document, get, read
from serve_app.tools.kube.yaml_text import Kustomize, values

NAMES = ("kustomization.yaml", "kustomization.yml", "Kustomization")
_KNOWN = ("apiVersion", "kind", "resources", "components", "namespace", "images", "patches")
_CLUSTER_WIDE = ("Namespace", "ClusterRole", "ClusterRoleBinding", "PriorityClass")
_PROGRAMS = (["kustomize", "build"], ["kubectl", "kustomize"])


class _NotOurs(Exception):
    """What kustomize itself has to build."""


def build(folder: Path) -> list[Document]:
    """The documents of a kustomization. ConfigError when it can't be built."""
    try:
        return _build(folder)
    except _NotOurs as what:
        return _by_program(folder, str(what))
    except (TypeError, AttributeError, KeyError, ValueError, RecursionError) as error:
        # A field of another type than kustomize's.
        raise ConfigError(f"{folder}: not as kustomize reads it: {error}") from None
    except OSError as error:
        raise ConfigError(f"{folder}: {error.filename}: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{folder}: not valid YAML: {error}") from None


def _build(folder: Path) -> list[Document]:
    data = _kustomization(folder)
    if unknown := [key for key in data if key not in _KNOWN]:
        raise _NotOurs(", ".join(map(str, unknown)))
    if not isinstance(data.get("namespace"), str | None):
        raise TypeError(f"namespace is {data['namespace']!r}, not text")
    documents = [one for entry in data.get("resources") or [] for one in _resource(folder, entry)]
    for entry in data.get("components") or []:
        for patch in _kustomization(folder / entry).get("patches") or []:
            _patch(folder / entry, patch, documents)
    for patch in data.get("patches") or []:
        _patch(folder, patch, documents)
    for one in documents:
        if (namespace := data.get("namespace")) and one.kind not in _CLUSTER_WIDE:
            one.data.setdefault("metadata", {})["namespace"] = namespace
        for image in data.get("images") or []:
            _images(one.data, image)
    return documents


def _value(text: str) -> Any:
    return next(iter(values(text)), None)


def _kustomization(folder: Path) -> dict[str, Any]:
    for name in NAMES:
        if (folder / name).is_file():
            data = _value((folder / name).read_text(encoding="utf-8"))
            return data if isinstance(data, dict) else {}
    raise ConfigError(f"{folder}: no kustomization.yaml there")


def _by_program(folder: Path, unknown: str) -> list[Document]:
    for command in _PROGRAMS:
        if shutil.which(command[0]):
            done = subprocess.run(  # noqa: S603
                [*command, str(folder)], capture_output=True, text=True, check=False
            )
            if done.returncode:
                raise ConfigError(f"{folder}: {done.stderr.strip()}")
            return read(folder, done.stdout)
    raise ConfigError(f"{folder}: {unknown}: install kustomize or kubectl to check this")


def _resource(folder: Path, entry: str) -> list[Document]:
    if "://" in entry:
        raise ConfigError(f"{folder}: {entry} is not on this machine")
    path = Path(os.path.normpath(folder / entry))
    if path.is_dir():
        return build(path)
    documents = read(path, reader=Kustomize)
    for one in documents:
        one.data = _apart(one.data)
    return documents


def _apart(value: Any) -> Any:
    """A copy in which nothing is shared: a patch of one place isn't one of its aliases'."""
    if isinstance(value, dict):
        return {key: _apart(inner) for key, inner in value.items()}
    return [_apart(inner) for inner in value] if isinstance(value, list) else value


def _patch(folder: Path, patch: dict[str, Any], documents: list[Document]) -> None:
    text = (folder / patch["path"]).read_text(encoding="utf-8") if "path" in patch else patch["patch"]
    operations = _value(text)
    target = patch.get("target") or {}
    found = [one for one in documents if _matches(one, target)]
    if not found:
        raise ConfigError(f"{folder}: a patch's target {target} is not there")
    for one in found:
        if isinstance(operations, dict) and operations.get("$patch") == "delete":
            documents.remove(one)
            continue
        if not isinstance(operations, list):
            raise _NotOurs("a patch that isn't a list of operations (JSON 6902)")
        for operation in operations:
            _apply(one.data, operation, f"{folder}: patch of {target}")
        if one.config and (text := get(one.data, *one.config[0])) is not None:
            (again,) = read(Path(one.report.file), json.dumps(one.data))
            one.config = again.config and (*again.config[:2], type(one.report)(one.report.file))


def _matches(one: Document, target: dict[str, Any]) -> bool:
    wanted = {"kind": one.kind, "name": one.name, "group": one.group}
    return all(wanted[key] == value for key, value in target.items() if key in wanted)


def _apply(data: Any, operation: Any, where: str) -> None:
    """One operation of JSON 6902, of which a target gets values of its own."""
    try:
        jsonpatch.JsonPatch(copy.deepcopy([operation])).apply(data, in_place=True)
    except (jsonpatch.InvalidJsonPatch, jsonpatch.JsonPatchTestFailed) as error:
        raise ConfigError(f"{where}: {error}") from None
    except (jsonpatch.JsonPatchConflict, jsonpatch.JsonPointerException):
        raise ConfigError(f"{where}: {operation['path']} is not there") from None


def _images(data: Any, image: dict[str, str]) -> None:
    """New names and tags, wherever a key `image` has the name."""
    for key, value in data.items() if isinstance(data, dict) else enumerate(data):
        if key == "image" and isinstance(value, str):
            name, colon, tag = value.partition(":")
            if name == image["name"]:
                tag = image.get("newTag", tag)
                data[key] = image.get("newName", name) + (f":{tag}" if colon or tag else "")
        elif isinstance(value, dict | list):
            _images(value, image)
