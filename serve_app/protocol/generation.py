"""Text generation in V2's terms: tensors and parameters to a completion request in OpenAI's form.

Names, types and defaults are those of Triton's vLLM backend. What it takes as tensors may come as
parameters too. `serve_app.protocol.completions` has the way back.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import orjson

from serve_app.config import did_you_mean
from serve_app.errors import InvalidArgument, shown
from serve_app.protocol import bounds, elements
from serve_app.protocol.constraints import check_constraints
from serve_app.protocol.metadata import EngineDescription
from serve_app.protocol.openai import check_types
from serve_app.protocol.tensors import Arrays, InferRequest, Parameters, TensorSpec

TEXT, STREAM, SAMPLING, EXCLUDE = (
    "text_input", "stream", "sampling_parameters", "exclude_input_in_output",
)  # fmt: skip
OUTPUT, REASON, LOGPROBS, CUMULATIVE = "text_output", "finish_reason", "logprobs", "cumulative_logprob"
INPUT_TOKENS, OUTPUT_TOKENS = "num_input_tokens", "num_output_tokens"
_MORE = {  # outputs that come when they are asked for
    REASON: "BYTES", CUMULATIVE: "FP32", LOGPROBS: "BYTES",
    INPUT_TOKENS: "UINT32", OUTPUT_TOKENS: "UINT32",
}  # fmt: skip
_RETURN = "return_"
_FLAGS = (STREAM, EXCLUDE, *(_RETURN + name for name in _MORE))
INPUTS = (
    TensorSpec(TEXT, "BYTES", (-1,), example=["Beautiful is better than"]),
    TensorSpec(SAMPLING, "BYTES", (1,), optional=True),
    *(TensorSpec(name, "BOOL", (1,), optional=True) for name in _FLAGS),
)
OUTPUTS = (
    TensorSpec(OUTPUT, "BYTES", (-1,)),
    *(TensorSpec(name, datatype, (-1,)) for name, datatype in _MORE.items()),
)
ADAPTER = "lora_name"
# Triton's clients send them as JSON in a string: a parameter holds no object there.
_OBJECTS = ("structured_outputs", "response_format")
# What a request says by other means, or what its answer has no place for.
_NOT_HERE = {
    "model": "the URL names the model, lora_name an adapter of it",
    "prompt": "text_input is the prompt",
    "image": "OpenAI's /v1/chat/completions takes images",
    "best_of": "n is how many texts are wanted",
    "echo": f"{EXCLUDE} says whether text_output begins with the prompt",
    "stream_options": f"{_RETURN}{INPUT_TOKENS} and {_RETURN}{OUTPUT_TOKENS} give the usage",
}


@dataclass(frozen=True, slots=True)
class Generation:
    """What a request wants: `asked` of the engine, and of its answer the outputs `wanted`.

    `repeats`: a text begins with its prompt. `rows`: how many answers a stream has.
    `likely`: the client said of how many tokens it wants the probabilities.
    """

    asked: dict[str, Any]
    texts: list[str]
    wanted: frozenset[str]
    repeats: bool
    rows: int
    likely: bool


def generation(
    model: str, inputs: Arrays, parameters: Parameters, engine: EngineDescription, stream: bool
) -> Generation:
    """Read a request; InvalidArgument names what isn't known or has a wrong type."""
    texts = [_text(value) for value in inputs[TEXT].reshape(-1)]
    if not texts:
        raise InvalidArgument(f"tensor '{TEXT}' holds no text")
    if stream and len(texts) > 1:
        raise InvalidArgument(f"a stream is of one text, tensor '{TEXT}' holds {len(texts)}")
    asked = _sampling(inputs, parameters)
    flags = {name: _flag(name, inputs, asked) for name in _FLAGS}
    if stream and flags[EXCLUDE] is False:
        raise InvalidArgument(f"{EXCLUDE}: false is for whole answers, a stream has no prompt")
    wanted = frozenset(name for name in _MORE if flags[_RETURN + name])
    adapter = _adapter(model, asked.pop(ADAPTER, model), engine)
    check_types(asked)
    check_constraints(asked)
    for name in asked:
        if name in _NOT_HERE:
            raise InvalidArgument(f"parameters.{name}: not here: {_NOT_HERE[name]}")
        if name not in engine.parameters:
            hint = did_you_mean(name, engine.parameters)
            hint = hint if hint.startswith("; did") else ""
            raise InvalidArgument(f"parameters.{name}: no parameter of a generation{hint}")
    likely, rows = LOGPROBS in asked, str(asked.get("n", 1))
    asked |= {"model": adapter, "prompt": texts[0] if len(texts) == 1 else texts, "stream": stream}
    if CUMULATIVE in wanted:
        asked.setdefault(LOGPROBS, 0)
    if LOGPROBS in wanted and likely:
        asked["return_tokens_as_token_ids"] = True
    if wanted & {INPUT_TOKENS, OUTPUT_TOKENS}:
        asked["return_token_ids"] = True
    repeats = not (stream or flags[EXCLUDE])
    # The engine refuses what is no number, or too large a one.
    several = int(rows) if rows.isdecimal() and len(rows) < 6 else 1
    return Generation(asked, texts, wanted, repeats, several, likely)


