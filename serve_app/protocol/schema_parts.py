"""Schemas without choices left, held against one another: types, values, bounds, items, properties."""

import math
from collections.abc import Iterator
from typing import Any, Protocol

from serve_app.protocol import schema_numbers as numbers
from serve_app.protocol.schema_logic import (
    EXCLUDED,
    TEXT,
    TYPES,
    Schema,
    hits,
    key,
    misses,
    type_of,
    types_of,
    unfolded,
    whole,
)

_MOST_LISTED = 64  # numbers, items or names that are gone through one by one
_IN_PLACE = frozenset(
    {"$ref", "$dynamicRef", "$recursiveRef", "allOf", "anyOf", "oneOf", "if"}
    | {"dependentSchemas", "patternProperties"}
)


class Proof(Protocol):
    """Whose parts these are; `old`: as in the drafts before 2019."""

    old: bool

    def instance(self, schemas: list[Schema]) -> str:
        """Why no value fits all of these at one place within; '' where one may."""
        ...

    def spend(self, steps: int) -> None:
        """So much work is about to be done."""
        ...


class Parts:
    """What all schemas in `have` say together."""

    def __init__(self, have: list[dict[Any, Any]], proof: Proof) -> None:
        self._have, self._proof, self._instance = have, proof, proof.instance
        self.types = TYPES
        for one in have:
            if "type" in one:
                self.types &= types_of(one["type"])
        self._excluded = {key(value) for one in have for value in one.get(EXCLUDED, ())}

    def impossible(self) -> str:
        """Why nothing fits, of the first type that was allowed."""
        if not self.types:
            return "type: no value has all the types that are wanted"
        values = self._listed()
        if values is not None:
            return "" if any(map(self._fits, values)) else "enum or const: no value fits the rest"
        why = ""
        for kind in sorted(self.types):
            why = self._of_type(kind)
            if not why:
                return ""
        return why

    def implied(self) -> list[Schema]:
        """Schemas that hold beside these because a property is there that has to be."""
        if "object" not in self.types:
            return []
        seen, required = set(map(id, self._have)), self._required()
        return [
            one
            for keyword in ("dependentSchemas", "dependencies")
            for name, one in self._entries(keyword)
            if name in required and isinstance(one, dict | bool) and one is not True
            if id(one) not in seen
        ]

    def _listed(self) -> list[Any] | None:
        """The values that `enum` and `const` leave; None where there are neither."""
        found: dict[Any, Any] | None = None
        for one in self._have:
            for values in ([one["const"]] if "const" in one else None, one.get("enum")):
                if isinstance(values, list):
                    self._proof.spend(len(values) // 50)
                    these = {key(value): value for value in values}
                    found = {k: v for k, v in (these if found is None else found).items() if k in these}
        if found is None:
            return None
        return [value for k, value in found.items() if k not in self._excluded]

    def texts(self) -> set[str] | None:
        """The texts that `enum` and `const` leave; None where there are neither."""
        values = self._listed()
        return None if values is None else {one for one in values if isinstance(one, str)}

    def _fits(self, value: Any) -> bool:
        kind = type_of(value)
        if kind not in self.types:
            return False
        self._proof.spend(1)
        return not Parts([*self._have, unfolded(value)], self._proof)._of_type(kind)

    def _of_type(self, kind: str) -> str:
        why: str = getattr(self, f"_{kind}")()
        return why

    def _null(self) -> str:
        return "null is excluded" if None in self._excluded else ""

    def _boolean(self) -> str:
        both = {key(True), key(False)} <= self._excluded
        return "true and false are excluded" if both else ""

    def _integer(self) -> str:
        return numbers.integers(self._have, self._excluded)

    def _fraction(self) -> str:
        return numbers.fractions(self._have)

    def _string(self) -> str:
        low, high = self._sizes("minLength", "maxLength")
        if low > high:
            return f"a text of at least {low} characters has more than {high} (minLength, maxLength)"
        for text in (one[TEXT] for one in self._have if TEXT in one):
            for one in self._have:
                if misses(one.get("pattern"), text):
                    return "pattern: it doesn't match"
        return ""

    def _sizes(self, least: str, most: str) -> tuple[int, float]:
        low = [int(value) for value in numbers.given(self._have, least)]
        return max(low, default=0), min(numbers.given(self._have, most), default=math.inf)

    def _array(self) -> str:
        low, high = self._sizes("minItems", "maxItems")
        contained = [one for one in self._have if "contains" in one and one.get("minContains", 1) != 0]
        for one in contained:
            count = one.get("minContains", 1)
            low = max(low, count if whole(count) else 1)
            most = one.get("maxContains")
            if whole(most) and int(most or 0) < (count if whole(count) else 1):
                return "contains: at least as many are wanted as there may be at most (maxContains)"
        if low > high:
            return f"an array of at least {low} items has more than {high} (minItems, maxItems)"
        told = max((len(_prefix(one)) for one in self._have), default=0)
        last = min(high, told + 1, _MOST_LISTED)
        at = 0
        while at < last:
            if why := self._instance(self._at(at)):
                high = at
                if low > high:
                    return f"items[{at}]: {why}"
                break
            at += 1
        for one in contained:
            places = range(int(min(high, told + 1)))
            if told < _MOST_LISTED and all(
                self._instance([one["contains"], *self._at(place)]) for place in places
            ):
                return "contains: no item fits it"
        return self._unique(low) if not told else ""

    def _unique(self, low: int) -> str:
        """Of items that all differ, and have fewer values than there must be items."""
        if low < 2 or not any(one.get("uniqueItems") is True for one in self._have):
            return ""
        items = [one for one in self._at(0) if isinstance(one, dict)]
        parts = Parts(items, self._proof)
        values = parts._listed()
        if values is None and parts.types and parts.types <= {"null", "boolean"}:
            values = [None] * ("null" in parts.types) + [True, False] * ("boolean" in parts.types)
        if values is not None and len(values) < low:
            return f"uniqueItems: {low} different items are wanted of {len(values)} values"
        return ""

    def _at(self, place: int) -> list[Schema]:
        """What the item at this place has to fit."""
        found: list[Schema] = []
        for one in self._have:
            prefix = _prefix(one)
            if place < len(prefix):
                found.append(prefix[place])
            else:
                old = isinstance(one.get("items"), list)
                found.append(one.get("additionalItems" if old else "items", True))
        return found

    def _object(self) -> str:
        required = self._required()
        low, high = self._sizes("minProperties", "maxProperties")
        if max(low, len(required)) > high:
            return (
                f"an object of {max(low, len(required))} properties has more than {high} (maxProperties)"
            )
        self._proof.spend(len(required) * len(self._have) // 200)
        for name in sorted(required):
            if why := self._instance(self._named(name)):
                return f"{name[:80]}: {why}"
        return self._few(low)

    def _few(self, low: int) -> str:
        """Of an object that may have named properties alone, fewer than there must be."""
        names: set[str] | None = None
        for own in [one for one in map(self._only, self._have) if one is not None]:
            names = own if names is None else names & own
        if names is None or len(names) > _MOST_LISTED:
            return ""
        possible = [name for name in names if not self._instance(self._named(name))]
        if len(possible) < low:
            return f"minProperties: {low} are wanted where only {len(possible)} may be"
        return ""

    def _only(self, schema: dict[Any, Any]) -> set[str] | None:
        """The only names that properties may have; None where there are others."""
        found: set[str] | None = None
        if _rest(schema) is False and not schema.get("patternProperties"):
            found = set(_dict(schema, "properties"))
        if "propertyNames" in schema:
            if self._instance([schema["propertyNames"], {"type": "string"}]):
                return set()
            texts = Parts([_dict(schema, "propertyNames")], self._proof).texts()
            if texts is not None:
                found = texts if found is None else found & texts
        return found

    def _named(self, name: str) -> list[Schema]:
        """What the property of this name has to fit, its name included."""
        found: list[Schema] = []
        for one in self._have:
            if "propertyNames" in one and self._instance([one["propertyNames"], {"const": name}]):
                return [False]
            own, patterns = _dict(one, "properties"), _dict(one, "patternProperties")
            found += [inner for pattern, inner in patterns.items() if hits(pattern, name)]
            if name in own:
                found.append(own[name])
            elif all(misses(pattern, name) for pattern in patterns):
                found.append(_rest(one))
        return found

    def _required(self) -> set[str]:
        found = {name for one in self._have for name in _texts(one.get("required"))}
        depends = [
            (name, set(_texts(needed)))
            for keyword in ("dependentRequired", "dependencies")
            for name, needed in self._entries(keyword)
        ]
        self._proof.spend(len(found) // 50)
        while more := {need for name, needed in depends if name in found for need in needed} - found:
            found |= more
            self._proof.spend(1 + len(depends) // 50)
        return found

    def _entries(self, keyword: str) -> Iterator[tuple[str, Any]]:
        for one in self._have if self._proof.old or keyword != "dependencies" else ():
            yield from _dict(one, keyword).items()


def _prefix(schema: dict[str, Any]) -> list[Schema]:
    """What it says of the first items, one by one: `items` did so in older drafts."""
    for name in ("prefixItems", "items"):
        if isinstance(value := schema.get(name), list):
            return value
    return []


def _rest(schema: dict[str, Any]) -> Schema:
    """What it says of properties that it doesn't name."""
    if "additionalProperties" in schema:
        return schema["additionalProperties"]
    if _IN_PLACE.isdisjoint(schema):
        return schema.get("unevaluatedProperties", True)
    return True


def _dict(schema: dict[str, Any], name: str) -> dict[str, Any]:
    value = schema.get(name)
    return value if isinstance(value, dict) else {}


def _texts(value: Any) -> list[str]:
    return [name for name in value if isinstance(name, str)] if isinstance(value, list) else []
