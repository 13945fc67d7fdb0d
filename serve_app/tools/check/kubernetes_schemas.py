"""Kubernetes' own kinds against its own schemas, which the package kubernetes-validate brings."""

import functools
import importlib.util
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from serve_app.tools.check.json_schema import violations
from serve_app.tools.kube.documents import Document
from serve_app.tools.kube.findings import Problem

# Core, and what has no dot or ends so, is Kubernetes' own.
_OWN = re.compile(r"^([a-z]*|[a-z.]+\.k8s\.io)$")
_NOT_OWN = ("gateway.networking.k8s.io", "x-k8s.io", "metrics.k8s.io")


def is_builtin(document: Document) -> bool:
    """Whether Kubernetes itself defines the kind."""
    group = document.group
    return bool(_OWN.match(group)) and not group.endswith(_NOT_OWN)


def installed() -> bool:
    """Whether the schemas are here: they come with the extra `check`."""
    return importlib.util.find_spec("kubernetes_validate") is not None


def check(document: Document) -> Iterator[Problem]:
    """What the API server would say of it."""
    schema = _schema(document.kind.lower(), _version(str(document.data["apiVersion"])))
    if schema is None:
        yield Problem(("kind",), f"Kubernetes has no {document.kind} in {document.data['apiVersion']}")
        return
    validator = _validator(document.kind.lower(), _version(document.data["apiVersion"]))
    yield from violations(validator, document.data)


def _version(text: str) -> str:
    """`policy/v1` as the files have it: policy-v1; rbac.authorization.k8s.io/v1: rbac-v1."""
    return re.sub(r"^([^./]*)(?:\.[^/]*)?/", r"\1-", text)


@functools.cache
def _folder() -> Path:
    package = importlib.util.find_spec("kubernetes_validate")  # for its files alone
    assert package is not None
    assert package.origin is not None
    root = Path(package.origin).parent / "kubernetes-json-schema"
    newest = max(
        (one.name for one in root.iterdir() if one.name.endswith("-local-strict")),
        key=lambda name: [int(part) for part in re.findall(r"\d+", name)],
    )
    return root / newest


@functools.cache
def _schema(kind: str, version: str) -> dict[str, Any] | None:
    file = _folder().joinpath(f"{kind}-{version}.json")
    if not file.is_file():
        return None
    found: dict[str, Any] = json.loads(file.read_text())
    return found


@functools.cache
def _validator(kind: str, version: str) -> Draft202012Validator:
    from referencing import Registry, Resource

    schema = _schema(kind, version)
    definitions = json.loads(_folder().joinpath("_definitions.json").read_text())
    registry: Any = Resource.from_contents(definitions) @ Registry()
    return Draft202012Validator(schema, registry=registry)
