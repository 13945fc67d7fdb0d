"""A kustomization's patches, and the lines of what they bring."""

import copy
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonpatch
import yaml

from serve_app.errors import ConfigError
from serve_app.tools.kube import yaml_text
from serve_app.tools.kube.documents import CONFIG, Document, config_in, get, node_at, note_lines
from serve_app.tools.kube.findings import Place

_TARGET = ("group", "version", "kind", "name")
Step = tuple[Place, yaml.Node | None]  # what is new, and what it is made of


class NotOurs(Exception):
    """What kustomize itself has to build."""


@dataclass(frozen=True)
class Patch:
    """One: operations (JSON 6902) or a part of a resource, and where its text stands."""

    target: dict[str, Any]
    data: Any
    node: yaml.Node | None
    file: str
    before: int  # lines of the file above its text
    selected: bool  # by a target of its own: one that selects nothing has no effect

    @classmethod
    def read(cls, folder: Path, kustomization: Path, given: Any, at: yaml.Node | None) -> "Patch":
        """An entry of `patches`, whose node is `at`."""
        if "path" in given:
            file, before = folder / given["path"], 0
            text = file.read_text(encoding="utf-8")
        else:
            text, file = given["patch"], kustomization
            scalar = node_at(at, ("patch",)) if at is not None else None
            before = scalar.start_mark.line + (getattr(scalar, "style", "") == "|") if scalar else 0
        data, nodes = yaml_text.values(text), yaml_text.nodes(text)
        if len(data) > 1:
            raise NotOurs("several patches in one")
        target = selected = given.get("target") or {}
        if unknown := [key for key in target if key not in _TARGET]:
            raise NotOurs(f"a target's {', '.join(map(str, unknown))}")
        whole = data[0] if data else None
        if isinstance(whole, dict) and not target:
            target = {"kind": whole.get("kind"), "name": get(whole, "metadata", "name")}
        return cls(target, whole, nodes[0] if nodes else None, str(file), before, bool(selected))

    def apply(self, documents: list[Document], folder: Path) -> None:
        """Change those that it is for. ConfigError when there are none, or it doesn't fit."""
        found = [one for one in documents if self._matches(one)]
        if not found and not self.selected:
            raise ConfigError(f"{folder}: a patch's target {self.target} is not there")
        for one in found:
            if isinstance(self.data, dict) and self.data.get("$patch") == "delete":
                documents.remove(one)
            elif isinstance(self.data, dict):
                self._merge(one)
            elif isinstance(self.data, list) and not self.selected:
                raise ConfigError(f"{folder}: a patch of operations (JSON 6902) needs a target")
            elif isinstance(self.data, list):
                for index, operation in enumerate(self.data):
                    self._operate(one, operation, node_at(self.node, (index,)), folder)
            else:
                raise NotOurs("a patch that is neither operations (JSON 6902) nor a resource")

    def _matches(self, one: Document) -> bool:
        own = {"kind": one.kind, "name": one.name, "group": one.group, "version": one.version}
        return all(re.fullmatch(str(value), own[key]) for key, value in self.target.items())

    def _operate(self, one: Document, operation: Any, node: yaml.Node | None, folder: Path) -> None:
        """One operation of JSON 6902, of which a target gets values of its own."""
        where = f"{folder}: patch of {self.target}"
        if get(operation, "op") == "replace" and _absent(str(operation.get("path")), one.data):
            operation = operation | {"op": "add"}  # as kustomize's library does
        try:
            jsonpatch.JsonPatch(copy.deepcopy([operation])).apply(one.data, in_place=True)
        except (jsonpatch.InvalidJsonPatch, jsonpatch.JsonPatchTestFailed) as error:
            raise ConfigError(f"{where}: {error}") from None
        except (jsonpatch.JsonPatchConflict, jsonpatch.JsonPointerException):
            raise ConfigError(f"{where}: {operation['path']} is not there") from None
        if (kind := operation["op"]) == "test":
            return
        if kind in ("remove", "move"):
            one.report.removed(_place(operation["path" if kind == "remove" else "from"], one.data))
        if kind == "remove":
            return
        place = _place(operation["path"], one.data, last=kind != "replace")
        if kind != "replace" and place and isinstance(get(one.data, *place[:-1]), list):
            one.report.moved(place, 1)
        self._stands(one, place, node_at(node, ("value",)) if node else None, node)

    def _merge(self, one: Document) -> None:
        """A custom resource takes a part of itself as JSON's merge: a list is replaced, as a whole."""
        if "." not in one.group and _has_lists(self.data):
            raise NotOurs("a patch with lists, which Kubernetes' own kinds merge by their keys")
        if self.node is not None:
            self._merged(one, (), self.data, self.node)

    def _merged(self, one: Document, place: Place, data: Any, node: yaml.Node) -> None:
        around = get(one.data, *place)
        for key, value in data.items():
            if str(key).startswith("$"):
                raise NotOurs(f"a patch with {key}")
            inner = node_at(node, (key,))
            if value is None:
                around.pop(key, None)
                one.report.forget((*place, key))
            elif isinstance(value, dict) and isinstance(around.get(key), dict) and inner is not None:
                self._merged(one, (*place, key), value, inner)
            elif around.get(key) != value:
                around[key] = copy.deepcopy(value)
                self._stands(one, (*place, key), inner, node)

    def _stands(self, one: Document, place: Place, node: yaml.Node | None, near: Any) -> None:
        """What is new at `place` is made of `node`."""
        report = one.report
        report.forget(place)
        report.files[place] = self.file
        at = node if node is not None else near
        report.lines[place] = at.start_mark.line + 1 + self.before if at is not None else 1
        if node is not None:
            note_lines(node, place, report, self.before)
        config = ("spec", CONFIG)
        if place == config[: len(place)]:
            text = node_at(node, config[len(place) :]) if node is not None else None
            one.config = config_in(self.file, text, get(one.data, *config), self.before)


def _absent(pointer: str, data: Any) -> bool:
    """Whether a mapping is there, and hasn't the key."""
    *above, key = _place(pointer, data) or ("",)
    around = get(data, *above)
    return isinstance(around, dict) and key not in around


def _has_lists(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_has_lists, value.values()))
    return isinstance(value, list)


def _place(pointer: str, data: Any, last: bool = False) -> Place:
    """A JSON pointer's, in the data as it is now; `-` is the end of a list (`last`: it was added)."""
    found: list[str | int] = []
    for part in pointer.split("/")[1:]:
        step: str | int = part.replace("~1", "/").replace("~0", "~")
        around = get(data, *found)
        if isinstance(around, list):
            step = len(around) - 1 if step == "-" and last else int(step) if str(step).isdecimal() else 0
        found.append(step)
    return tuple(found)


def standing(built: list[Document], sources: list[Document]) -> None:
    """Give what a program has built the lines of what it was nearly built from."""
    for one in built:
        alike = [it for it in sources if it.kind == one.kind and it.name and it.name in one.name]
        if not alike:
            continue
        source = min(alike, key=lambda it: len(one.name) - len(it.name))
        one.report.file = source.report.file
        one.report.lines, one.report.files = source.report.lines, source.report.files
        if one.config and source.config and one.config[1] == source.config[1]:
            one.config = source.config
