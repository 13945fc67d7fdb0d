"""A graph's requests and answers as V2's tensors: what a step answered is what the next one is asked."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from serve_app.core.graphs.aside import LARGE, MOST, aside, size
from serve_app.core.graphs.asked import Asker
from serve_app.core.graphs.merging import fitted, renamed
from serve_app.errors import TandemError, TooLarge
from serve_app.protocol import elements
from serve_app.protocol.tensors import InferRequest, InferResponse, Tensor
from serve_app.routing.graph import Answer, Failed

T = TypeVar("T")
_IN_ONE_GO = 2**14  # elements: no other thread runs while they are read


@dataclass(slots=True)
class Message:
    """`tensors`, and what they are of: a request, a model's answer, several, or an error."""

    tensors: list[Tensor]
    request: InferRequest | None = None
    response: InferResponse | None = None
    parts: dict[str, "Message"] = field(default_factory=dict)
    error: str = ""
    value: Any = None  # as V2's JSON, once that was asked for


class Tensors:
    """Implements `serve_app.routing.graph.Form`."""

    def __init__(self, asker: Asker) -> None:
        self._asker = asker

    async def call(self, service: str, version: str, message: Message) -> Answer[Message]:
        """A V2 request to a model or another graph."""
        try:
            tensors = message.tensors
            if message.request is None:
                found = await self._asker.find(service, version)
                tensors = _fitted(message, [spec.name for spec in found.signature.inputs])
            request = InferRequest(service, version, "", tensors, None, self._asker.parameters())
            response = await self._asker.ask(request)
            return Answer(Message(response.outputs, response=response))
        except Failed:
            raise
        except TandemError as error:
            said = Tensor("error", "BYTES", np.array([error.message.encode()], object))
            return Answer(Message([said], error=error.message), error)

    async def asked(self, message: Message, question: Callable[[Any], T]) -> T:
        """Of V2's JSON, its data flat. Too large: TooLarge for a request, Failed for an answer."""
        if (bytes_ := size(message.tensors)) > MOST:
            said = f"conditions look at tensors of at most {MOST} bytes, got {bytes_}"
            raise TooLarge(said) if message.request is not None else Failed(said)
        return await aside(bytes_ >= LARGE, lambda: question(_value(message)))

    def mapped(self, message: Message) -> Message:
        """Outputs are inputs already."""
        return message

    def merged(self, parts: dict[str, Message]) -> Message:
        """As `step.output`."""
        return Message(_merged(parts, ()), parts=parts)


def _value(message: Message) -> Any:
    if message.value is None:
        message.value = _made(message)
    return message.value


def _made(message: Message) -> Any:
    if message.parts:
        return {name: _value(part) for name, part in message.parts.items()}
    if message.error:
        return {"error": message.error}
    entries = [_entry(tensor) for tensor in message.tensors]
    if (response := message.response) is not None:
        head = {"model_name": response.model, "model_version": response.version, "id": response.id}
        return {**head, "outputs": entries}
    found: dict[str, Any] = {"inputs": entries}
    if (request := message.request) is not None:
        found |= {"id": request.id, "parameters": request.parameters}
    return found


def _fitted(message: Message, inputs: list[str]) -> list[Tensor]:
    """What was answered, as a model is asked."""
    if message.parts:
        return _merged(message.parts, inputs)
    found = fitted({tensor.name: tensor for tensor in message.tensors}, inputs)
    return [Tensor(name, one.datatype, one.data) for name, one in found.items()]


def _merged(parts: dict[str, Message], inputs: list[str] | tuple[str, ...]) -> list[Tensor]:
    outputs = {name: {one.name: one for one in part.tensors} for name, part in parts.items()}
    return [Tensor(name, one.datatype, one.data) for name, one in renamed(outputs, inputs)]


def _entry(tensor: Tensor) -> dict[str, Any]:
    data: Any
    if tensor.datatype == "BYTES":
        data = [item.decode(errors="replace") for item in tensor.data.flat]
    else:
        flat, data = tensor.data.reshape(-1), []
        for at in range(0, flat.size, _IN_ONE_GO):
            data += elements.load_json(elements.to_json(flat[at : at + _IN_ONE_GO], tensor.name))
    shape = list(tensor.data.shape)
    return {"name": tensor.name, "shape": shape, "datatype": tensor.datatype, "data": data}
