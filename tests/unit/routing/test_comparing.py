"""Two answers held against each other. Tolerances by type are `torch.testing.assert_close`'s."""

import math
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch

from serve_app.config import Tolerance
from serve_app.routing.comparing import _AS_CLOSE, Compared, compare, cosines, failures

NAN, INF = math.nan, math.inf


def f32(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float32)


def texts(*values: str) -> np.ndarray:
    array = np.empty(len(values), dtype=object)
    array[:] = [value.encode() for value in values]
    return array


def one(a: np.ndarray, b: np.ndarray, **tolerance: Any) -> Compared:
    return compare({"y": a}, {"y": b}, {"y": Tolerance(**tolerance)})


KINDS = {
    "FP16": (torch.float16, np.float16), "BF16": (torch.bfloat16, ml_dtypes.bfloat16),
    "FP32": (torch.float32, np.float32), "FP64": (torch.float64, np.float64),
}  # fmt: skip


@pytest.mark.parametrize("name", KINDS)
def test_what_nothing_is_said_of_is_as_close_as_torch_has_it(name: str) -> None:
    (rtol, atol), (theirs, ours) = _AS_CLOSE[name], KINDS[name]
    verdicts = []
    for share in (0.0, 0.5, 2.0):
        a, b = (torch.tensor([x], dtype=theirs) for x in (1024.0, 1024 * (1 + share * rtol)))
        try:
            torch.testing.assert_close(b, a)  # `expected` is the second
            close = True
        except AssertionError:
            close = False
        mine = [value.to(torch.float64).numpy().astype(ours) for value in (a, b)]
        assert one(*mine).same is close
        verdicts.append(close)
    assert verdicts == [True, True, False]
    assert atol > 0


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        (NAN, NAN, True), (NAN, 1.0, False), (1.0, NAN, False), (INF, INF, True), (-INF, -INF, True),
        (INF, -INF, False), (INF, 1.0, False), (1.0, INF, False), (NAN, INF, False), (0.0, -0.0, True),
    ],
)  # fmt: skip
def test_what_is_no_number(a: float, b: float, same: bool) -> None:
    assert one(f32(a), f32(b)).same is same
    assert one(f32(a), f32(b), rtol=0.5, atol=10).same is same  # however loose


def test_the_relative_tolerance_is_the_answers() -> None:
    assert one(f32(100), f32(110), rtol=0.1).same
    assert not one(f32(110), f32(100), rtol=0.09).same
    assert one(f32(0), f32(0.5), atol=0.5).same
    assert not one(f32(0), f32(0.5), rtol=10).same


def test_a_difference_says_where_and_how_much() -> None:
    a = np.zeros((2, 3), np.float32)
    b = a.copy()
    b[1, 2], b[0, 0] = 0.75, 0.25
    (found,) = one(a, b).differences
    assert (found.output, found.kind, found.worst) == ("y", "value", 0.75)
    assert found.text.startswith("2 of 6 elements by more than")
    assert "most at [1, 2], by 0.75" in found.text
    assert found.shown == "0 and 0.75"
    assert "0.75" not in found.text.replace("by 0.75", "")


def test_where_it_is_infinite() -> None:
    (found,) = one(f32(1, 2), f32(1, NAN)).differences
    assert found.worst == INF
    assert "[1]" in found.text


def test_far_into_a_large_one() -> None:
    a = np.zeros(100_001, np.float32)
    b = a.copy()
    b[-1] = 1
    (found,) = one(a, b).differences
    assert "1 of 100001" in found.text
    assert "[100000]" in found.text


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, np.bool_])
def test_labels_are_exact(dtype: Any) -> None:
    a = np.array([1, 0, 1], dtype=dtype)
    b = np.array([1, 1, 1], dtype=dtype)
    assert one(a, a.copy()).same
    (found,) = one(a, b).differences
    assert (found.kind, found.worst) == ("value", 1 / 3)
    assert found.text == "1 of 3 elements, the first at [1]"


def test_large_whole_numbers_aren_t_rounded() -> None:
    a = np.array([2**63 - 1], np.int64)
    assert not one(a, a - 1).same


def test_whole_numbers_with_a_tolerance() -> None:
    assert one(np.array([10]), np.array([11]), atol=1).same
    assert not one(np.array([10]), np.array([12]), atol=1).same
    assert one(np.array([0], np.uint8), np.array([1], np.uint8), atol=1).same  # nothing wraps around


