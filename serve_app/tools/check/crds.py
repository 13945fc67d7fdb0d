"""Custom resources against the CRDs of a folder, in the API server's order: nulls dropped and defaults
filled in, unknown fields, the schema, lists' keys, the rules in CEL."""

import functools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from serve_app.errors import ConfigError
from serve_app.tools.check import cel
from serve_app.tools.check.json_schema import Validator, patterns_known, translated, violations
from serve_app.tools.check.metadata import nameless
from serve_app.tools.check.once import misspelt
from serve_app.tools.check.structure import Structure, twice
from serve_app.tools.kube import yaml_text
from serve_app.tools.kube.documents import Document, get
from serve_app.tools.kube.findings import Place, Problem
from serve_app.tools.kube.sources import files


@functools.lru_cache(
    maxsize=64
)  # of a megabyte it takes seconds, and `tandem local` looks again and again
def definitions(text: str) -> list[dict[str, Any]]:
    """The CRDs of a file; of what is none, nothing. Not to be changed."""
    try:
        data = yaml_text.from_json(text)
        waiting = [data] if data is not None else yaml_text.values(text)
    except yaml.YAMLError:
        return []  # a chart's template
    found = []
    while waiting:
        one = waiting.pop(0)
        if isinstance(one, dict) and isinstance(one.get("items"), list):
            waiting += one["items"]
        elif isinstance(one, dict) and isinstance(get(one, "spec", "versions"), list):
            found.append(one)
    return found


class Crds:
    """CustomResourceDefinitions in a file, or a folder's YAML and JSON files, read when asked for."""

    def __init__(self, folder: Path) -> None:
        if not folder.exists():
            raise ConfigError(f"{folder}: no CRDs there")
        found = [folder] if folder.is_file() else files(folder)
        self._not_asked: set[str] = set()
        self._texts = {file: file.read_text(encoding="utf-8", errors="replace") for file in found}

    @functools.cache  # noqa: B019  (one folder in a process)
    def find(self, group: str, kind: str) -> dict[str, Any] | None:
        """The definition of a kind, if the folder has it. Of several the last, as of what is applied."""
        found = None
        # Reading takes seconds a megabyte; a CRD may speak of other groups in what it describes.
        own = re.compile(rf"""\bgroup["']?\s*:\s*["']?{re.escape(group)}["']?\s*([,}}#]|$)""", re.M)
        for text in self._texts.values():
            if kind in text and own.search(text):
                for one in definitions(text):
                    if get(one, "spec", "group") == group and get(one, "spec", "names", "kind") == kind:
                        found = one
        return found

    def check(self, document: Document) -> Iterator[Problem]:
        """What the API server would say; nothing when the folder doesn't know the kind."""
        definition = self.find(document.group, document.kind)
        if definition is None:
            return
        versions = definition["spec"]["versions"]
        served = [str(get(one, "name")) for one in versions if get(one, "served") is not False]
        if document.version not in served:
            what = f"{document.kind} has no version '{document.version}'; it has {', '.join(served)}"
            fix = f"apiVersion: {document.group}/{served[-1]}" if served else ""
            yield Problem(("apiVersion",), what, fix=fix)
            return
        schema = self._held(document.group, document.kind, document.version)
        self._not_asked |= schema.not_asked
        yield from schema.check(document.data)

    def not_asked(self) -> set[str]:
        """What of the CRDs couldn't be looked at."""
        return self._not_asked

    @functools.cache  # noqa: B019
    def _held(self, group: str, kind: str, version: str) -> "Schema":
        definition = self.find(group, kind)
        assert definition is not None
        (found,) = (one for one in definition["spec"]["versions"] if get(one, "name") == version)
        return Schema(get(found, "schema", "openAPIV3Schema") or {})


class Schema:
    """A CRD's structural schema of one version."""

    def __init__(self, schema: dict[str, Any]) -> None:
        self._schema = schema
        self._validator = Validator(translated(schema, top=True))

    def check(self, data: dict[str, Any]) -> Iterator[Problem]:
        """What is wrong with an object."""
        structure = Structure()
        settled = structure.settle(self._schema, data)
        yield from structure.unknown
        wrong = [*violations(self._validator, settled), *twice(self._schema, settled)]
        yield from misspelt(structure.unknown, wrong)
        yield from nameless(settled)

        def whole(place: Place) -> bool:
            return not any(one.place[: len(place)] == place[: len(one.place)] for one in wrong)

        if cel.installed():
            yield from cel.rules(self._schema, settled, whole)

    @functools.cached_property
    def not_asked(self) -> set[str]:
        """What it has that can't be looked at here."""
        text = json.dumps(self._schema)
        missing = {
            "rules in CEL": f'"{cel.RULES}":' in text and not cel.installed(),
            "patterns": '"pattern":' in text and not patterns_known(),
        }
        return {what for what, it_is in missing.items() if it_is}
