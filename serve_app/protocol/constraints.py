"""What an LLM's answer has to fit, where it can be seen beforehand that nothing does."""

from collections.abc import Iterator
from typing import Any

import orjson

from serve_app.errors import InvalidArgument
from serve_app.protocol.grammars import endless
from serve_app.protocol.unsatisfiable import contradiction


def check_constraints(asked: dict[str, Any]) -> None:
    """InvalidArgument for a schema or grammar that no answer fits: an engine would find no end to it."""
    grammar = _dict(asked.get("structured_outputs")).get("grammar")
    if isinstance(grammar, str) and (rule := endless(grammar)):
        raise InvalidArgument(f"structured_outputs.grammar: no text fits it: '{rule}' never ends")
    for where, schema in _schemas(asked):
        if why := contradiction(schema):
            raise InvalidArgument(f"{where}: nothing fits this schema: {why}")


def _schemas(asked: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Those that an answer is held to, and where they are."""
    form = _dict(asked.get("response_format"))
    if form.get("type") == "json_schema":
        yield "response_format.json_schema.schema", _dict(form.get("json_schema")).get("schema", True)
    wanted = _dict(asked.get("structured_outputs")).get("json", True)
    if isinstance(wanted, str):
        try:
            wanted = orjson.loads(wanted)
        except orjson.JSONDecodeError:
            wanted = True  # the engine says so
    yield "structured_outputs.json", wanted
    if choice := asked.get("tool_choice"):
        yield from _tools(asked.get("tools"), choice)


def _tools(tools: Any, choice: Any) -> Iterator[tuple[str, Any]]:
    """The arguments of the function that has to be called, or of any where one has to be."""
    named = _dict(_dict(choice).get("function")).get("name")
    if named is None and choice != "required":
        return
    found = {
        index: _dict(_dict(tool).get("function"))
        for index, tool in enumerate(tools if isinstance(tools, list) else ())
    }
    wanted = {
        f"tools[{index}].function.parameters": function.get("parameters", True)
        for index, function in found.items()
        if named in (None, function.get("name"))
    }
    if wanted and all(map(contradiction, wanted.values())):
        yield from wanted.items()


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
