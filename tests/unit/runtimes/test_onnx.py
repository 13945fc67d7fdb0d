import gzip
import pickle

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from serve_app.config import ModelConfig, parse
from serve_app.demo.build import digits_split
from serve_app.errors import ConfigError
from serve_app.runtimes.base import create
from tests.unit.arrays import of_bytes
from tests.unit.runtimes.graphs import ONNX, runtime, tensor


def test_digits_equal_the_torch_model(demo_models):
    _, pixels, _, labels = digits_split()
    model = runtime(demo_models / "digits-onnx" / "1")
    model.load()
    got = model.predict({"pixels": pixels}, {})
    declared = {
        "inputs": [{"name": "pixels", "datatype": "FP32", "shape": [-1, 64]}],
        "outputs": [{"name": n, "datatype": "FP32", "shape": [-1]} for n in ("probabilities", "label")],
    }
    config = parse(ModelConfig, ONNX | declared | {"modelFormat": "torch"})
    torch = create(config, demo_models / "digits" / "2")
    torch.load()
    expected = torch.predict({"pixels": pixels}, {})
    assert np.allclose(got["probabilities"], expected["probabilities"], atol=1e-4)
    assert np.array_equal(got["label"], expected["label"])
    assert (got["label"] == labels).mean() >= 0.97


def test_metadata_is_read_off_the_graph(demo_models):
    example = [float(n) for n in range(64)]
    declared = [{"name": "pixels", "datatype": "FP32", "shape": [-1, 64], "example": example}]
    model = runtime(demo_models / "digits-onnx" / "1", inputs=declared)
    model.load()
    about = model.metadata()
    assert [(s.name, s.datatype, s.shape, s.example) for s in about.inputs] == [
        ("pixels", "FP32", (-1, 64), example)
    ]
    assert [(s.name, s.datatype, s.shape) for s in about.outputs] == [
        ("probabilities", "FP32", (-1, 10)), ("label", "INT64", (-1,)),
    ]  # fmt: skip
    model.close()


@pytest.mark.parametrize(
    ("kind", "datatype", "array"),
    [
        (TensorProto.BOOL, "BOOL", np.array([True, False])),
        (TensorProto.UINT8, "UINT8", np.array([0, 255], "u1")),
        (TensorProto.INT64, "INT64", np.array([-(2**63), 5])),
        (TensorProto.UINT64, "UINT64", np.array([2**64 - 1, 0], "u8")),
        (TensorProto.FLOAT16, "FP16", np.array([0.5, np.inf], "f2")),
        (TensorProto.DOUBLE, "FP64", np.array([0.1, -0.0])),
    ],
)  # fmt: skip
def test_datatypes_cross_unchanged(echo, kind, datatype, array):
    model = runtime(echo(("x", kind, ["n"])))
    model.load()
    assert [(s.datatype, s.shape) for s in model.metadata().inputs] == [(datatype, (-1,))]
    got = model.predict({"x": array}, {})["x_out"]
    assert got.dtype == array.dtype
    assert got.tobytes() == array.tobytes()


def test_strings_cross_as_text(echo):
    model = runtime(echo(("x", TensorProto.STRING, [2, "n"])))
    model.load()
    got = model.predict({"x": of_bytes([b"a", "é".encode()], (2, 1))}, {})["x_out"]
    assert got.tolist() == [["a"], ["é"]]


def test_a_type_that_v2_cannot_carry(tmp_path):
    sequence = helper.make_tensor_sequence_value_info("x", TensorProto.FLOAT, ["n"])
    node = helper.make_node("SequenceLength", ["x"], ["y"])
    graph = helper.make_graph([node], "sequence", [sequence], [tensor("y", TensorProto.INT64, [])])
    opset = helper.make_opsetid("", 17)
    onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=9), tmp_path / "model.onnx")
    model = runtime(tmp_path)
    model.load()
    with pytest.raises(
        ConfigError, match=r"tensor 'x' is a seq\(tensor\(float\)\), which V2 can't carry"
    ):
        model.metadata()


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        (
            {"name": "y", "datatype": "FP32", "shape": [-1]},
            "inputs: 'y' is not in the graph, which has x",
        ),
        (
            {"name": "x", "datatype": "FP64", "shape": [-1]},
            r"'x' is FP32 \[-1\] in the graph, declared FP64",
        ),
        ({"name": "x", "datatype": "FP32", "shape": [-1, 2]}, r"declared FP32 \[-1, 2\]"),
    ],
)
def test_a_declaration_that_contradicts_the_graph(echo, declared, message):
    model = runtime(echo(("x", TensorProto.FLOAT, ["n"])), inputs=[declared])
    model.load()
    with pytest.raises(ConfigError, match=message):
        model.metadata()


def test_what_is_no_onnx_model(tmp_path):
    with pytest.raises(ConfigError, match=r"exactly one of model.onnx, found none"):
        runtime(tmp_path).load()
    (tmp_path / "model.onnx").write_bytes(b"not onnx")
    with pytest.raises(ConfigError, match="onnxruntime can't load it"):
        runtime(tmp_path).load()


PICKLED = pickle.dumps([1])


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "the file is empty"),
        (PICKLED, r"it is a pickle, which is not loaded; .*skl2onnx.to_onnx"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a",
            "pointer of Git LFS.*git lfs pull",
        ),
        (gzip.compress(b"x", mtime=0), "compressed by gzip"),
        (b"<!doctype html><title>404</title>", "it is HTML"),
        (b"\x08\x0a\x12\x40cut", "it was cut off, or is no ONNX model"),
    ],
)
def test_files_that_are_something_else_are_named_for_what_they_are(tmp_path, content, says):
    (tmp_path / "model.onnx").write_bytes(content)
    with pytest.raises(ConfigError, match=says):
        runtime(tmp_path).load()


def test_a_gpu_that_onnxruntime_does_not_have(demo_models):
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this onnxruntime has CUDA")
    model = create(parse(ModelConfig, ONNX), demo_models / "digits-onnx" / "1", gpu=True)
    with pytest.raises(ConfigError, match="install onnxruntime-gpu"):
        model.load()
