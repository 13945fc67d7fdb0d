"""Columns become a model's inputs, or say why not; outputs become columns."""

import io
from typing import Any

import ml_dtypes
import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from serve_app.errors import ConfigError, InvalidArgument
from serve_app.protocol.tensors import TensorSpec
from serve_app.tools.batch.columns import array_of, column_of, feeds

TEXT = TensorSpec("text", "BYTES", (-1,), text=True)
PIXELS = TensorSpec("pixels", "FP32", (-1, 4))


def test_columns_are_found_by_name_else_the_only_one() -> None:
    assert feeds([TEXT], ["review"], {}) == {"text": "review"}
    assert feeds([TEXT, PIXELS], ["pixels", "text", "id"], {}) == {"text": "text", "pixels": "pixels"}
    assert feeds([TEXT], ["a", "b"], {"text": "b"}) == {"text": "b"}
    assert feeds([], ["a", "b"], {"x": "b"}) == {"a": "a", "x": "b"}
    optional = TensorSpec("more", "FP32", (-1,), optional=True)
    assert feeds([TEXT, optional], ["text"], {}) == {"text": "text"}


@pytest.mark.parametrize(
    ("columns", "named", "words"),
    [
        (["a", "b"], {}, "no column for the model's input 'text': the columns are a, b"),
        (["a"], {"txet": "a"}, "no such input; did you mean text"),
        (["review"], {"text": "reviw"}, "no such column; did you mean review"),
    ],
)
def test_columns_that_are_not_there(columns: list[str], named: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        feeds([TEXT], columns, named)


@pytest.mark.parametrize(
    ("column", "spec", "wanted"),
    [
        (pa.array(["a", "é"]), TEXT, [b"a", "é".encode()]),
        (pa.array([[1, 2, 3, 4]]), PIXELS, [[1.0, 2.0, 3.0, 4.0]]),
        (pa.array([[1, 2, 3, 4]], pa.list_(pa.int64(), 4)), PIXELS, [[1.0, 2.0, 3.0, 4.0]]),
        (pa.array([[[1, 2], [3, 4]]]), PIXELS, [[1.0, 2.0, 3.0, 4.0]]),  # as many elements
        (pa.array([1.0, 2.0]), TensorSpec("x", "INT64", (-1, 1)), [[1], [2]]),
        (pa.array([True, False]), TensorSpec("x", "BOOL", (-1,)), [True, False]),
        (pa.array([1, 2]), None, [1, 2]),
    ],
)
def test_columns_as_arrays(column: Any, spec: TensorSpec | None, wanted: list[Any]) -> None:
    assert array_of(column, spec, "c").tolist() == wanted
    longer = pa.concat_arrays([column, column]).slice(len(column))  # a slice knows where it begins
    assert array_of(longer, spec, "c").tolist() == wanted


@pytest.mark.parametrize(
    ("column", "spec", "words"),
    [
        (pa.array(["a", None]), TEXT, "'c' is null"),
        (pa.array([b"\xff"]), TEXT, "'c' is not UTF-8"),
        (pa.array([1]), TEXT, "takes BYTES"),
        (pa.array([[1, 2], [1]]), PIXELS, "lists of 1 to 2 elements"),
        (pa.array([[1, None, 3, 4]]), PIXELS, "holds a null"),
        (pa.array([[1, 2, 3]]), PIXELS, r"shape \[3\], and the input 'pixels' takes \[4\]"),
        (pa.array([1.5]), TensorSpec("x", "INT64", (-1,)), "INT64 can't hold"),
        (pa.array([300]), TensorSpec("x", "UINT8", (-1,)), "UINT8 can't hold"),
        (pa.array([{"a": 1}]), PIXELS, "of which there are no tensors"),
        (pa.array([b"no image"]), PIXELS, "no image that can be read"),
    ],
)
def test_columns_that_do_not_fit(column: Any, spec: TensorSpec, words: str) -> None:
    with pytest.raises(InvalidArgument, match=words):
        array_of(column, spec, "c")


def png(mode: str, width: int, height: int, colour: Any) -> bytes:
    out = io.BytesIO()
    Image.new(mode, (width, height), colour).save(out, "PNG")
    return out.getvalue()


@pytest.mark.parametrize(
    ("shape", "wanted"),
    [
        ((-1, 2, 5), (1, 2, 5)), ((-1, 3, 2, 5), (1, 3, 2, 5)), ((-1, 2, 5, 3), (1, 2, 5, 3)),
        ((-1, 1, 2, 5), (1, 1, 2, 5)), ((-1, 2, 5, 1), (1, 2, 5, 1)), ((-1, 10), (1, 10)),
        ((-1, -1, -1), (1, 2, 5)),
    ],
)  # fmt: skip
def test_images_have_the_layout_of_the_input(shape: tuple[int, ...], wanted: tuple[int, ...]) -> None:
    image = pa.array([png("RGB", 5, 2, (10, 20, 30))])
    found = array_of(image, TensorSpec("image", "FP32", shape), "image")
    assert found.shape == wanted
    assert found.dtype == np.float32
    if wanted == (1, 3, 2, 5):
        assert found[0, :, 0, 0].tolist() == [10, 20, 30]
    if wanted == (1, 2, 5, 3):
        assert found[0, 0, 0].tolist() == [10, 20, 30]


def test_images_of_several_sizes_are_scaled() -> None:
    images = pa.array([png("L", 3, 2, 5), png("L", 8, 8, 5)])
    spec = TensorSpec("image", "UINT8", (-1, 4, 6))
    with pytest.raises(InvalidArgument, match="several sizes; --image-size"):
        array_of(images, spec, "image")
    assert array_of(images, spec, "image", (4, 6)).tolist() == np.full((2, 4, 6), 5).tolist()
    raw = array_of(images, TensorSpec("image", "BYTES", (-1,)), "image")
    assert raw[0].startswith(b"\x89PNG")  # for a model that decodes by itself


@pytest.mark.parametrize(
    ("array", "spec", "kind"),
    [
        (np.zeros(2, np.float32), None, pa.float32()),
        (np.zeros((2, 3), np.float32), None, pa.list_(pa.float32())),
        (np.zeros((2, 3), np.float32), TensorSpec("y", "FP32", (-1, 3)), pa.list_(pa.float32(), 3)),
        (np.zeros((2, 3), np.float32), TensorSpec("y", "FP32", (-1, -1)), pa.list_(pa.float32())),
        (np.zeros((2, 0), np.int8), None, pa.list_(pa.int8())),
        (np.zeros((2, 3, 4), np.int64), None, pa.list_(pa.list_(pa.int64()))),
        (np.zeros(2, ml_dtypes.bfloat16), None, pa.float32()),
        (np.array([b"a", b"b"], object), None, pa.string()),
        (np.array([b"a", b"\xff"], object), None, pa.binary()),
    ],
)
def test_outputs_as_columns(array: np.ndarray, spec: TensorSpec | None, kind: Any) -> None:
    column = column_of(array, spec)
    assert column.type == kind
    assert len(column) == 2
    if array.dtype != object:
        assert column.to_pylist() == array.astype(np.float64).tolist()
