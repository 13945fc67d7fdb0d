"""Small ONNX graphs, written for a test, and runtimes of them."""

import onnx
from onnx import helper

from serve_app.config import ModelConfig, parse
from serve_app.runtimes.base import create

ONNX = {"modelFormat": "onnx", "storageUri": "unused", "options": {"threads": 1}}


def runtime(folder, **changes):
    return create(parse(ModelConfig, ONNX | changes), folder)


def tensor(name: str, kind: int, shape: list):
    return helper.make_tensor_value_info(name, kind, shape)


def load(folder, **changes):
    """A runtime that has loaded what lies in `folder`, and what it says of itself."""
    model = runtime(folder, **changes)
    model.load()
    return model, model.metadata()


def write(folder, nodes, inputs, outputs, weights=(), opset: int = 18):
    """A graph of `nodes` in `folder`."""
    graph = helper.make_graph(nodes, "test", inputs, outputs, list(weights))
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("ai.onnx.ml", 3)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), folder / "model.onnx")
    return folder
