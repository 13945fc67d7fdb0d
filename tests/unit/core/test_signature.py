import asyncio

import pytest

from serve_app.core.signature import validated
from serve_app.errors import InvalidArgument
from serve_app.protocol.metadata import VersionDescription
from serve_app.protocol.tensors import TensorSpec
from tests.unit.planes import DECLARED, UNDECLARED, call, plane, request, served, tensor

ROW = [[1.0, 2.0]]


def test_arrays_come_in_the_declared_order_and_optional_ones_may_be_absent():
    specs = [TensorSpec("a", "FP32", (1,)), TensorSpec("b", "INT8", (-1,), optional=True)]
    version = VersionDescription(specs, [])
    b, a = tensor([1], "b", "INT8"), tensor([1], "a")
    assert list(validated(request(b, a), version)) == ["a", "b"]
    assert list(validated(request(a), version)) == ["a"]
    assert list(validated(request(b, a), UNDECLARED)) == ["b", "a"]


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ([], r"'x' is missing: expected FP32 \[-1, 2\]"),
        ([tensor(ROW, "X")], "'x' is missing"),
        ([tensor(ROW), tensor(ROW, "w")], "'w' is not an input of this model: expected x"),
        ([tensor(ROW), tensor(ROW)], "'x' is given twice"),
        ([tensor(ROW, datatype="FP64")], "'x': expected datatype FP32, got FP64"),
        ([tensor([1, 2])], r"'x': expected shape \[-1, 2\] \(-1 is any\), got \[2\]"),
        ([tensor([[1, 2, 3]])], r"got \[1, 3\]"),
        ([tensor(1.0)], r"got \[\]"),
    ],
)
def test_wrong_tensors_are_named(tensors, message):
    with pytest.raises(InvalidArgument, match=message):
        validated(request(*tensors), DECLARED)


def test_a_tensor_given_twice_is_refused_even_when_undeclared():
    with pytest.raises(InvalidArgument, match="given twice"):
        validated(request(tensor(1), tensor(2)), UNDECLARED)


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ([b"a", b"\xff"], "'t': element 1 is not valid UTF-8: invalid start byte at byte 0"),
        ([b"ab\xc3", b"\xa4"], "'t': element 0 is not valid UTF-8: unexpected end of data at byte 2"),
        ([b"", b"\xa4"], "'t': element 1 is not valid UTF-8"),
    ],
)
def test_text_that_is_none_is_refused_before_it_is_in_a_batch(items, message):
    text = VersionDescription([TensorSpec("t", "BYTES", (-1,), text=True)], [])
    given = tensor(items, "t", "BYTES")
    with pytest.raises(InvalidArgument, match=message):
        validated(request(given), text)
    assert validated(request(given), VersionDescription([TensorSpec("t", "BYTES", (-1,))], []))
    good = tensor([b"a\n", "\u00e4\U0001f600".encode(), b""], "t", "BYTES")
    assert validated(request(good), text)["t"] is good.data


async def test_who_sends_what_is_no_text_spoils_nobody_s_batch():
    made = plane()
    about = VersionDescription([TensorSpec("t", "BYTES", (-1,), text=True)], [])
    backend = Texts()
    served(made, backend=backend, about=about, versions=("1",), max_batch_size=8)
    texts = [b"a", b"b", b"\xff", b"c"]
    found = await asyncio.gather(
        *(made.infer(call(tensor([text], "t", "BYTES"))) for text in texts), return_exceptions=True
    )
    assert [isinstance(one, InvalidArgument) for one in found] == [False, False, True, False]
    assert b"\xff" not in backend.seen


class Texts:
    """Echoes, and keeps what it got."""

    def __init__(self) -> None:
        self.seen: list[bytes] = []

    async def predict(self, version, inputs, parameters):
        self.seen += inputs["t"].tolist()
        await asyncio.sleep(0)
        return inputs