def test_texts_are_exact() -> None:
    assert one(texts("a", "b"), texts("a", "b")).same
    (found,) = one(texts("a", "b"), texts("a", "c")).differences
    assert (found.kind, found.text) == ("text", "1 of 2 elements, the first at [1]")
    assert found.shown == "'b' and 'c'"
    assert one(np.array(["a"]), np.array(["a"])).same  # as a class of one's own may give them
    assert not one(np.array(["a"]), np.array(["b"])).same


def test_shapes_datatypes_and_names() -> None:
    assert one(f32(1, 2), f32(1)).differences[0].kind == "shape"
    (found,) = one(f32(1), np.array([1.0])).differences
    assert (found.kind, found.text) == ("datatype", "FP32 and FP64")
    found_names = compare({"a": f32(1), "b": f32(1)}, {"b": f32(1), "c": f32(1)}, {})
    assert [(d.output, d.kind, d.text) for d in found_names.differences] == [
        ("a", "output", "only the answer has it"), ("c", "output", "only the copy has it"),
    ]  # fmt: skip


def test_what_is_ignored() -> None:
    ignored = {"y": Tolerance(ignore=True)}
    assert compare({"y": f32(1)}, {"y": f32(2)}, ignored).same
    assert compare({"y": f32(1)}, {}, ignored).same


def test_nothing_at_all_is_the_same() -> None:
    assert one(f32(), f32()).same
    assert one(texts(), texts()).same
    assert one(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.float32), cosine=0.9).same
    assert one(np.float32(1).reshape(()), np.float32(1).reshape(())).same  # type: ignore[arg-type]
    (found,) = one(np.array(1.0), np.array(2.0)).differences
    assert "at []" in found.text


@pytest.mark.parametrize(
    ("a", "b", "cosine"),
    [
        ((1, 0), (1, 0), 1), ((1, 0), (2, 0), 1), ((1, 0), (0, 1), 0), ((1, 0), (-1, 0), -1),
        ((1, 1), (1, 0), math.sqrt(0.5)), ((0, 0), (0, 0), 1), ((0, 0), (1, 0), 0),
        ((NAN, 1), (1, 1), 0), ((NAN, 1), (NAN, 1), 1), ((INF, 0), (1, 0), 0),
        ((1e30, 1e30), (1e-30, 1e-30), 1),
    ],
)  # fmt: skip
def test_the_angle_of_two(a: Any, b: Any, cosine: float) -> None:
    assert cosines(f32(*a)[None], f32(*b)[None])[0] == pytest.approx(cosine, abs=1e-7)


def test_embeddings_by_their_angle() -> None:
    a = np.random.default_rng(0).normal(size=(4, 384)).astype(np.float32)
    assert one(a, a * 3, cosine=0.9999).same
    b = a.copy()
    b[2] = -b[2]
    (found,) = one(a, b, cosine=0.9).differences
    assert found.worst == pytest.approx(2)
    assert found.text == "cosine -1 at [2], 0.9 is asked for"


def test_texts_that_were_written() -> None:
    said, other = texts("the cat sat on the mat"), texts("the cat lay on a mat")
    found = compare({"text_output": said}, {"text_output": other}, {}, generated=True)
    assert not found.same  # exact where nothing is said
    assert found.texts is not None
    assert (found.texts.common, found.texts.longer) == (2, 6)
    loose = {"text_output": Tolerance(agreement=0.3)}
    assert compare({"text_output": said}, {"text_output": other}, loose, generated=True).same
    strict = {"text_output": Tolerance(agreement=0.5)}
    (one_,) = compare({"text_output": said}, {"text_output": other}, strict, generated=True).differences
    assert (one_.kind, one_.worst) == ("text", pytest.approx(2 / 3))
    assert compare({"y": said}, {"y": other}, {"y": Tolerance(agreement=0.3)}).texts is None


def test_errors_are_differences_of_their_own() -> None:
    assert failures("ModelFailed", "ModelFailed").same
    for pair, side in (
        (("ModelFailed", ""), "answer"), (("", "ModelFailed"), "copy"),
        (("ModelFailed", "InvalidArgument"), "both"),
    ):  # fmt: skip
        (found,) = failures(*pair).differences
        assert (found.output, found.kind) == (side, "error")
