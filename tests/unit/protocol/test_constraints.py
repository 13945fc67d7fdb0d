"""What an answer has to fit, by OpenAI's fields and vLLM's: refused where nothing does, and named."""

import json
from typing import Any

import pytest

from serve_app.errors import InvalidArgument
from serve_app.protocol.constraints import check_constraints
from serve_app.protocol.grammars import endless

NO: Any = {"type": "string", "not": {"type": "string"}}
YES: Any = {"type": "string"}


def form(schema: Any) -> dict[str, Any]:
    return {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}}


def tools(choice: Any, *parameters: Any) -> dict[str, Any]:
    made = [
        {"type": "function", "function": {"name": f"f{index}", "parameters": one}}
        for index, one in enumerate(parameters)
    ]
    return {"tools": made, "tool_choice": choice}


def named(name: str) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name}}


@pytest.mark.parametrize(
    ("asked", "where"),
    [
        (form(NO), "response_format.json_schema.schema: nothing fits this schema: type"),
        ({"structured_outputs": {"json": NO}}, "structured_outputs.json: "),
        ({"structured_outputs": {"json": json.dumps(NO)}}, "structured_outputs.json: "),
        ({"structured_outputs": {"grammar": 'root ::= "a" root'}}, "structured_outputs.grammar: "),
        (tools("required", NO, NO), "tools[0].function.parameters: "),
        (tools(named("f1"), YES, NO), "tools[1].function.parameters: "),
    ],
)
def test_refused(asked: Any, where: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        check_constraints(asked)
    assert caught.value.message.startswith(where)


@pytest.mark.parametrize(
    "asked",
    [
        {}, form(YES), form(5), form(None), {"response_format": {"type": "json_object"}},
        {"response_format": {"type": "text", "json_schema": {"schema": NO}}}, {"response_format": "x"},
        {"structured_outputs": {"json": "{"}}, {"structured_outputs": {"regex": "a"}},
        {"structured_outputs": "x"}, {"structured_outputs": {"grammar": 5}},
        tools("required", NO, YES), tools("auto", NO), tools(named("f0"), YES, NO), tools("none", NO),
        {"tools": 5, "tool_choice": "required"}, {"tools": [5, {}], "tool_choice": "required"},
        {"tools": [{"function": {"name": []}}], "tool_choice": named("f")},
    ],
    ids=str,
)  # fmt: skip
def test_left_to_the_engine(asked: Any) -> None:
    check_constraints(asked)


@pytest.mark.parametrize(
    "grammar",
    [
        "root ::= root", 'root ::= "a" root', 'root ::= root "a" | root "b"',
        "root ::= a\na ::= b\nb ::= a",
        'root ::= "(" (root | a)+ ")" # (not an end)\na ::= [a-z] root',
        'root ::= (a)\na ::= "x" a{1,2}',
        'root ::= "x"* a\na ::= a {3}', 'root ::= ("a" | b) b\nb ::= "\\"" b',
    ],
)  # fmt: skip
def test_grammars_that_never_end(grammar: str) -> None:
    assert endless(grammar) == "root"


@pytest.mark.parametrize(
    "grammar",
    [
        'root ::= "a" root | "b"', 'root ::= "a" root?', 'root ::= root*', 'root ::= "(" root{0,3} ")"',
        'root ::= a\na ::= "x" | a a', 'root ::= ("a" | root) [^\\]]*', 'root ::= "]" # root ::= root',
        "root ::= nowhere", "", 'start: "a" start', 'root ::= (= "a") root', "root ::= )", "root ::= (",
        'root ::= "a\nroot ::= root', "root ::= root\nroot ::= root", 'a ::= a',
        "root ::= TagDispatch((\"a\", b))",
        "root ::= " + "root " * 10_000, 'root ::= ""',
    ],
    ids=lambda text: text[:40],
)  # fmt: skip
def test_grammars_that_end_or_are_the_engines_to_try(grammar: str) -> None:
    assert endless(grammar) == ""
