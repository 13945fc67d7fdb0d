"""For which model a message is, read without decoding it."""

import pytest

from serve_app.protocol.grpc_codec import addressee
from serve_app.protocol.inference_pb2 import ModelInferRequest
from serve_app.protocol.wire import beginning


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"", {}), (b"\x0a\x01m\x12\x012", {1: b"m", 2: b"2"}),
        (b"\x12\x012\x0a\x01m", {1: b"m", 2: b"2"}),
        (b"\x2a\x00\x0a\x01m", {}), (b"\x08\x01\x0a\x01m", {}), (b"\x0a", {}), (b"\x0a\xff", {}),
        (b"\x0a\xff\xff\x03" + b"m" * 65535, {1: b"m" * 1024}),
        (b"\x0a\x01a\x0a\x01b\x0a\x01c\x0a\x01d", {1: b"c"}),
    ],
)  # fmt: skip
def test_what_a_message_begins_with(data, found):
    assert beginning(data, 3) == found


def test_whom_a_large_message_is_for_is_known_before_it_is_decoded():
    message = ModelInferRequest(model_name="m", model_version="7", id="a")
    message.inputs.add(name="x", datatype="FP32", shape=[1]).contents.fp32_contents.append(1)
    to = addressee(message.SerializeToString())
    assert to is not None
    assert (to.model, to.version) == ("m", "7")
    assert addressee(b"\x2a\x00" * 100) is None
    assert addressee(b"\x0a\x00" * 10_000_000) is None
