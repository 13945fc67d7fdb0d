"""Answers of LLMs, in OpenAI's form or by pieces, as arrays by the names that V2 has for them."""

from base64 import b64decode
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import orjson

from serve_app.protocol.datatypes import BYTES
from serve_app.protocol.generation import INPUT_TOKENS, OUTPUT, OUTPUT_TOKENS, REASON
from serve_app.protocol.openai import Events
from serve_app.protocol.tensors import Arrays

TOOLS, EMBEDDING = "tool_calls", "embedding"
EVENTS = b"text/event-stream"
_GOES_ON = b"None"  # as serve_app.protocol.completions writes the reason of a text that goes on


def arrays_of(kind: bytes, body: bytes) -> Arrays:
    """A 200 of OpenAI's routes; ValueError for what is none, and for a stream with an error in it."""
    if kind.startswith(EVENTS):
        return _choices(_streamed(body))
    said = orjson.loads(body)
    if isinstance(said, dict) and isinstance(said.get("choices"), list):
        return _choices(said["choices"])
    if isinstance(said, dict) and isinstance(said.get("data"), list):
        return _embeddings(said["data"])
    raise ValueError("neither choices nor data")


def joined(pieces: Sequence[Arrays]) -> Arrays:
    """One text's pieces, as `stream` of a target gives them, put together."""
    found: Arrays = {}
    for piece in pieces:
        for name, array in piece.items():
            if name not in found:
                found[name] = array
            elif name == REASON:
                found[name] = np.where(array != _GOES_ON, array, found[name])
            elif name == OUTPUT_TOKENS or array.dtype == BYTES:
                found[name] = found[name] + array
            elif name != INPUT_TOKENS:
                found[name] = array
    return found


def _streamed(body: bytes) -> list[dict[str, Any]]:
    """Its choices, each with what its pieces say together."""
    found: dict[int, dict[str, Any]] = {}
    for event in Events().feed(body):
        if event is None:
            continue
        if "error" in event:
            raise ValueError(str(event["error"]))
        for piece in event.get("choices", ()):
            one = found.setdefault(piece.get("index", 0), {"text": "", "calls": {}})
            said = piece.get("delta") or piece
            one["text"] += said.get("content") or said.get("text") or ""
            one["finish_reason"] = piece.get("finish_reason") or one.get("finish_reason")
            for call in said.get("tool_calls") or ():
                known = one["calls"].setdefault(call.get("index", 0), ["", ""])
                function = call.get("function") or {}
                known[0] += function.get("name") or ""
                known[1] += function.get("arguments") or ""
    return [{"index": at, **one} for at, one in found.items()]


def _choices(choices: Iterable[dict[str, Any]]) -> Arrays:
    listed = sorted(choices, key=lambda one: int(one.get("index", 0)))
    texts, reasons, tools = [], [], []
    for one in listed:
        said = one.get("message") or one
        texts.append(said.get("content") or said.get("text") or "")
        reasons.append(one.get("finish_reason") or "")
        calls = one["calls"].values() if "calls" in one else map(_call, said.get("tool_calls") or ())
        tools.append([list(call) for call in calls])
    found = {OUTPUT: _texts(texts), REASON: _texts(reasons)}
    if any(tools):
        found[TOOLS] = _texts(orjson.dumps(one).decode() for one in tools)
    return found


def _call(call: dict[str, Any]) -> tuple[str, str]:
    function = call.get("function") or {}
    return function.get("name") or "", function.get("arguments") or ""


def _embeddings(data: Iterable[dict[str, Any]]) -> Arrays:
    listed = sorted(data, key=lambda one: int(one.get("index", 0)))
    vectors = [one["embedding"] for one in listed]
    if vectors and isinstance(vectors[0], str):  # base64, of the same 32-bit floats
        return {EMBEDDING: np.stack([np.frombuffer(b64decode(one), "<f4") for one in vectors])}
    return {EMBEDDING: np.array(vectors, dtype=np.float32)}


def _texts(texts: Iterable[str]) -> np.ndarray:
    encoded = [str(text).encode("utf-8", "replace") for text in texts]
    array = np.empty(len(encoded), dtype=object)
    array[:] = encoded
    return array
