"""An object as the API server settles it by a structural schema, before it validates: nulls dropped,
defaults filled in, unknown fields found by the place where they stand."""

import copy
import json
from collections.abc import Iterator, Mapping
from typing import Any

from serve_app.config import did_you_mean
from serve_app.tools.check.metadata import METADATA
from serve_app.tools.kube.findings import Place, Problem

PRESERVE, EMBEDDED = "x-kubernetes-preserve-unknown-fields", "x-kubernetes-embedded-resource"
_META = ("apiVersion", "kind", "metadata")
_DROPPED = "the API server refuses it, or drops it without a word"
# KubeRay's, KServe's and Kubernetes' older words.
_RENAMED = {
    "serveConfig": "serveConfigV2",
    "rayStartParam": "rayStartParams",
    "pvc": "storageUri: pvc://",
}


class Structure:
    """Schemas by their references: a CRD has none, Kubernetes' own kinds are made of `definitions`."""

    def __init__(self, definitions: Mapping[str, Any] | None = None) -> None:
        self._definitions = definitions
        self.unknown: list[Problem] = []

    def settle(self, schema: Any, data: Any, place: Place = ()) -> Any:
        """A copy of the data, settled. What the schema doesn't know is in `unknown`."""
        schema = self._resolved(schema)
        if isinstance(data, dict) and "object" in schema.get("type", "object"):
            return self._mapping(schema, data, place)
        if isinstance(data, list) and "items" in schema:
            items = self._resolved(schema["items"])
            return [
                self.settle(items, self._or_default(items, one), (*place, index))
                for index, one in enumerate(data)
            ]
        return copy.deepcopy(data)

    def _mapping(self, schema: dict[str, Any], data: dict[str, Any], place: Place) -> dict[str, Any]:
        known, more = schema.get("properties") or {}, schema.get("additionalProperties")
        kept = schema.get(PRESERVE) or (self._definitions is not None and not known and not more)
        meta = _META if self._definitions is None and (not place or schema.get(EMBEDDED)) else ()
        settled = {}
        for key, value in data.items():
            inner = known.get(key, more if isinstance(more, dict) else None)
            if key in meta:
                inner = METADATA if key == "metadata" else {}
            if inner is None and kept:
                settled[key] = copy.deepcopy(value)
            elif inner is None and not more:
                self.unknown.append(_unknown((*place, key), [*known, *meta]))
            else:
                inner = self._resolved(inner)
                if (value := self._or_default(inner, value)) is not None or inner.get("nullable"):
                    settled[key] = self.settle(inner, value, (*place, key))
        for key, inner in known.items() if self._definitions is None else ():
            if "default" in inner and key not in settled:
                settled[key] = self.settle(inner, inner["default"], (*place, key))
        return settled

    def _or_default(self, schema: dict[str, Any], value: Any) -> Any:
        absent = value is None and self._definitions is None and not schema.get("nullable")
        return schema.get("default") if absent else value

    def _resolved(self, schema: Any) -> dict[str, Any]:
        while self._definitions is not None and isinstance(schema, dict) and "$ref" in schema:
            schema = self._definitions[schema["$ref"].rpartition("/")[2]]
        return schema if isinstance(schema, dict) else {}


def _unknown(place: Place, known: list[str]) -> Problem:
    key = str(place[-1])
    hint = f"; it is {_RENAMED[key]} now" if key in _RENAMED else did_you_mean(key, known)
    better = hint.rstrip("?").partition("; did you mean ")[2]
    return Problem(place, f"unknown field{hint}", _DROPPED, better)


def values(schema: Any, data: Any, place: Place = ()) -> Iterator[tuple[dict[str, Any], Any, Place]]:
    """Every part of an object that a structural schema speaks of, with what it says of it."""
    if not isinstance(schema, dict):
        return
    yield schema, data, place
    if isinstance(data, dict):
        known, more = schema.get("properties") or {}, schema.get("additionalProperties")
        for key, value in data.items():
            yield from values(known.get(key, more), value, (*place, key))
    elif isinstance(data, list):
        for index, value in enumerate(data):
            yield from values(schema.get("items"), value, (*place, index))


def twice(schema: Any, data: Any) -> Iterator[Problem]:
    """Items of a set, or of a list with keys, that are there already."""
    for around, some, place in values(schema, data):
        keys = around.get("x-kubernetes-list-map-keys") or []
        kind, seen = around.get("x-kubernetes-list-type"), set()
        for index, one in enumerate(some if isinstance(some, list) else ()):
            keyed = kind == "map" and isinstance(one, dict)  # what is no mapping the schema refuses
            named = {key: one[key] for key in keys if key in one} if keyed else {}
            same = json.dumps(named if keyed else one, sort_keys=True)
            if (keyed or kind == "set") and same in seen:
                what = ", ".join(f"{key} {value}" for key, value in named.items()) if keyed else same
                yield Problem((*place, index), f"{what}: given twice", "the API server refuses it")
            seen.add(same)
