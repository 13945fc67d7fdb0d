"""Graphs as others write them: scikit-learn's maps, odd outputs, unknown shapes, BF16, weights."""

import asyncio

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from skl2onnx import to_onnx
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from serve_app.config import ModelConfig, parse
from serve_app.errors import ConfigError, InvalidArgument
from serve_app.runtimes.host import ModelHost
from tests.unit.arrays import of_bytes
from tests.unit.runtimes.graphs import ONNX, load, tensor, write


@pytest.mark.parametrize(
    "names", [[0, 1, 2], ["setosa", "versicolor", "virginica"]], ids=["int", "text"]
)
def test_scikit_learns_default_export(tmp_path, names):
    """ZipMap's maps are a column for each class, as `predict_proba` has them."""
    data, target = load_iris(return_X_y=True)
    rows = data.astype(np.float32)
    classifier = LogisticRegression(max_iter=500).fit(rows, np.array(names)[target])
    (tmp_path / "model.onnx").write_bytes(to_onnx(classifier, rows[:1]).SerializeToString())
    model, about = load(tmp_path)
    assert [(one.name, one.datatype, one.shape) for one in about.outputs] == [
        ("output_label", "BYTES" if isinstance(names[0], str) else "INT64", (-1,)),
        ("output_probability", "FP32", (-1, -1)),
    ]
    found = model.predict({"X": rows}, {})
    assert found["output_label"].tolist() == classifier.predict(rows).tolist()
    assert found["output_probability"].dtype == np.float32
    assert np.allclose(found["output_probability"], classifier.predict_proba(rows), atol=1e-5)
    assert model.predict({"X": rows[:1]}, {})["output_probability"].shape == (1, 3)
    assert model.predict({"X": rows[:0]}, {})["output_probability"].shape == (0, 0)


def test_its_labels_alone_where_the_configuration_asks_for_no_more(tmp_path):
    rows = np.array([[0.0], [1.0]], np.float32)
    classifier = LogisticRegression().fit(rows, [0, 1])
    (tmp_path / "model.onnx").write_bytes(to_onnx(classifier, rows[:1]).SerializeToString())
    label = {"name": "output_label", "datatype": "INT64", "shape": [-1]}
    model, about = load(tmp_path, outputs=[label])
    assert [one.name for one in about.outputs] == ["output_label"]
    assert list(model.predict({"X": rows}, {})) == ["output_label"]


def test_in_batches(tmp_path):
    """What the host checks of an answer holds for the probabilities, too."""
    rows = np.array([[0.0], [1.0]], np.float32)
    folder = tmp_path / "1"
    folder.mkdir()
    classifier = LogisticRegression().fit(rows, [0, 1])
    (folder / "model.onnx").write_bytes(to_onnx(classifier, rows[:1]).SerializeToString())
    config = parse(ModelConfig, ONNX | {"name": "iris", "storageUri": str(tmp_path)})
    host = ModelHost(config)
    host.load()
    found = asyncio.run(host.predict("1", {"X": rows}, {}))
    assert found["output_probability"].shape == (2, 2)
    host.close()


SEQUENCE = helper.make_tensor_sequence_value_info("many", TensorProto.FLOAT, None)
MAYBE = helper.make_value_info(
    "maybe", helper.make_optional_type_proto(helper.make_tensor_type_proto(TensorProto.FLOAT, ["n"]))
)


@pytest.fixture
def odd(tmp_path):
    """A graph with a tensor, a sequence and an optional tensor as outputs."""
    nodes = [
        helper.make_node("Identity", ["x"], ["y"]),
        helper.make_node("SequenceConstruct", ["x"], ["many"]),
        helper.make_node("Optional", ["x"], ["maybe"]),
    ]
    x, y = (tensor(name, TensorProto.FLOAT, ["n"]) for name in "xy")
    return write(tmp_path, nodes, [x], [y, SEQUENCE, MAYBE])


def test_outputs_that_nobody_asks_for_may_be_anything(odd, caplog):
    model, about = load(odd)
    assert [one.name for one in about.outputs] == ["y"]
    assert model.predict({"x": np.ones(2, "f4")}, {})["y"].tolist() == [1, 1]
    assert "output 'many' is left out: it is a seq(tensor(float))" in caplog.text
    assert "output 'maybe' is left out: it is a optional(tensor(float))" in caplog.text


@pytest.mark.parametrize(("name", "kind"), [("many", "seq"), ("maybe", "optional")])
def test_those_that_the_configuration_asks_for_may_not(odd, name, kind):
    wanted = {"name": name, "datatype": "FP32", "shape": [-1]}
    with pytest.raises(ConfigError, match=rf"tensor '{name}' is a {kind}\(tensor\(float\)\), which V2"):
        load(odd, outputs=[wanted])


def test_a_graph_without_any_tensor_to_answer_with(tmp_path):
    x = tensor("x", TensorProto.FLOAT, ["n"])
    write(tmp_path, [helper.make_node("SequenceConstruct", ["x"], ["many"])], [x], [SEQUENCE])
    with pytest.raises(ConfigError, match="tensor 'many' is a seq"):
        load(tmp_path)


