"""Text generation in V2's terms: tensors to a completion request in OpenAI's form, and back.

The names of the tensors are those of Triton's vLLM backend, but `text_output` holds what was
generated and not the prompt before it.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import orjson

from serve_app.config import did_you_mean
from serve_app.errors import (
    InvalidArgument,
    ModelFailed,
    Overloaded,
    TandemError,
    Unavailable,
    UnknownModel,
)
from serve_app.protocol import elements
from serve_app.protocol.metadata import EngineDescription
from serve_app.protocol.tensors import Arrays, Parameters, TensorSpec

TEXT, STREAM, SAMPLING = "text_input", "stream", "sampling_parameters"
INPUTS = (
    TensorSpec(TEXT, "BYTES", (-1,), example=["Beautiful is better than"]),
    TensorSpec(STREAM, "BOOL", (1,), optional=True),
    TensorSpec(SAMPLING, "BYTES", (1,), optional=True),
)
OUTPUT, REASON = "text_output", "finish_reason"
OUTPUTS = (TensorSpec(OUTPUT, "BYTES", (-1,)), TensorSpec(REASON, "BYTES", (-1,)))
ADAPTER = "lora_name"
# What a request says by other means, or what its answer has no place for.
_NOT_HERE = {
    "model": "the URL names the model, lora_name an adapter of it",
    "prompt": "text_input is the prompt",
    "n": "there is one text for each text_input; OpenAI's /v1/completions gives several",
    "best_of": "there is one text for each text_input",
    "logprobs": "OpenAI's /v1/completions gives them",
    "stream": "an input, or generate_stream",
    "stream_options": "OpenAI's /v1/completions gives the usage",
}


def completion_request(
    model: str, inputs: Arrays, parameters: Parameters, engine: EngineDescription, stream: bool
) -> dict[str, Any]:
    """The body of a POST to /v1/completions; InvalidArgument names what isn't known."""
    texts = [_text(value) for value in inputs[TEXT].reshape(-1)]
    if not texts:
        raise InvalidArgument(f"tensor '{TEXT}' holds no text")
    if stream and len(texts) > 1:
        raise InvalidArgument(f"a stream is of one text, tensor '{TEXT}' holds {len(texts)}")
    wanted = dict(parameters)
    if SAMPLING in inputs:
        wanted |= _sampling(inputs[SAMPLING].reshape(-1)[0])
    named = wanted.pop(ADAPTER, model)
    known = named in engine.names or engine.loads(named)
    if not known:
        in_bucket = f"{model}:{named}"
        if not engine.loads(in_bucket):
            hint = did_you_mean(str(named), engine.names)
            raise UnknownModel(f"parameters.{ADAPTER}: model '{model}' has no adapter '{named}'{hint}")
        named = in_bucket
    for name in wanted:
        if name in _NOT_HERE:
            raise InvalidArgument(f"parameters.{name}: not here: {_NOT_HERE[name]}")
        if name not in engine.parameters:
            hint = did_you_mean(name, engine.parameters)
            hint = hint if hint.startswith("; did") else ""
            raise InvalidArgument(f"parameters.{name}: no parameter of a generation{hint}")
    prompt: str | list[str] = texts[0] if len(texts) == 1 else texts
    return {"model": named, "prompt": prompt, "stream": stream, **wanted}


def _text(value: bytes | str) -> str:
    if isinstance(value, str):
        return value
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise InvalidArgument(f"tensor '{TEXT}' is not valid UTF-8: {error}") from None


def _sampling(value: bytes | str) -> dict[str, Any]:
    try:
        given = orjson.loads(value)
    except orjson.JSONDecodeError as error:
        raise InvalidArgument(f"tensor '{SAMPLING}' is not valid JSON: {error}") from None
    if not isinstance(given, dict):
        raise InvalidArgument(f"tensor '{SAMPLING}' must hold a JSON object")
    return elements.given(given)


def prompt_of(asked: dict[str, Any]) -> str:
    """The text that a request in OpenAI's form begins with, whatever it is; '' when there is none."""
    messages = asked.get("messages")
    if isinstance(messages, list):
        contents = (message.get("content") for message in messages if isinstance(message, dict))
        return "\n".join(map(_plain, contents))
    return _plain(asked.get("prompt", asked.get("input")))


def _plain(value: Any) -> str:
    if isinstance(value, list):  # of texts, tokens, or a message's parts
        return " ".join(map(_plain, value))
    if isinstance(value, dict):
        value = value.get("text")
    return "" if value is None else str(value)


def outputs(choices: list[dict[str, Any]]) -> Arrays:
    """`text_output` and `finish_reason` of a completion's choices, in their order."""
    ordered = sorted(choices, key=lambda choice: choice["index"])
    return {
        OUTPUT: _bytes([choice["text"] for choice in ordered]),
        REASON: _bytes([choice["finish_reason"] or "" for choice in ordered]),
    }


def _bytes(values: list[str]) -> np.ndarray:
    array = np.empty(len(values), dtype=object)
    array[:] = [value.encode("utf-8", "replace") for value in values]
    return array


def failure(status: int, body: bytes) -> TandemError:
    """An engine's error answer, in our terms."""
    try:
        message = str(orjson.loads(body)["error"]["message"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        message = body[:500].decode("utf-8", "replace")
    if status == 404:
        return UnknownModel(message)
    if status == 429:
        return Overloaded(message)
    if status == 503:
        return Unavailable(message)
    return InvalidArgument(message) if 400 <= status < 500 else ModelFailed(message)


class Events:
    """Server-sent events out of pieces that are cut anywhere; None stands for [DONE]."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, piece: bytes) -> Iterator[dict[str, Any] | None]:
        """The events that end in `piece`."""
        *events, self._rest = (self._rest + piece).replace(b"\r\n", b"\n").split(b"\n\n")
        for event in events:
            for line in event.split(b"\n"):
                if line.startswith(b"data:"):
                    data = line[5:].strip()
                    yield None if data == b"[DONE]" else orjson.loads(data)
