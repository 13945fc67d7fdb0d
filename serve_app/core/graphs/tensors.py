"""A graph's requests and answers as V2's tensors: what a step answered is what the next one is asked."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from serve_app.core.graphs.asked import Asker
from serve_app.core.graphs.merging import fitted, renamed
from serve_app.errors import TandemError
from serve_app.protocol import elements
from serve_app.protocol.tensors import InferRequest, InferResponse, Tensor
from serve_app.routing.graph import Answer, Failed


@dataclass(slots=True)
class Message:
    """`tensors`, and what they are of: a request, a model's answer, several, or an error."""

    tensors: list[Tensor]
    request: InferRequest | None = None
    response: InferResponse | None = None
    parts: dict[str, "Message"] = field(default_factory=dict)
    error: str = ""


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

    def document(self, message: Message) -> Any:
        """V2's JSON, its data flat."""
        if message.parts:
            return {name: self.document(part) for name, part in message.parts.items()}
        if message.error:
            return {"error": message.error}
        if (response := message.response) is not None:
            head = {"model_name": response.model, "model_version": response.version, "id": response.id}
            return {**head, "outputs": [_entry(tensor) for tensor in message.tensors]}
        request = message.request
        found: dict[str, Any] = {"inputs": [_entry(tensor) for tensor in message.tensors]}
        if request is not None:
            found |= {"id": request.id, "parameters": request.parameters}
        return found

    def mapped(self, message: Message) -> Message:
        """Outputs are inputs already."""
        return message

    def merged(self, parts: dict[str, Message]) -> Message:
        """As `step.output`."""
        return Message(_merged(parts, ()), parts=parts)


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
        data = elements.load_json(elements.to_json(tensor.data, tensor.name))
    shape = list(tensor.data.shape)
    return {"name": tensor.name, "shape": shape, "datatype": tensor.datatype, "data": data}
