import numpy as np
import pytest

from serve_app.protocol.elements import to_array
from serve_app.protocol.metadata import Duration, example_input, example_inputs
from serve_app.protocol.tensors import TensorSpec
from tests.unit.arrays import DATATYPES
from tests.unit.engines import ENGINE, OPEN


@pytest.mark.parametrize("datatype", DATATYPES)
@pytest.mark.parametrize("shape", [(), (-1,), (3,), (-1, 4), (2, -1, -1), (0,), (-1, 0), (0, 4)])
def test_every_declaration_has_a_runnable_example(datatype, shape):
    spec = TensorSpec("x", datatype, shape)
    entry = example_input(spec)
    array = to_array(entry["data"], entry["datatype"], tuple(entry["shape"]), "x")
    assert spec.accepts(array.shape)


def test_an_example_decides_the_open_dimension():
    entry = example_input(TensorSpec("x", "INT32", (-1, 2), example=[1, 2, 3, 4, 5, 6]))
    assert (entry["shape"], entry["data"]) == ([3, 2], [1, 2, 3, 4, 5, 6])
    assert example_input(TensorSpec("x", "INT32", (2,), example=[8, 9]))["shape"] == [2]


def test_optional_inputs_need_no_example():
    specs = [TensorSpec("a", "FP32", (1,)), TensorSpec("b", "FP32", (1,), optional=True)]
    assert [entry["name"] for entry in example_inputs(specs)] == ["a"]


@pytest.mark.parametrize(
    ("declared", "shape", "fits"),
    [
        ((), (), True), ((), (1,), False), ((-1,), (0,), True), ((-1,), (7,), True),
        ((-1,), (1, 1), False),
        ((2, -1), (2, 9), True), ((2, -1), (3, 9), False), ((0,), (0,), True), ((0,), (1,), False),
    ],
)  # fmt: skip
def test_minus_one_accepts_any_size(declared, shape, fits):
    assert TensorSpec("x", "FP32", declared).accepts(np.zeros(shape).shape) is fits


def test_durations_add_up():
    total = Duration()
    total.add(5)
    total.add(10, 3)
    assert total == Duration(count=4, ns=15)


@pytest.mark.parametrize(
    ("name", "known"),
    [("m:rhyme", True), ("m:v1.2:rhyme-3_x", True), ("m", False), ("m:", False), ("n:rhyme", False),
     ("m:..", False), ("m:../x", False), ("m:a/b", False), ("m:a:", False), ("m:é", False),
     ("m:a\r\nb", False), ("m:a\n", False), (5, False), (None, False)],
)  # fmt: skip
def test_adapters_are_folders_of_a_bucket(name, known):
    assert OPEN.loads(name) is known
    assert not ENGINE.loads(name)
