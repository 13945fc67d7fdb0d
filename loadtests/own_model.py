"""A model of one's own under load (`make load MODEL=name`): its example, again and again.

The example is the one that `/docs` shows. A server without it is asked what the model's inputs are.
"""

import http.client
import os
import urllib.error
import urllib.request
from functools import cache
from typing import Any
from urllib.parse import quote

import orjson

from loadtests.payloads import Arrays, Sample, WrongAnswer
from serve_app.protocol.elements import to_array
from serve_app.protocol.metadata import example_inputs
from serve_app.protocol.tensors import TensorSpec

MODEL = os.environ.get("MODEL", "")
_TIMEOUT_S = 10


class NoExample(Exception):
    """The server can't be asked, or doesn't serve the model."""


@cache
def sample(url: str, model: str) -> Sample:
    """What to send to the server at `url`, and whether an answer has the outputs that it should."""
    about = _get(url, f"/v2/models/{quote(model)}")
    if about is None:
        index = _get(url, "/v2/models") or {}
        known = ", ".join(index.get("models", ())) or "unknown"
        raise NoExample(f"{url} serves no model '{model}'; its models: {known}")
    inputs = _example(_get(url, "/openapi.json"), model)
    if inputs is None:
        specs = [
            TensorSpec(one["name"], one["datatype"], tuple(one["shape"])) for one in about["inputs"]
        ]
        inputs = example_inputs(specs)
    if not inputs:
        raise NoExample(f"{url} doesn't say what the inputs of '{model}' are")
    arrays = {
        one["name"]: to_array(one["data"], one["datatype"], tuple(one["shape"]), one["name"])
        for one in inputs
    }
    wanted = {one["name"] for one in about.get("outputs", ())}

    def check(outputs: Arrays) -> None:
        if missing := wanted - outputs.keys():
            raise WrongAnswer(f"the answer has no output '{min(missing)}'")

    return Sample(model, arrays, {}, check)


def _example(document: Any, model: str) -> list[dict[str, Any]] | None:
    try:
        body = document["paths"][f"/v2/models/{model}/infer"]["post"]["requestBody"]
        found: list[dict[str, Any]] = body["content"]["application/json"]["example"]["inputs"]
    except (KeyError, TypeError):
        return None
    return found


def _get(url: str, path: str) -> Any:
    """The JSON there; None where there is none."""
    try:
        with urllib.request.urlopen(f"{url.rstrip('/')}{path}", timeout=_TIMEOUT_S) as answer:
            return orjson.loads(answer.read())
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 404:
            return None
        raise NoExample(f"{url}{path} answered {error.code}") from None
    except (OSError, http.client.HTTPException) as error:
        raise NoExample(f"no server at {url} ({error}); start one with: make run") from None
    except orjson.JSONDecodeError:
        return None
