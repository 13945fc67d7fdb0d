"""What `kustomize build` makes of a folder, with the lines of the files that it is made from.

The fields that Tandem's own overlays use, and no more: of anything else kustomize itself says what it
makes of it, if it is there.
"""

import contextlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from serve_app.errors import ConfigError
from serve_app.tools.kube.documents import Document, apart, node_at, read
from serve_app.tools.kube.namespaces import put_in
from serve_app.tools.kube.patches import NotOurs, Patch, standing
from serve_app.tools.kube.yaml_text import Kustomize, nodes, values

NAMES = ("kustomization.yaml", "kustomization.yml", "Kustomization")
_KNOWN = {
    "apiVersion", "kind", "resources", "components", "namespace", "images", "patches",
    "configMapGenerator",
}  # fmt: skip
_OF_COMPONENTS = ("apiVersion", "kind", "resources", "patches")
_GENERATED, _OPTIONS = {"name", "files", "options"}, {"labels", "annotations", "disableNameSuffixHash"}
_PROGRAMS = (["kustomize", "build"], ["kubectl", "kustomize"])
# How kubectl wraps an error.
_LOGGED = re.compile(r"""^E\d{4} .*?\] ("command failed" err=)?[<"]?|[>"]\s*$""")


def build(folder: Path) -> list[Document]:
    """The documents of a kustomization. ConfigError when it can't be built."""
    try:
        return _build(folder)
    except NotOurs as what:
        built = _by_program(folder, str(what))
        with contextlib.suppress(Exception):  # lines are all that it's for
            standing(built, _build(folder, nearly=True))
        return built
    except (TypeError, AttributeError, KeyError, ValueError, RecursionError) as error:
        # A field of another type than kustomize's.
        raise ConfigError(f"{folder}: not as kustomize reads it: {error}") from None
    except OSError as error:
        raise ConfigError(f"{folder}: {error.filename}: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{folder}: not valid YAML: {error}") from None


def _build(folder: Path, nearly: bool = False, around: list[Document] | None = None) -> list[Document]:
    """A component's goes over those `around` it. With `nearly` what isn't known here is left out."""
    data = _kustomization(folder)
    known = _KNOWN if around is None else _OF_COMPONENTS
    if unknown := [key for key in data if key not in known and not nearly]:
        raise NotOurs(", ".join(map(str, unknown)) + (" of a component" if around is not None else ""))
    if not isinstance(data.get("namespace"), str | None):
        raise TypeError(f"namespace is {data['namespace']!r}, not text")
    documents = [] if around is None else around
    for entry in data.get("resources") or []:
        documents += _resource(folder, entry, nearly)
    documents += _generated(folder, _file(folder), data.get("configMapGenerator") or [])
    for entry in data.get("components") or []:
        _build(folder / entry, nearly, documents)
    for patch in _patches(folder):
        with contextlib.suppress(NotOurs) if nearly else contextlib.nullcontext():
            patch.apply(documents, folder)
    if namespace := data.get("namespace"):
        put_in(namespace, documents)
    for one in documents:
        for image in data.get("images") or []:
            _images(one.data, image)
    return documents


def _file(folder: Path) -> Path:
    for name in NAMES:
        if (folder / name).is_file():
            return folder / name
    raise ConfigError(f"{folder}: no kustomization.yaml there")


def _kustomization(folder: Path) -> dict[str, Any]:
    data = next(iter(values(_file(folder).read_text(encoding="utf-8"))), None)
    return data if isinstance(data, dict) else {}


def _patches(folder: Path) -> list[Patch]:
    file, data = _file(folder), _kustomization(folder)
    top = next(iter(nodes(file.read_text(encoding="utf-8"))), None)
    return [
        Patch.read(
            folder, file, {"path": given} if isinstance(given, str) else given, node_at(top, (key, at))
        )
        for key in ("patchesStrategicMerge", "patchesJson6902", "patches")  # two of before
        for at, given in enumerate(data.get(key) or [])
    ]


def parts(folder: Path, seen: frozenset[Path] = frozenset()) -> set[Path]:
    """The files and folders that a kustomization is made of, as far as it can be read."""
    found = {folder}
    with contextlib.suppress(ConfigError, OSError, ValueError, yaml.YAMLError):
        data = _kustomization(folder)
        entries = [*(data.get("resources") or []), *(data.get("components") or [])]
        for key in ("patches", "patchesStrategicMerge", "patchesJson6902"):
            given = data.get(key) or []
            entries += [one.get("path") if isinstance(one, dict) else one for one in given]
        for entry in entries:
            one = Path(os.path.normpath(folder / str(entry)))
            if one.is_dir() and one not in seen:
                found |= parts(one, seen | {folder})
            elif one.is_file():
                found.add(one)
    return found


def _by_program(folder: Path, unknown: str) -> list[Document]:
    for command in _PROGRAMS:
        if shutil.which(command[0]):
            done = subprocess.run(  # noqa: S603
                [*command, str(folder)], capture_output=True, text=True, check=False
            )
            if done.returncode:
                raise ConfigError(f"{folder}: {_LOGGED.sub('', done.stderr).strip()}")
            return read(folder, done.stdout)
    raise ConfigError(f"{folder}: {unknown}: install kustomize or kubectl to check this")


def _resource(folder: Path, entry: str, nearly: bool) -> list[Document]:
    if "://" in entry:
        raise ConfigError(f"{folder}: {entry} is not on this machine")
    path = Path(os.path.normpath(folder / entry))
    if path.is_dir():
        return _build(path, nearly=True) if nearly else build(path)
    documents = read(path, reader=Kustomize)
    for one in documents:
        one.data = apart(one.data)
    return documents


def _generated(folder: Path, file: Path, generators: list[dict[str, Any]]) -> Iterator[Document]:
    """ConfigMaps of files, without a hash in their name. The kustomization stands in `file`."""
    for one in generators:
        options = one.get("options") or {}
        unknown = [*(one.keys() - _GENERATED), *(options.keys() - _OPTIONS)]
        if unknown or not options.get("disableNameSuffixHash"):
            said = ", ".join(sorted(map(str, unknown))) or "a hash in the name"
            raise NotOurs(f"configMapGenerator: {said}")
        meta = {
            "name": one["name"],
            **{key: options[key] for key in ("labels", "annotations") if key in options},
        }
        data = dict(_content(folder, entry) for entry in one.get("files") or [])
        made = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data}
        yield from read(file, json.dumps(made))


def _content(folder: Path, entry: str) -> tuple[str, str]:
    key, separator, path = entry.partition("=")
    path = path if separator else key
    return (key if separator else Path(path).name), (folder / path).read_text(encoding="utf-8")


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
