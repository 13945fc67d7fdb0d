"""Custom resources against the CRDs of a folder: structure, and the rules in CEL that CRDs carry."""

import functools
import importlib.util
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator

from serve_app.errors import ConfigError
from serve_app.tools.check.json_schema import strict, violations
from serve_app.tools.kube.documents import Document
from serve_app.tools.kube.findings import Place, Problem

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # 18,000 lines take 6 s without C


class Crds:
    """CustomResourceDefinitions in a folder's YAML and JSON files, each read when it is asked for."""

    def __init__(self, folder: Path) -> None:
        self._files = sorted(file for end in ("yaml", "yml", "json") for file in folder.glob(f"*.{end}"))
        if not self._files:
            raise ConfigError(f"{folder}: no CRDs there (*.yaml, *.json)")
        self._known: dict[tuple[str, str], dict[str, Any] | None] = {}

    def find(self, group: str, kind: str) -> dict[str, Any] | None:
        """The definition of a kind, if the folder has it."""
        if (group, kind) not in self._known:
            self._known[group, kind] = next(self._search(group, kind), None)
        return self._known[group, kind]

    def _search(self, group: str, kind: str) -> Iterator[dict[str, Any]]:
        for file in self._files:
            text = file.read_text()
            if not all(
                re.search(rf'\b{part}\b["\']?\s*(,|$)', text, re.M) for part in (re.escape(group), kind)
            ):
                continue
            found = json.loads(text) if file.suffix == ".json" else yaml.load(text, Loader=_LOADER)  # noqa: S506
            for one in found.get("items", [found]) if isinstance(found, dict) else []:
                spec = one.get("spec", {})
                if spec.get("group") == group and spec.get("names", {}).get("kind") == kind:
                    yield one

    def check(self, document: Document) -> Iterator[Problem]:
        """What the API server would say; nothing when the folder doesn't know the kind."""
        definition = self.find(document.group, document.kind)
        if definition is None:
            return
        version = str(document.data["apiVersion"]).rpartition("/")[2]
        served = {one["name"]: one for one in definition["spec"]["versions"] if one.get("served", True)}
        if version not in served:
            yield Problem(
                ("apiVersion",),
                f"{document.kind} has no version '{version}'; it has {', '.join(served)}",
                fix=f"apiVersion: {document.group}/{list(served)[-1]}",
            )
            return
        schema = served[version]["schema"]["openAPIV3Schema"]
        yield from violations(_validator(document.group, document.kind, version, self), document.data)
        if importlib.util.find_spec("celpy") is not None:
            yield from rules(schema, document.data, ())
        elif "x-kubernetes-validations" in json.dumps(schema):
            yield Problem(
                ("kind",), "the CRD's rules in CEL were not looked at", severity="note",
                fix="pip install 'tandem-serve[check]'",
            )  # fmt: skip

    def schema(self, group: str, kind: str, version: str) -> dict[str, Any]:
        """For whole objects, strict."""
        definition = self.find(group, kind)
        assert definition is not None
        (found,) = (one for one in definition["spec"]["versions"] if one["name"] == version)
        schema: dict[str, Any] = strict(found["schema"]["openAPIV3Schema"])
        schema["properties"]["metadata"] = {"type": "object"}  # the API server's own
        schema["required"] = ["apiVersion", "kind", "metadata", "spec"]
        return schema


@functools.cache
def _validator(group: str, kind: str, version: str, crds: Crds) -> Draft202012Validator:
    return Draft202012Validator(crds.schema(group, kind, version))


def rules(schema: Any, data: Any, place: Place) -> Iterator[Problem]:
    """Broken x-kubernetes-validations. Those about a change (`oldSelf`) have nothing to compare."""
    if not isinstance(schema, dict) or data is None:
        return
    for rule in schema.get("x-kubernetes-validations", []):
        if "oldSelf" not in rule["rule"] and not holds(rule["rule"], data):
            yield Problem(
                place, rule.get("message") or f"breaks the rule {rule['rule']}", "a rule of the CRD"
            )
    if isinstance(data, dict):
        for key, inner in schema.get("properties", {}).items():
            if key in data:
                yield from rules(inner, data[key], (*place, key))
        if isinstance(more := schema.get("additionalProperties"), dict):
            for key, value in data.items():
                yield from rules(more, value, (*place, key))
    elif isinstance(data, list):
        for index, value in enumerate(data):
            yield from rules(schema.get("items"), value, (*place, index))


def holds(rule: str, value: Any) -> bool:
    """Whether a CEL expression about `self` is true. Needs the extra `check`."""
    import celpy
    from celpy.adapter import json_to_cel
    from celpy.evaluation import CELEvalError

    environment = celpy.Environment()
    program = environment.program(environment.compile(rule))
    try:
        return bool(program.evaluate({"self": json_to_cel(value)}))
    except CELEvalError:
        return False
