"""Schemas that nothing fits are found; one that something fits, as jsonschema says, never is."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from jsonschema.validators import validator_for

from serve_app.protocol.unsatisfiable import contradiction

CLOSED = {"type": "object", "additionalProperties": False}
A = {"properties": {"a": {"type": "string"}}, "required": ["a"]}
TREE = {"type": "object", "required": ["next"], "properties": {"next": {"$ref": "#/$defs/tree"}}}

NOTHING: list[tuple[Any, str]] = [
    (False, "false"),
    ({"not": {}}, "not"),
    ({"not": True}, "false"),
    ({"not": {"title": "anything"}}, "not"),
    ({"not": {"not": False}}, "false"),
    ({"type": []}, "type"),
    ({"allOf": [{"type": "string"}, {"type": "integer"}]}, "type"),
    ({"type": "number", "allOf": [{"type": "string"}]}, "type"),
    ({"type": "string", "not": {"type": "string"}}, "type"),
    ({"type": "integer", "not": {"type": "number"}}, "type"),
    ({"type": "integer", "oneOf": [{"type": "integer"}, {"type": "number"}]}, "choices"),
    ({"oneOf": [{}, {}]}, "choices"),
    ({"oneOf": [A, A, False]}, "choices"),
    ({"anyOf": []}, "anyOf"),
    ({"anyOf": [False, {"enum": []}]}, "choices"),
    ({"type": "string", "anyOf": [{"type": "null"}, {"type": "array"}]}, "choices"),
    ({"if": True, "then": False}, "choices"),
    ({"if": {"type": "string"}, "then": {"minLength": 3}, "else": False, "maxLength": 2}, "choices"),
    ({"enum": []}, "enum"),
    ({"enum": ["a", 1], "type": "null"}, "enum"),
    ({"enum": ["a", "b"], "const": "c"}, "enum"),
    ({"allOf": [{"const": 1}, {"const": True}]}, "enum"),
    ({"const": "a", "not": {"enum": ["a", "b"]}}, "enum"),
    ({"enum": [1, 2, 3], "minimum": 4}, "enum"),
    ({"enum": ["abc"], "maxLength": 2}, "enum"),
    ({"enum": ["abc"], "pattern": "^b"}, "enum"),
    ({"const": "20-1", "pattern": r"^\d{4}-\d{2}$"}, "enum"),
    ({"enum": ["a.b", "c"], "pattern": r"^\w+\.com$"}, "enum"),
    ({"const": {"a": 1}, "properties": {"a": {"type": "string"}}}, "enum"),
    ({"const": {"a": 1}, "required": ["b"]}, "enum"),
    ({"const": [1, "x"], "items": {"type": "integer"}}, "enum"),
    ({"type": "integer", "minimum": 5, "maximum": 3}, "integer"),
    ({"type": "integer", "exclusiveMinimum": 4, "exclusiveMaximum": 5}, "integer"),
    ({"type": "integer", "minimum": 4.2, "maximum": 4.8}, "integer"),
    ({"type": "integer", "minimum": 7, "maximum": 9, "multipleOf": 5}, "multiple of 5"),
    ({"type": "integer", "minimum": 1, "maximum": 2, "not": {"enum": [1, 2.0]}}, "excluded"),
    ({"type": "number", "exclusiveMinimum": 1, "maximum": 1}, "at most 1"),
    ({"type": "number", "minimum": 2, "not": {"minimum": 1}}, "at least 2"),
    ({"type": "boolean", "not": {"enum": [True, False]}}, "excluded"),
    ({"type": "null", "not": {"const": None}}, "excluded"),
    ({"type": "string", "minLength": 5, "maxLength": 2}, "maxLength"),
    ({"type": "string", "minLength": 3, "allOf": [{"maxLength": 2}]}, "maxLength"),
    ({"type": "string", "not": {"minLength": 0}}, "minLength"),
    ({"type": "array", "minItems": 3, "maxItems": 2}, "maxItems"),
    ({"type": "array", "minItems": 1, "items": False}, "items[0]"),
    ({"type": "array", "minItems": 2, "prefixItems": [True], "items": False}, "items[1]"),
    ({"type": "array", "contains": {"type": "string"}, "items": {"type": "null"}}, "contains"),
    ({"type": "array", "contains": True, "maxItems": 0}, "maxItems"),
    ({"type": "array", "contains": {}, "maxContains": 0}, "maxContains"),
    ({"type": "array", "contains": {}, "minContains": 3, "maxContains": 2}, "maxContains"),
    ({"type": "array", "uniqueItems": True, "minItems": 3, "items": {"type": "boolean"}}, "uniqueItems"),
    ({"type": "array", "uniqueItems": True, "minItems": 3, "items": {"enum": [1, 2]}}, "uniqueItems"),
    ({"type": "object", "properties": {"a": False}, "required": ["a"]}, "a: "),
    ({**CLOSED, "properties": {"a": {}}, "required": ["a", "b"]}, "b: "),
    ({"type": "object", "required": ["a"], "not": {"required": ["a"]}}, "a: "),
    ({"allOf": [{**CLOSED, **A}, {**CLOSED, "properties": {"b": {}}, "required": ["b"]}]}, ": "),
    ({"allOf": [{**A, "type": "object"}, {"properties": {"a": {"type": "null"}}}]}, "a: type"),
    ({"type": "object", "required": ["a", "b"], "maxProperties": 1}, "maxProperties"),
    ({**CLOSED, "properties": {"a": {}}, "minProperties": 2}, "minProperties"),
    ({"type": "object", "required": ["a"], "propertyNames": {"minLength": 2}}, "a: "),
    ({"type": "object", "minProperties": 1, "propertyNames": {"type": "null"}}, "minProperties"),
    ({"type": "object", "minProperties": 2, "propertyNames": {"enum": ["a", 5]}}, "minProperties"),
    ({"type": "object", "required": ["ab"], "patternProperties": {"^a": False}}, "ab: "),
    ({"type": "object", "required": ["a"], "dependentRequired": {"a": ["b"]},
      "properties": {"b": False}}, "b: "),
    ({"type": "object", "required": ["a"], "dependentSchemas": {"a": False}}, "false"),
    ({"type": "object", "required": ["a"], "unevaluatedProperties": False}, "a: "),
    ({"type": "object", "required": ["deep"], "properties": {"deep": {
        "type": "array", "minItems": 1, "items": {"type": "integer", "minimum": 2, "maximum": 1}}}},
     "deep: items[0]: no integer"),
    ({"$ref": "#/$defs/no", "$defs": {"no": False}}, "false"),
    ({"$ref": "#/$defs/text", "type": "null", "$defs": {"text": {"type": "string"}}}, "type"),
    ({"$ref": "#/$defs/tree", "$defs": {"tree": TREE}}, "never ends"),
    ({"allOf": [{"type": "string", "pattern": "a|b"}, {"not": {"type": "string", "pattern": "a|b"}}]},
     "refused"),
    ({"$schema": "http://json-schema.org/draft-07/schema#", "type": "object", "required": ["a"],
      "dependencies": {"a": ["b"]}, "properties": {"b": False}}, "b: "),
]  # fmt: skip


@pytest.mark.parametrize(("schema", "why"), NOTHING, ids=lambda value: json.dumps(value)[:60])
def test_what_nothing_fits(schema: Any, why: str) -> None:
    assert why in contradiction(schema)


SOMETHING: list[Any] = [
    True, {}, {"not": False}, {"type": "string", "not": {"const": "a"}},
    {"$ref": "#/$defs/text", "type": "null", "$defs": {"text": {"type": "string"}},
     "$schema": "http://json-schema.org/draft-07/schema#"},  # where nothing beside $ref counts
    {"type": "object", "properties": {"next": {"$ref": "#"}}},  # a tree ends
    {"allOf": [{"$ref": "#/$defs/tree"}, {"required": ["next"]}],
     "$defs": {"tree": {"type": "object", "properties": {"next": {"$ref": "#/$defs/tree"}}}}},
    {"oneOf": [{"type": "integer"}, {"type": "number"}]},  # 1.5
    {"enum": ["ab"], "pattern": "(a+)+b"}, {"enum": ["ab"], "pattern": "+"},
    {"const": "é", "pattern": "b"},
    {"type": "object", "required": ["a"], "patternProperties": {"^b": False}},
    {"type": "object", "required": ["a"], "dependencies": {"a": ["b"]}, "properties": {"b": False}},
    {"$schema": "http://json-schema.org/draft-04/schema#", "type": "object", "required": ["const"],
     "properties": {"const": {"const": 1, "type": "string"}}},
    {"type": "objekt"}, {"not": {"type": "objekt"}}, {"minimum": "5", "maximum": True}, 5, [],
    {"$ref": "https://example.org/x", "type": "integer"}, {"$ref": "#/nowhere"}, {"anyOf": 5},
    {"$id": "https://a.example/", "$ref": "#/$defs/a",
     "$defs": {"a": {"$id": "b", "$ref": "#/$defs/c", "$defs": {"c": True}}, "c": False}},
]  # fmt: skip


@pytest.mark.parametrize("schema", SOMETHING, ids=lambda value: json.dumps(value)[:60])
def test_what_something_may_fit(schema: Any) -> None:
    assert contradiction(schema) == ""


def test_a_proof_ends_whatever_is_asked() -> None:
    choices = [{"anyOf": [{"required": [f"{row}{one}"]} for one in range(9)]} for row in range(40)]
    assert contradiction({"allOf": [*choices, {"type": "object", "maxProperties": 3}]}) == ""
    nested: Any = False
    for _ in range(400):
        nested = {"type": "object", "required": ["a"], "properties": {"a": nested}}
    contradiction(nested)  # nested as deep as a body may be


_NAMES = st.sampled_from(["a", "b", "ab"])
_SMALL = st.integers(0, 3)
_VALUES = st.recursive(
    st.sampled_from([None, True, False, 0, 1, 2, 1.5, 2.0, "", "a", "b", "ab"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_NAMES, inner, max_size=2),
    max_leaves=4,
)
_KINDS = st.sampled_from(["null", "boolean", "integer", "number", "string", "array", "object"])


def _schemas(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    some, parts = st.lists(inner, min_size=1, max_size=3), st.dictionaries(_NAMES, inner, max_size=2)
    numbers = st.sampled_from([-1, 0, 1, 1.5, 2, 3])
    keywords = {
        "type": _KINDS | st.lists(_KINDS, min_size=1, max_size=3, unique=True),
        "const": _VALUES, "enum": st.lists(_VALUES, min_size=1, max_size=3),
        "allOf": some, "anyOf": some, "oneOf": some, "not": inner,
        "if": inner, "then": inner, "else": inner,
        **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), numbers),
        "multipleOf": st.sampled_from([1, 2, 3, 0.5]),
        **dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems", "minContains"), _SMALL),
        **dict.fromkeys(("maxContains", "minProperties", "maxProperties"), _SMALL),
        "pattern": st.sampled_from(["a", "^b$", "[ab]", "^a*$", r"^\w{1,2}$", r"\d?b+$", "."]),
        "uniqueItems": st.booleans(),
        "prefixItems": some, "items": inner, "contains": inner,
        "properties": parts, "required": st.lists(_NAMES, max_size=2, unique=True),
        "additionalProperties": inner, "unevaluatedProperties": st.booleans(),
        "patternProperties": st.dictionaries(st.sampled_from(["a", "^b"]), inner, max_size=1),
        "propertyNames": inner, "dependentSchemas": parts,
        "dependentRequired": st.dictionaries(_NAMES, st.lists(_NAMES, max_size=2), max_size=1),
        "$ref": st.sampled_from(["#/$defs/x", "#/$defs/y"]),
    }  # fmt: skip
    chosen = st.lists(st.sampled_from(sorted(keywords)), max_size=4, unique=True)
    return chosen.flatmap(lambda names: st.fixed_dictionaries({name: keywords[name] for name in names}))


_ANY = st.recursive(st.booleans() | _schemas(st.booleans()), _schemas, max_leaves=6)


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(_ANY, _ANY, _ANY, st.lists(_VALUES, min_size=1, max_size=20))
def test_no_schema_is_refused_that_a_value_fits(schema: Any, x: Any, y: Any, values: list[Any]) -> None:
    whole = {"allOf": [schema], "$defs": {"x": x, "y": y}}
    if not (why := contradiction(whole)):
        return
    for value in values:
        try:
            fits = Draft202012Validator(whole).is_valid(value)
        except RecursionError:  # a reference to itself, at the same place
            return
        assert not fits, (why, value)


@pytest.mark.parametrize(("schema", "why"), NOTHING, ids=lambda value: json.dumps(value)[:60])
@given(value=_VALUES)
@settings(max_examples=10, deadline=None)
def test_nor_does_any_fit_those_above(schema: Any, why: str, value: Any) -> None:
    try:
        assert not validator_for(schema, default=Draft202012Validator)(schema).is_valid(value)
    except RecursionError:
        pytest.fail("it has no value at all")
