"""Kubernetes' own kinds against its own schemas, which the package kubernetes-validate brings."""

import functools
import importlib.util
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from serve_app.config import meant
from serve_app.tools.check.json_schema import Validator, violations
from serve_app.tools.check.metadata import LABELS, METADATA, PLACED, nameless
from serve_app.tools.check.once import misspelt
from serve_app.tools.check.structure import Structure
from serve_app.tools.kube.documents import Document
from serve_app.tools.kube.findings import Problem

_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
_QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"


# Kubernetes' own groups with a dot, for when its schemas aren't here; each ends in `.k8s.io`.
_GROUPS = frozenset({
    "admission", "admissionregistration", "apiextensions", "apiregistration", "authentication",
    "authorization", "certificates", "coordination", "discovery", "events", "flowcontrol.apiserver",
    "imagepolicy", "internal.apiserver", "lifecycle", "networking", "node", "rbac.authorization",
    "resource", "scheduling", "storage", "storagemigration",
})  # fmt: skip
# Where names are DNS names; those of roles and of some others are freer.
_NAMED = ("", "apps", "autoscaling", "batch", "networking.k8s.io", "policy", "storage.k8s.io")
_NOT_KEPT = ("Binding", "Eviction", "Status", "Options")
_PLACED = Validator(PLACED)
_NAMES = Validator(
    {"properties": {"metadata": {"properties": {"name": METADATA["properties"]["name"]}}}}
)


def is_builtin(document: Document) -> bool:
    """Whether Kubernetes itself defines the kind's group. Not what merely ends in `.k8s.io`."""
    if not installed():
        return "." not in document.group or document.group.removesuffix(".k8s.io") in _GROUPS
    return any(group == document.group for group, _, _ in _kinds())


def installed() -> bool:
    """Whether the schemas are here: they come with the extra `check`."""
    return importlib.util.find_spec("kubernetes_validate") is not None


def check(document: Document) -> Iterator[Problem]:
    """What the API server would say of it."""
    name = _kinds().get((document.group, document.version, document.kind))
    if name is None:
        said = document.data["apiVersion"]
        near = [k for g, v, k in _kinds() if (g, v) == (document.group, document.version)]
        kind = meant(document.kind, near) if document.kind not in near else ""
        others = versions_of(document.kind)
        hint = f"; did you mean {kind}?" if kind else f"; it is in {', '.join(others)}" if others else ""
        at = ("apiVersion",) if others else ("kind",)
        yield Problem(at, f"Kubernetes has no {document.kind} in {said}{hint}", fix=kind)
        return
    structure = Structure(_definitions())
    settled = structure.settle(_definitions()[name], document.data)
    yield from structure.unknown
    yield from misspelt(structure.unknown, list(violations(_validator(name), settled)))
    yield from violations(_PLACED, settled)
    if document.group in _NAMED and not document.kind.endswith(_NOT_KEPT):
        yield from nameless(settled)
        yield from violations(_NAMES, settled)


def versions_of(kind: str) -> list[str]:
    """Where Kubernetes itself has such a kind, as an `apiVersion`."""
    return sorted(f"{group}/{version}".lstrip("/") for group, version, one in _kinds() if one == kind)


@functools.cache
def _definitions() -> dict[str, Any]:
    package = importlib.util.find_spec("kubernetes_validate")  # for its files alone
    assert package is not None
    assert package.origin is not None
    root = Path(package.origin).parent / "kubernetes-json-schema"
    newest = max(
        (one for one in root.iterdir() if one.name.endswith("-local")),
        key=lambda one: [int(part) for part in re.findall(r"\d+", one.name)],
    )
    found: dict[str, Any] = json.loads((newest / "_definitions.json").read_text(encoding="utf-8"))[
        "$defs"
    ]
    found[_META]["properties"]["labels"] = LABELS
    found[_QUANTITY]["format"] = "quantity"
    return found


@functools.cache
def _kinds() -> dict[tuple[str, str, str], str]:
    """The definitions of whole objects, by group, version and kind."""
    return {
        (one["group"], one["version"], one["kind"]): name
        for name, schema in _definitions().items()
        for one in schema.get("x-kubernetes-group-version-kind", ())
    }


@functools.cache
def _validator(name: str) -> Any:
    return Validator({"$ref": f"#/$defs/{name}", "$defs": _definitions()})
