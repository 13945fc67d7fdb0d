"""A class that was written as KServe's explainer: `explain(payload, headers)` of a `kserve.Model`.

It gets V1's document and answers one, and asks the model by `self.predict`. The document is carried as
one text, as MLServer's explainers answer; V1 gives it as it stands.
"""

import asyncio
import inspect
from typing import Any

import numpy as np
import orjson

from serve_app.errors import ModelFailed
from serve_app.protocol import v1_codec
from serve_app.protocol.datatypes import BYTES
from serve_app.protocol.explanations import DOCUMENT
from serve_app.protocol.rest_codec import tensors_from
from serve_app.protocol.tensors import Arrays, InferResponse, Parameters
from serve_app.runtimes.in_thread import Raised, caught
from serve_app.runtimes.kserve_api.model import PREDICT, Model
from serve_app.runtimes.kserve_api.raised import OURS, meant


def of_kserve(kind: type) -> bool:
    """Whether it is derived from KServe's class, or from what stands in for it."""
    return any(one.__name__ == "Model" and one.__module__.startswith(OURS) for one in kind.__mro__[1:])


class KServeExplainer:
    """`made` is the user's object; `model` asks what it explains, which is called `name`."""

    def __init__(self, made: Any, model: Any, name: str) -> None:
        self._made, self._model, self._name = made, model, name
        # KServe's own would ask over HTTP.
        if type(made).predict.__module__.startswith(OURS):
            made.predict = Model.predict.__get__(made)

    async def explain(self, inputs: Arrays, parameters: Parameters) -> Arrays:
        """As KServe's server goes through a model: preprocess, explain, postprocess."""
        PREDICT.set(self._ask)
        found: Any = {"instances": _rows(inputs)}
        for verb in ("preprocess", "explain", "postprocess"):
            found = await self._call(verb, found)
        text = np.empty(1, dtype=object)
        text[0] = orjson.dumps(found, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS)
        return {DOCUMENT: text}

    async def _call(self, verb: str, payload: Any) -> Any:
        function = getattr(self._made, verb)
        try:
            if inspect.iscoroutinefunction(function):
                return await function(payload, {})
            found = await asyncio.to_thread(caught, function, payload, {})
            if isinstance(found, Raised):
                raise found.error
            return await found if inspect.isawaitable(found) else found
        except Exception as error:
            if (found := meant(error, f"explain of '{self._name}' raised")) is not None:
                raise found from None
            raise

    async def _ask(self, payload: Any) -> Any:
        """What `self.predict` gives: the model's answer to a document of V1."""
        if not isinstance(payload, dict):
            raise ModelFailed(
                f"the explainer's self.predict takes a dict of V1, got {type(payload).__name__}"
            )
        message = {
            key: one.tolist() if isinstance(one, np.ndarray) else one for key, one in payload.items()
        }
        about = await asyncio.to_thread(self._model.describe)
        request, by_row = v1_codec.decode_request(message, self._name, about)
        answer = await self._model.predict_async({one.name: one.data for one in request.inputs})
        response = InferResponse(self._name, "", "", tensors_from(answer, list(answer)))
        return v1_codec.answer(response, by_row)

    def close(self) -> None:
        """The user's, if it can be."""
        if callable(close := getattr(self._made, "close", None)):
            close()


def _rows(inputs: Arrays) -> list[Any]:
    """As a client of V1 writes them."""
    columns = {name: _plain(array) for name, array in inputs.items()}
    if len(columns) == 1:
        return next(iter(columns.values()))
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _plain(array: np.ndarray) -> list[Any]:
    if array.dtype != BYTES:
        return array.tolist()  # type: ignore[no-any-return]
    flat = np.empty(array.size, dtype=object)
    flat[:] = [item.decode(errors="replace") for item in array.flat]
    return flat.reshape(array.shape).tolist()  # type: ignore[no-any-return]
