"""Parts of a JSON schema: the types of values, values as schemas, and what a schema's negation says.

`negated` and `unfolded` write only what is exact: `None` stands for "says nothing that is known".
"""

import re
from collections.abc import Callable
from typing import Any

Schema = Any  # a dict or a bool, as long as nobody looked

# A number is an integer (2.0 is one) or a fraction: so each value has exactly one of these.
TYPES = frozenset({"null", "boolean", "integer", "fraction", "string", "array", "object"})
_NAMES = {name: frozenset({name}) for name in TYPES} | {"number": frozenset({"integer", "fraction"})}
# Keywords of schemas that are made here, which no client can write: values that aren't allowed, and the
# one text that is.
EXCLUDED, TEXT = 0, 1
_ANNOTATIONS = frozenset(
    {"$schema", "$id", "$anchor", "$comment", "$defs", "definitions", "title", "description"}
    | {"default", "examples", "deprecated", "readOnly", "writeOnly", "strict"}
)
# A pattern that takes little time, and fits no more in other dialects of regular expressions than here.
_ATOM = r"(?:\[\^?[A-Za-z0-9_ -]+\]|\\[dw./-]|[A-Za-z0-9_ :@/.,-])"
_PLAIN = re.compile(rf"\^?(?:{_ATOM}(?:[*+?]|\{{\d{{1,2}}(?:,\d{{0,2}})?\}})?)*\$?")
_OPEN = re.compile(r"[*+?]|\{\d+,")
_MOST_OPEN, _LONGEST = 3, 64
# One that fits the same in all of them.
_EXACT = re.compile(r"\^?(?:\[[A-Za-z0-9_ -]+\]|[A-Za-z0-9_ -])*\$?")


def known_type(names: Any) -> bool:
    """Whether it is what `type` may be."""
    listed = names if isinstance(names, list) else [names]
    return all(isinstance(name, str) and name in _NAMES for name in listed)


def types_of(names: Any) -> frozenset[str]:
    """The types that `type` allows; all where it isn't understood."""
    if not known_type(names):
        return TYPES
    listed = names if isinstance(names, list) else [names]
    return frozenset[str]().union(*(_NAMES[name] for name in listed))


def type_of(value: Any) -> str:
    """The type of a JSON value."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else "boolean"
    if isinstance(value, int | float):
        return "integer" if isinstance(value, int) or value.is_integer() else "fraction"
    return "string" if isinstance(value, str) else "array" if isinstance(value, list) else "object"


def key(value: Any) -> Any:
    """Equal for values that JSON schema calls equal: 1 and 1.0, and not 1 and true."""
    if isinstance(value, list):
        return ("array", *map(key, value))
    if isinstance(value, dict):
        return ("object", frozenset((name, key(inner)) for name, inner in value.items()))
    return ("boolean", value) if isinstance(value, bool) else value


def unfolded(value: Any) -> Schema:
    """A schema that only `value` fits, in terms of bounds and parts."""
    if isinstance(value, str):
        return {"minLength": len(value), "maxLength": len(value), TEXT: value}
    if isinstance(value, list):
        size = len(value)
        return {"prefixItems": [{"const": one} for one in value], "minItems": size, "maxItems": size}
    if isinstance(value, dict):
        parts = {name: {"const": inner} for name, inner in value.items()}
        return {"properties": parts, "required": list(value), "maxProperties": len(value)}
    if isinstance(value, int | float) and not isinstance(value, bool):
        return {"minimum": value, "maximum": value}
    return {}


def misses(pattern: Any, text: str) -> bool:
    """Whether `text` surely doesn't match: a pattern that isn't plain may match anything."""
    return _found(_PLAIN, pattern, text) is False


def hits(pattern: Any, text: str) -> bool:
    """Whether it surely does."""
    return _found(_EXACT, pattern, text) is True


def _found(plain: re.Pattern[str], pattern: Any, text: str) -> bool | None:
    if not isinstance(pattern, str) or max(len(pattern), len(text)) > _LONGEST:
        return None
    if not (text.isascii() and text.isprintable()):
        return None
    if not plain.fullmatch(pattern) or len(_OPEN.findall(pattern)) > _MOST_OPEN:
        return None
    try:
        return re.search(pattern, text) is not None
    except re.error:  # the engine says so
        return None


def whole(value: Any) -> bool:
    """Whether it is a number that counts something."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _bound(test: Callable[[Any], bool], kind: str, other: str, by: int = 0) -> Any:
    """The negation of a bound is another one, `by` further on, of values of this kind."""
    return lambda value: [{"type": kind, other: value + by}] if test(value) else None


def _schemas(value: Any) -> list[Schema] | None:
    return value if isinstance(value, list) else None


def _each(value: Any) -> list[Schema] | None:
    return None if _schemas(value) is None else [{"not": one} for one in value]


def _names(value: Any) -> list[Schema] | None:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        return None
    return [{"type": "object", "properties": {name: False}} for name in value]


def _parts(value: Any) -> list[Schema] | None:
    if not isinstance(value, dict):
        return None
    return [
        {"type": "object", "required": [name], "properties": {name: {"not": one}}}
        for name, one in value.items()
    ]


# What a schema's negation allows, keyword by keyword: any of these schemas.
_NEGATED: dict[str, Callable[[Any], list[Schema] | None]] = {
    "type": lambda value: [{"type": sorted(TYPES - types_of(value))}] if known_type(value) else None,
    "const": lambda value: [{EXCLUDED: [value]}],
    "enum": lambda value: [{EXCLUDED: value}] if isinstance(value, list) else None,
    "required": _names,
    "properties": _parts,
    "allOf": _each,
    "anyOf": lambda value: None if _each(value) is None else [{"allOf": _each(value)}],
    "not": lambda value: [value],
    "minimum": _bound(_number, "number", "exclusiveMaximum"),
    "maximum": _bound(_number, "number", "exclusiveMinimum"),
    "exclusiveMinimum": _bound(_number, "number", "maximum"),
    "exclusiveMaximum": _bound(_number, "number", "minimum"),
    "minLength": _bound(whole, "string", "maxLength", -1),
    "maxLength": _bound(whole, "string", "minLength", 1),
    "minItems": _bound(whole, "array", "maxItems", -1),
    "maxItems": _bound(whole, "array", "minItems", 1),
    "minProperties": _bound(whole, "object", "maxProperties", -1),
    "maxProperties": _bound(whole, "object", "minProperties", 1),
}


def negated(schema: Schema) -> list[Schema] | None:
    """Schemas of which one fits whatever `schema` doesn't: none for one that everything fits."""
    if isinstance(schema, bool):
        return [not schema]
    if not isinstance(schema, dict):
        return None
    ways: list[Schema] = []
    for name, value in schema.items():
        if name in _ANNOTATIONS:
            continue
        if name not in _NEGATED or (more := _NEGATED[name](value)) is None:
            return None
        ways += more
    return ways
