"""ONNX graphs for several modules."""

import pytest
from onnx import helper

from tests.unit.runtimes.explained import Loaded
from tests.unit.runtimes.graphs import tensor, write


@pytest.fixture
def echo(tmp_path):
    """Writes a graph that gives back inputs of some types and shapes."""

    def made(*inputs):
        nodes = [helper.make_node("Identity", [name], [f"{name}_out"]) for name, _, _ in inputs]
        outputs = [tensor(f"{name}_out", kind, shape) for name, kind, shape in inputs]
        return write(tmp_path, nodes, [tensor(*one) for one in inputs], outputs)

    return made


@pytest.fixture
def load():
    """Explainers, closed at the end."""
    made = []

    def loaded(**args):
        made.append(Loaded(**args))
        return made[-1]

    yield loaded
    for one in made:
        one.host.close()