def whether_streamed(request: InferRequest) -> bool | None:
    """What a request says of it, as a tensor or a parameter; None when nothing."""
    for tensor in request.inputs:
        if tensor.name == STREAM and tensor.datatype == "BOOL":
            return bool(tensor.data.all())
    return _boolean(STREAM, request.parameters.get(STREAM))


def asking_for(outputs: Iterable[str], parameters: Parameters) -> Parameters:
    """The parameters of a request for these outputs: who names an output needn't ask twice."""
    return parameters | {_RETURN + name: True for name in outputs if name in _MORE}


def _sampling(inputs: Arrays, parameters: Parameters) -> dict[str, Any]:
    """All parameters; those in the tensor or parameter of their own win, and null is none."""
    asked = dict(parameters)
    text = asked.pop(SAMPLING, None)
    if SAMPLING in inputs:
        text = inputs[SAMPLING].reshape(-1)[0]
    if text is not None:
        if not isinstance(text, str | bytes):
            raise InvalidArgument(f"{SAMPLING} must be a JSON object in a string, got {shown(text)}")
        asked |= elements.given(_object(SAMPLING, text))
    for name in _OBJECTS:
        value = asked.get(name)
        if isinstance(value, str):
            asked[name] = _object(f"parameters.{name}", value)
        elif not isinstance(value, dict | None):
            raise InvalidArgument(f"parameters.{name} must be an object, got {shown(value)}")
    bounds.check_nesting(asked)
    return elements.given(asked)


def _object(name: str, text: str | bytes) -> dict[str, Any]:
    try:
        given = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InvalidArgument(f"{name} is not valid JSON: {error}") from None
    if not isinstance(given, dict):
        raise InvalidArgument(f"{name} must hold a JSON object")
    return given


def _flag(name: str, inputs: Arrays, parameters: Parameters) -> bool | None:
    """Whether a tensor or a parameter, which is taken out, says so; None where none says anything."""
    said = _boolean(name, parameters.pop(name, None))
    return bool(inputs[name].reshape(-1)[0] or said) if name in inputs else said


def _boolean(name: str, value: object) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    raise InvalidArgument(f"parameters.{name} must be true or false, got {shown(value)}")


def _adapter(model: str, named: Any, engine: EngineDescription) -> str:
    if named in engine.names or engine.loads(named):
        return str(named)
    in_bucket = f"{model}:{named}"
    if not engine.loads(in_bucket):
        hint = did_you_mean(str(named), engine.names)
        raise InvalidArgument(f"parameters.{ADAPTER}: model '{model}' has no adapter '{named}'{hint}")
    return in_bucket


def _text(value: bytes | str) -> str:
    if isinstance(value, str):
        return value
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise InvalidArgument(f"tensor '{TEXT}' is not valid UTF-8: {error}") from None
