"""A graph's requests and answers as V1's JSON documents, as KServe's router passes them on."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from serve_app.core.explaining import by_itself
from serve_app.core.graphs.aside import LARGE, aside, size
from serve_app.core.graphs.asked import Asker, is_graph
from serve_app.core.graphs.merging import renamed
from serve_app.core.version import Version
from serve_app.errors import TandemError
from serve_app.protocol import v1_codec
from serve_app.protocol.explanations import document
from serve_app.protocol.metadata import VersionDescription
from serve_app.protocol.tensors import InferRequest, InferResponse
from serve_app.routing.graph import Answer, Failed

T = TypeVar("T")
Document = Any  # a JSON object, if the client sent one


@dataclass(slots=True)
class DocumentRequest(InferRequest):
    """One of V1 to a graph. `answer` is filled in by it; `large`: what is decoded holds up no others."""

    document: Document = field(default_factory=dict)
    answer: Document = field(default_factory=dict)
    large: bool = False


class Documents:
    """Implements `serve_app.routing.graph.Form`."""

    def __init__(self, asker: Asker, large: bool) -> None:
        self._asker, self.large = asker, large

    async def call(self, service: str, version: str, message: Document) -> Answer[Document]:
        """A V1 request to a model, or a document to another graph."""
        try:
            found = await self._asker.find(service, version)
            if self._takes_documents(found):
                return Answer(await self._graph(service, version, message))
            chosen = None if version else self._asker.shared(service)
            signature = (chosen or found).signature
            request, by_row = await aside(self.large, _decoded, message, service, signature)
            request.parameters = self._asker.parameters()
            if chosen and (chosen := self._asker.decided(chosen, request)).signature != signature:
                signature = chosen.signature
                request, by_row = await aside(self.large, _decoded, message, service, signature)
        except Failed:
            raise
        except TandemError as error:
            self._asker.refuse(service, version, error)
            return _failed(error)
        request.version, request.parameters = version, self._asker.parameters()
        try:
            response = await self._asker.ask(request, chosen)
            self.large = self.large or size(response.outputs) >= LARGE
            return Answer(await aside(self.large, self._written, response, by_row))
        except Failed:
            raise
        except TandemError as error:
            return _failed(error)

    def _takes_documents(self, found: Version) -> bool:
        return is_graph(found)

    def _written(self, response: InferResponse, by_row: bool) -> Document:
        """A model's answer."""
        return v1_codec.answer(response, by_row)

    async def _graph(self, service: str, version: str, message: Document) -> Document:
        request = DocumentRequest(service, version, "", [], document=message, large=self.large)
        await self._asker.ask(request)
        self.large = self.large or request.large
        return request.answer

    async def asked(self, message: Document, question: Callable[[Any], T]) -> T:
        """It is one."""
        return await aside(self.large, question, message)

    def mapped(self, message: Document) -> Document:
        """`predictions` alone, as `instances`; what has none stays."""
        predictions = message.get("predictions") if isinstance(message, dict) else None
        if isinstance(predictions, list) and predictions:
            return {"instances": predictions}
        return message

    def merged(self, parts: dict[str, Document]) -> Document:
        """As they are, each at its name."""
        return parts


class Explanations(Documents):
    """The same for an `asker` that asks why."""

    def _takes_documents(self, found: Version) -> bool:
        return is_graph(found) and by_itself(self._asker.directory, found)

    def _written(self, response: InferResponse, by_row: bool) -> Document:
        text = document(response)
        return v1_codec.answer(response, by_row, "explanations") if text is None else json.loads(text)


def _failed(error: TandemError) -> Answer[Document]:
    return Answer({"error": error.message}, error)


def _decoded(message: Document, model: str, signature: VersionDescription) -> tuple[InferRequest, bool]:
    """A request, or what another model or an Ensemble answered: a model takes that as its rows."""
    names = [spec.name for spec in signature.inputs]
    if isinstance(message, dict) and "instances" not in message and "inputs" not in message:
        if isinstance(rows := message.get("predictions"), list):
            message = {"instances": _fitting(rows, names)}
        elif message and all(map(_answered, message.values())):
            outputs = {name: _columns(part["predictions"]) for name, part in message.items()}
            message = {"inputs": dict(renamed(outputs, names))}
    return v1_codec.decode_request(message, model, signature)


def _answered(part: Any) -> bool:
    return isinstance(part, dict) and isinstance(part.get("predictions"), list)


def _columns(rows: list[Any]) -> dict[str, list[Any]]:
    """By output; of a model with one of them its name isn't said."""
    if not rows or not all(isinstance(row, dict) for row in rows):
        return {"": rows}
    return {name: [row.get(name) for row in rows] for name in rows[0]}


def _fitting(rows: list[Any], names: list[str]) -> list[Any]:
    """Rows of several outputs with those alone that a model takes; else as they are."""
    if not all(isinstance(row, dict) for row in rows) or not any(
        name in row for name in names for row in rows
    ):
        return rows
    return [{name: row[name] for name in names if name in row} for row in rows]
