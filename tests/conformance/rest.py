"""Bodies for raw HTTP, and what every error must look like."""

import json
from typing import Any

import httpx

Tensor = dict[str, Any]
IDENTITY = "/v2/models/identity/infer"


def x(**changes: Any) -> Tensor:
    """Two FP32 numbers."""
    return {"name": "x", "shape": [2], "datatype": "FP32", "data": [1.5, -2.0], **changes}


def pixels(rows: list[list[float]]) -> Tensor:
    """Input of the digit models."""
    return {"name": "pixels", "shape": [len(rows), len(rows[0])], "datatype": "FP32", "data": rows}


def without(tensor: Tensor, key: str) -> Tensor:
    return {name: value for name, value in tensor.items() if name != key}


def infer_json(*inputs: Tensor, **more: Any) -> dict[str, Any]:
    return {"inputs": list(inputs), **more}


def binary(
    tensor: Tensor, raw: bytes, *, size: Any = None, more: bytes = b"", keep: bool = False, **rest: Any
) -> tuple[bytes, int]:
    """A body with `raw` behind the JSON, and the length of its JSON; `size` may lie."""
    entry = tensor if keep else without(tensor, "data")
    entry = {**entry, "parameters": {"binary_data_size": len(raw) if size is None else size}}
    text = json.dumps({"inputs": [entry], **rest}).encode()
    return text + raw + more, len(text)


def error_of(answer: httpx.Response, status: int) -> str:
    """The message of an error, after all that must hold for every one of them."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert int(answer.headers["content-length"]) == len(answer.content)
    body = json.loads(answer.content)
    assert list(body) == ["error"]
    message = body["error"]
    assert isinstance(message, str)
    assert message
    assert "Traceback" not in message
    assert ".py" not in message
    assert len(message) < 1000
    return message
