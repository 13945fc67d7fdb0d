"""ConfigMaps that kustomize makes of files: those without a hash in their name."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from serve_app.tools.kube.documents import Document, read
from serve_app.tools.kube.patches import NotOurs

_KNOWN = {"name", "files", "options"}
_OPTIONS = {"labels", "annotations", "disableNameSuffixHash"}


def generated(folder: Path, file: Path, generators: list[dict[str, Any]]) -> Iterator[Document]:
    """The ConfigMaps of a kustomization, which stands in `file`."""
    for one in generators:
        options = one.get("options") or {}
        unknown = [*(one.keys() - _KNOWN), *(options.keys() - _OPTIONS)]
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
