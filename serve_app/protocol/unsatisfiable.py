"""Whether a JSON schema is one that no value can fit: only what is proven counts.

A conjunction of schemas is flattened (`allOf`, `$ref`), split into its cases (`anyOf`, `oneOf`, `if`,
`not`), and each case is held against its types' bounds and parts. What isn't understood says nothing,
and so does a proof that takes too long: a schema that something fits is never refused.
"""

import re
from collections.abc import Iterable
from typing import Any

import orjson

from serve_app.protocol import schema_logic as logic
from serve_app.protocol.schema_logic import Schema
from serve_app.protocol.schema_parts import Parts

_STEPS = 500  # some hundredths of a second
_DEEP = 60
_MOST_WAYS = 50  # of a oneOf that are held against one another
_DRAFT = re.compile(r"draft-0([3467])\b|draft/(20\d\d)-")
# A draft passes over the words of later ones.
_SINCE = dict.fromkeys(("const", "contains", "propertyNames"), 6) | dict.fromkeys(("if",), 7)
_SINCE |= dict.fromkeys(("minContains", "maxContains", "dependentRequired", "dependentSchemas"), 2019)
_SINCE |= {"unevaluatedProperties": 2019, "prefixItems": 2020}


class _TooLong(Exception):
    """Nothing is proven, and nothing will be."""


def contradiction(schema: Schema) -> str:
    """Why no JSON value fits `schema`; '' where one may."""
    named = _DRAFT.search(str(schema.get("$schema", ""))) if isinstance(schema, dict) else None
    draft = int(named[1] or named[2]) if named else 2020
    try:
        if draft < 2020:
            text = _written(schema)
            if any(since > draft and b'"%b"' % word.encode() in text for word, since in _SINCE.items()):
                return ""
        return _Proof(schema, draft).instance([schema])
    except (_TooLong, RecursionError):
        return ""


class _Proof:
    """Of one schema with what it refers to."""

    def __init__(self, root: Schema, draft: int) -> None:
        self._root, self.old = root, draft < 2019
        self._embeds: bool | None = None
        self._left, self._depth = _STEPS, 0
        self._going: set[frozenset[int]] = set()
        self._fine: dict[frozenset[int], list[Schema]] = {}  # with the schemas, whose ids these are
        self._written: dict[int, tuple[Schema, bytes]] = {}

    def instance(self, schemas: list[Schema]) -> str:
        """Why no value fits all of them.

        Where the same is asked within itself, of a part, no smallest value could be the first.
        """
        same = frozenset(map(id, schemas))
        if same in self._fine:
            return ""
        if same in self._going:
            return "only a value that never ends fits it"
        self._going.add(same)
        try:
            why = self._case(schemas, [], [])
        finally:
            self._going.discard(same)
        if not why:
            self._fine[same] = schemas
        return why

    def spend(self, steps: int) -> None:
        """So much work is about to be done."""
        self._left -= steps
        if self._left < 0:
            raise _TooLong

    def _case(self, more: Iterable[Schema], have: list[dict[Any, Any]], ways: list[list[Schema]]) -> str:
        """With `more` beside what was read (`have`) and the choices that are still open (`ways`)."""
        self.spend(1 + len(have) // 50)
        if self._depth > _DEEP:
            raise _TooLong
        self._depth += 1
        try:
            have, ways = list(have), list(ways)
            why = self._read(list(more), have, ways) or self._negations(have)
            if why:
                return why
            if not ways:
                return self._closed(have)
            way = min(ways, key=len)
            ways = [one for one in ways if one is not way]
            for one in way:
                why = self._case([one], have, ways)
                if not why:
                    return ""
            if not way:
                return "not (or an empty anyOf) leaves nothing"
            return why if len(way) == 1 else f"none of {len(way)} choices is possible, the last: {why}"
        finally:
            self._depth -= 1

    def _read(self, todo: list[Schema], have: list[dict[Any, Any]], ways: list[list[Schema]]) -> str:
        seen = set(map(id, have))
        while todo:
            one = todo.pop()
            if one is False:
                return "nothing fits false"
            if not isinstance(one, dict) or id(one) in seen:
                continue
            seen.add(id(one))
            target = self._target(one.get("$ref"))
            if target is not None:
                todo.append(target)
                if self.old:  # nothing beside it counts there
                    continue
            have.append(one)
            todo += _list(one.get("allOf"))
            ways += self._ways(one)
        return ""

    def _ways(self, schema: dict[str, Any]) -> list[list[Schema]]:
        found = []
        if isinstance(any_of := schema.get("anyOf"), list):
            found.append(any_of)
        if isinstance(one_of := schema.get("oneOf"), list):
            self.spend(min(len(one_of), _MOST_WAYS))
            found.append(one_of if len(one_of) > _MOST_WAYS else _exactly_one(one_of))
        if "if" in schema:
            asked = schema["if"]
            yes, no = [asked, schema.get("then", True)], [{"not": asked}, schema.get("else", True)]
            found.append([{"allOf": yes}, {"allOf": no}])
        if "not" in schema and (negated := self._negated(schema["not"])) is not None:
            found.append(negated)
        return found

    def _negated(self, schema: Schema) -> list[Schema] | None:
        for _ in range(_DEEP):
            if not (isinstance(schema, dict) and set(schema) == {"$ref"}):
                return logic.negated(schema)
            schema = self._target(schema["$ref"])
        return None

    def _negations(self, have: list[dict[Any, Any]]) -> str:
        """Where a schema's very negation stands beside it, whatever it says."""
        refused = [one["not"] for one in have if isinstance(one.get("not"), dict)]
        if not refused:
            return ""
        wanted = set(map(self._text, have))
        return "it is wanted and refused (not)" if wanted & set(map(self._text, refused)) else ""

    def _text(self, schema: Schema) -> bytes:
        """As JSON, of each once."""
        if id(schema) not in self._written:
            self._written[id(schema)] = schema, _written(schema)
        return self._written[id(schema)][1]

    def _closed(self, have: list[dict[Any, Any]]) -> str:
        parts = Parts(have, self)
        if added := parts.implied():
            others = sorted(parts.types - {"object"})
            ways = [{"allOf": [{"type": "object"}, *added]}, {"type": others}]
            return self._case([], have, [ways if others else ways[:1]])
        return parts.impossible()

    def _target(self, ref: Any) -> Schema | None:
        """What a reference within this document names; None for any other."""
        if not isinstance(ref, str) or not (ref == "#" or ref.startswith("#/")) or "%" in ref:
            return None
        if self._embeds is None:
            self._embeds = _written(self._root).count(b'"$id"') > ("$id" in self._root)
        if self._embeds:  # another document within, with references of its own
            return None
        found = self._root
        for step in ref[1:].split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            if isinstance(found, list) and name.isdecimal() and int(name) < len(found):
                found = found[int(name)]
            elif isinstance(found, dict) and name in found:
                found = found[name]
            else:
                return None
        return found


def _exactly_one(ways: list[Schema]) -> list[Schema]:
    return [
        {"allOf": [one, *({"not": other} for at, other in enumerate(ways) if at != index)]}
        for index, one in enumerate(ways)
    ]


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _written(schema: Schema) -> bytes:
    return orjson.dumps(schema, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS)