def test_maps_that_are_no_probabilities_name_zipmap(tmp_path):
    """As DictVectorizer takes them, say."""
    kind = onnx.TypeProto()
    kind.map_type.key_type = TensorProto.STRING
    kind.map_type.value_type.CopyFrom(helper.make_tensor_type_proto(TensorProto.FLOAT, []))
    vector = helper.make_node(
        "DictVectorizer", ["x"], ["y"], domain="ai.onnx.ml", string_vocabulary=["a"]
    )
    x, y = helper.make_value_info("x", kind), tensor("y", TensorProto.FLOAT, [1, 1])
    with pytest.raises(
        ConfigError, match=r"tensor 'x' is a map\(string,tensor\(float\)\).*zipmap=False"
    ):
        load(write(tmp_path, [vector], [x], [y]))


@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (0, 4, 1)], ids=str)
def test_a_shape_that_the_graph_does_not_say(echo, shape):
    model, about = load(echo(("x", TensorProto.FLOAT, None)))
    for spec in (*about.inputs, *about.outputs):
        assert spec.accepts(shape)
    assert model.predict({"x": np.zeros(shape, "f4")}, {})["x_out"].shape == shape
    model.warm_up({"x": np.zeros(1, "f4")})


def test_one_that_the_configuration_says_then(echo):
    declared = {"name": "x", "datatype": "FP32", "shape": [-1, 4]}
    _, about = load(echo(("x", TensorProto.FLOAT, None)), inputs=[declared])
    assert (about.inputs[0].shape, about.inputs[0].accepts((4,))) == ((-1, 4), False)


def test_symbolic_sizes_are_open(echo):
    _, about = load(echo(("x", TensorProto.FLOAT, ["rows", 2, None])))
    assert about.inputs[0].shape == (-1, 2, -1)


@pytest.mark.parametrize("shape", [(), (3,), (2, 2), (0, 2)], ids=str)
def test_bf16(echo, shape):
    model, about = load(
        echo(("x", TensorProto.BFLOAT16, ["n"] * len(shape)), ("z", TensorProto.FLOAT, [1]))
    )
    assert [spec.datatype for spec in (*about.inputs, *about.outputs)] == ["BF16", "FP32"] * 2
    given = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(ml_dtypes.bfloat16)
    given.flags.writeable = False
    found = model.predict({"x": given, "z": np.ones(1, "f4")}, {})
    assert (found["x_out"].dtype, found["x_out"].tolist()) == (given.dtype, given.tolist())
    assert found["z_out"].tolist() == [1]
    if len(shape) == 2:
        assert (
            model.predict({"x": given.T, "z": np.ones(1, "f4")}, {})["x_out"].tolist()
            == given.T.tolist()
        )


def test_bf16_beside_what_numpy_knows(tmp_path):
    """Only one side is BF16; strings beside it are more than onnxruntime takes."""
    x, y = tensor("x", TensorProto.FLOAT, ["n"]), tensor("y", TensorProto.BFLOAT16, ["n"])
    cast = helper.make_node("Cast", ["x"], ["y"], to=TensorProto.BFLOAT16)
    model, _ = load(write(tmp_path, [cast], [x], [y]))
    assert model.predict({"x": np.array([1.5], "f4")}, {})["y"].tolist() == [1.5]
    text = [tensor(name, TensorProto.STRING, ["n"]) for name in ("s", "t")]
    write(tmp_path, [cast, helper.make_node("Identity", ["s"], ["t"])], [x, text[0]], [y, text[1]])
    with pytest.raises(ConfigError, match="takes no strings beside tensors of BF16"):
        load(tmp_path)


@pytest.fixture
def weighted(tmp_path):
    """y = x + w, where w has a value that callers may replace."""
    x, w, y = (
        tensor(name, TensorProto.FLOAT, shape)
        for name, shape in (("x", ["n", 2]), ("w", [2]), ("y", ["n", 2]))
    )
    weight = helper.make_tensor("w", TensorProto.FLOAT, [2], [1.0, 2.0])
    return write(tmp_path, [helper.make_node("Add", ["x", "w"], ["y"])], [x, w], [y], [weight])


def test_initializers_that_callers_may_replace(weighted):
    model, about = load(weighted)
    assert [(one.name, one.shape, one.optional) for one in about.inputs] == [
        ("x", (-1, 2), False), ("w", (2,), True),
    ]  # fmt: skip
    zeros = np.zeros((1, 2), "f4")
    assert model.predict({"x": zeros}, {})["y"].tolist() == [[1, 2]]
    assert model.predict({"x": zeros, "w": np.array([5, 6], "f4")}, {})["y"].tolist() == [[5, 6]]


def test_no_rows_of_a_batch_have_weights_of_their_own(weighted):
    _, about = load(weighted, batching={"maxBatchSize": 8})
    assert [one.name for one in about.inputs] == ["x"]


def test_inputs_that_are_optional_in_the_graph(tmp_path):
    maybe = helper.make_value_info(
        "x", helper.make_optional_type_proto(helper.make_tensor_type_proto(TensorProto.FLOAT, ["n"]))
    )
    has = helper.make_node("OptionalHasElement", ["x"], ["y"])
    model, about = load(write(tmp_path, [has], [maybe], [tensor("y", TensorProto.BOOL, [])]))
    assert [(one.datatype, one.optional) for one in about.inputs] == [("FP32", True)]
    assert model.predict({}, {})["y"].tolist() is False
    assert model.predict({"x": np.ones(1, "f4")}, {})["y"].tolist() is True


def test_bytes_that_are_no_text_are_the_callers_fault(echo):
    model, about = load(echo(("x", TensorProto.STRING, ["n"])))
    assert about.inputs[0].text  # so it is refused before it is in a batch
    with pytest.raises(InvalidArgument, match="tensor 'x' is not valid UTF-8"):
        model.predict({"x": of_bytes([b"\xff"], (1,))}, {})
