"""Data planes with graphs."""

from typing import Any

import numpy as np

from serve_app.config import parse
from serve_app.config.graph import Graph
from serve_app.core.call import Call, Headers
from serve_app.core.dataplane import DataPlane
from serve_app.core.graphs.documents import DocumentRequest
from serve_app.core.graphs.serve import Graphs
from serve_app.protocol.metadata import VersionDescription
from serve_app.protocol.tensors import TensorSpec
from tests.unit.planes import plane, served

ROW = [[1.0, 2.0]]
HARD = {"dependency": "Hard"}
RESPONSE = {"data": "$response"}
ONE = VersionDescription([TensorSpec("x", "FP32", (-1, 2))], [TensorSpec("y", "FP32", (-1, 2))])


class Times:
    """One output: the input so many times."""

    def __init__(self, factor: float) -> None:
        self.factor, self.seen = factor, 0

    async def predict(self, version: str, inputs: dict, parameters: dict) -> dict:
        self.seen += 1
        (value,) = inputs.values()
        return {"y": value * np.float32(self.factor)}


def node(*steps: Any, kind: str = "Sequence") -> dict[str, Any]:
    """Each a model's name, or a step."""
    whole = [{"serviceName": one} if isinstance(one, str) else one for one in steps]
    return {"routerType": kind, "steps": whole}


def of(service: str, **more: Any) -> dict[str, Any]:
    """A step that asks a model."""
    return {"serviceName": service, **more}


BOTH = node({"serviceName": "a", "name": "one"}, "b", kind="Ensemble")


def graph(root: Any, name: str = "g", **nodes: Any) -> Graph:
    return parse(Graph, {"name": name, "nodes": {"root": root, **nodes}})


def with_graphs(*graphs: Graph, **backends: Any) -> tuple[DataPlane, Graphs]:
    """A plane of `graphs` over models of one input and one output."""
    made = plane()
    for name, backend in backends.items():
        about = ONE
        if isinstance(backend, tuple):
            backend, about = backend
        served(made, name, backend, about=about, versions=("1",))
    found = Graphs(made)
    found.configure(graphs)
    return made, found


async def ask(plane: DataPlane, document: Any, name: str = "g", headers: Headers | None = None) -> Any:
    """A V1 document's answer."""
    request = DocumentRequest(name, "", "", [], document=document)
    await plane.infer(Call(request, headers or Headers(), "http"))
    return request.answer
