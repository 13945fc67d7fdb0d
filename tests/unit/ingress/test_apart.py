"""Large bodies, decoded in a process apart: what comes back is what is decoded here."""

import asyncio
import gzip
import json
import os
import signal
import zlib

import httpx
import numpy as np
import orjson
import pytest

from serve_app.config import Limits
from serve_app.core.call import NO_HEADERS, Headers
from serve_app.errors import InvalidArgument, Overloaded, TooLarge, Unavailable
from serve_app.ingress import apart as module
from serve_app.ingress.apart import LARGE, Apart
from serve_app.ingress.decoders import decoded
from serve_app.ingress.grpc import Servicer
from serve_app.ingress.rest import RestApp
from serve_app.protocol import client, codings, grpc_codec, rest_codec
from serve_app.protocol.inference_pb2 import ModelInferRequest
from serve_app.protocol.metadata import VersionDescription
from serve_app.protocol.tensors import TensorSpec
from tests.unit.planes import UNDECLARED, Echo, heard, plane, served

MOST = 64 * 2**20
SPEC = VersionDescription([TensorSpec("x", "FP32", (-1,))], [])


@pytest.fixture(scope="module")
def apart():
    made = Apart()
    yield made
    made.close()


def same(one, other):
    (request, more), (expected, wanted) = one, other
    assert more == (list(wanted) if isinstance(wanted, tuple) else wanted)
    tensors, others = request.inputs, expected.inputs
    assert [(t.name, t.datatype, t.data.dtype, t.data.shape) for t in tensors] == [
        (t.name, t.datatype, t.data.dtype, t.data.shape) for t in others
    ]
    for tensor, another in zip(tensors, others, strict=True):
        assert tensor.data.tobytes() == another.data.tobytes() or (tensor.data == another.data).all()
    request.inputs = expected.inputs = []
    assert request == expected


def tensor(datatype, data, **more):
    return {"name": "x", "datatype": datatype, "shape": [len(data)], "data": data, **more}


BODIES = [
    {"id": "1", "inputs": [tensor("FP32", [0.1, -2, 3e38])], "parameters": {"a": 1.5, "b": "c"}},
    {"inputs": [tensor("BYTES", ["a", "é", ""]), tensor("BYTES", ["twice"])]},  # for others to refuse
    {"inputs": [tensor("INT64", [2**63 - 1, -(2**63)])], "outputs": [{"name": "y"}, {"name": "z"}]},
    {"inputs": [tensor("BF16", [1.5]), tensor("BOOL", [True]), tensor("FP16", [])],
     "parameters": {"binary_data_output": True, "large": 2**63}},
    {"inputs": []},
]  # fmt: skip


@pytest.mark.parametrize("body", BODIES)
async def test_json(apart, body):
    sent, about = orjson.dumps(body), (None, "m", "3")
    expected = decoded("rest", sent, about)
    for coding, packed in ((b"", sent), (b"gzip", gzip.compress(sent))):
        same(await apart.elsewhere("rest", packed, coding, MOST, about), decoded("rest", sent, about))
    assert expected[0].version == "3"


async def test_numbers_that_are_none(apart):
    sent = json.dumps({"inputs": [tensor("FP64", [float("nan"), float("inf"), 0.1])]}).encode()
    found, _ = await apart.elsewhere("rest", sent, b"", MOST, (None, "m", ""))
    assert np.array_equal(found.inputs[0].data, [np.nan, np.inf, 0.1], equal_nan=True)


async def test_the_other_protocols(apart):
    rows = orjson.dumps({"instances": [1, 2, 3]})
    event = orjson.dumps({"id": "1", "source": "s", "type": "t", "specversion": "1.0",
                          "data": {"inputs": {"x": [1]}}})  # fmt: skip
    structured = {b"content-type": b"application/cloudevents+json"}
    plain = orjson.dumps({"x": [1, 2], "temperature": 0.5})
    typed = ModelInferRequest(model_name="m", id="7")
    typed.inputs.add(name="x", datatype="FP32", shape=[2]).contents.fp32_contents.extend([1, 2])
    raw = client.encode_grpc(client.request("m", {"x": np.ones((2, 3)), "t": np.array([b"a", b""])}))
    for name, body, about in (
        ("v1", rows, ({}, "m", SPEC)),
        ("v1", event, (structured, "m", SPEC)),
        ("generate", plain, ("m", "1", SPEC.inputs, True)),
        ("grpc", typed.SerializeToString(), ()),
        ("grpc", raw, ()),
    ):
        same(await apart.elsewhere(name, body, b"", MOST, about), decoded(name, body, about))


@pytest.mark.parametrize(
    ("body", "coding", "kind", "message"),
    [
        (b"{", b"", InvalidArgument, "the body is not valid JSON"),
        (b'{"inputs": [{"name": "x"}]}', b"", InvalidArgument, "tensor 'x': shape"),
        (b"no gzip", b"gzip", InvalidArgument, "not valid gzip"),
        (gzip.compress(bytes(2**23 + 1)), b"gzip", TooLarge, "more than 200 times its size"),
    ],
)
async def test_a_fault_keeps_its_kind(apart, body, coding, kind, message):
    with pytest.raises(kind, match=message):
        await apart.elsewhere("rest", body, coding, MOST, (None, "m", ""))
    sent = orjson.dumps(BODIES[0])  # and the process goes on
    assert await apart.elsewhere("rest", sent, b"", MOST, (None, "m", ""))


async def test_a_process_that_ends_is_replaced():
    apart = Apart(1)
    sent, about = orjson.dumps(BODIES[0]), (None, "m", "")
    await apart.elsewhere("rest", sent, b"", MOST, about)
    (process,) = apart._processes
    os.kill(process.pid, signal.SIGSTOP)
    asked = asyncio.create_task(apart.elsewhere("rest", sent, b"", MOST, about))
    await asyncio.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    with pytest.raises(Unavailable, match="ended; try again"):
        await asked
    same(await apart.elsewhere("rest", sent, b"", MOST, about), decoded("rest", sent, about))
    apart.close()


async def test_bodies_that_wait_are_bounded(apart, monkeypatch):
    monkeypatch.setattr(module, "_MOST_WAITING", 3)
    sent = orjson.dumps(BODIES[0])
    asked = [apart.elsewhere("rest", sent, b"", MOST, (None, "m", "")) for _ in range(5)]
    found = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(one).__name__ for one in found] == ["tuple"] * 3 + ["Overloaded"] * 2
    assert await apart.elsewhere("rest", sent, b"", MOST, (None, "m", ""))
    assert len(apart._processes) <= 2


async def test_the_loop_goes_on_meanwhile(apart):
    """Decoded here there would be no turn until the end."""
    sent = orjson.dumps({"inputs": [tensor("FP32", [0] * 2_000_000)]})
    task = asyncio.create_task(apart.http("rest", sent, b"", MOST, (None, "m", ""), len(sent)))
    turns = 0
    while not task.done():
        turns += 1
        await asyncio.sleep(0.001)
    assert turns > 10
    assert (await task)[0].inputs[0].data.shape == (2_000_000,)


@pytest.mark.parametrize("coding", ["", "gzip", "deflate"])
async def test_over_http_and_grpc(apart, coding):
    made = plane()
    served(made, "echo", backend=Echo(), about=UNDECLARED, versions=("1",))
    transport = httpx.ASGITransport(RestApp(made, Limits, apart=apart))
    values = np.random.default_rng(1).random(LARGE // 4).astype(np.float32)
    texts = np.array([str(value).encode() for value in values], dtype=object)
    async with httpx.AsyncClient(transport=transport, base_url="http://t") as http:
        for inputs in ({"x": values}, {"x": texts}):
            for binary in (False, True):
                asked = client.request("echo", inputs, binary_output=True)
                body, length = client.encode_http(asked, binary=binary)
                headers = client.http_headers(length)
                if coding:
                    packs = {"gzip": gzip.compress, "deflate": zlib.compress}
                    body = packs[coding](body)
                    headers["content-encoding"] = coding
                answer = await http.post(client.http_path("echo"), content=body, headers=headers)
                assert answer.status_code == 200, answer.text
                found = client.decode_http(answer.content, answer.headers.get(client.LENGTH))
                assert (found.arrays["x"] == inputs["x"]).all()
    servicer = Servicer(made, Limits, apart)
    typed = ModelInferRequest(model_name="echo")
    typed.inputs.add(name="x", datatype="FP32", shape=[len(values)]).contents.fp32_contents.extend(
        values
    )
    answer = b"".join(await servicer.infer_parts(typed.SerializeToString(), NO_HEADERS))
    assert (client.decode_grpc(answer).arrays["x"] == values).all()


def test_what_takes_time():
    numbers, texts = np.ones(10**5, np.float32), np.array([b"a" * 10] * 10**4, dtype=object)
    for inputs, all_of_it in (({"x": numbers}, False), ({"t": texts}, True)):
        asked = client.request("m", inputs)
        message = client.encode_grpc(asked)
        body, length = client.encode_http(asked, binary=True)
        assert (rest_codec.dear(body, length) > 10**5) is all_of_it
        assert (grpc_codec.dear(message) > 10**5) is all_of_it
        body, _ = client.encode_http(asked)
        assert rest_codec.dear(body, None) == len(body)


@pytest.mark.parametrize("coding", [b"gzip", b"deflate", b"gzip, gzip"])
async def test_a_body_may_not_grow_without_bound(coding):
    packs = gzip.compress if coding != b"deflate" else zlib.compress
    bomb = packs(bytes(60 * 2**20))
    if coding == b"gzip, gzip":
        bomb = gzip.compress(bomb)
    with pytest.raises(TooLarge, match="200 times its size"):
        await codings.unpacked(bomb, coding, MOST)
    fits = packs(bytes(2**20))  # so much may grow as it likes
    assert len(await codings.unpacked(fits, coding.split(b",")[0], MOST)) == 2**20
    assert (
        codings.inflate_small(fits, coding.split(b",")[0], MOST) is None
    )  # off the loop, small as it is
    noise = np.random.default_rng(1).bytes(2 * 2**20)
    assert await codings.unpacked(packs(noise), coding.split(b",")[0], MOST) == noise


@pytest.mark.parametrize("path", ["/v2/models/m/infer", "/v1/models/m:predict", "/v2/models/m/generate"])
async def test_a_large_body_that_wont_be_let_in_isnt_decoded(path):
    made = plane()
    model = served(made)
    model.max_queued = 0
    app = RestApp(made, Limits, apart=Never())
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://t") as http:
        answer = await http.post(path, content=b" " * LARGE)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert model.turned_away == {"limit": 1}
    assert [one[2] for one in heard(made).requests] == ["Overloaded"]


async def test_nor_a_large_message():
    made = plane()
    model = served(made)
    model.max_queued = 0
    servicer = Servicer(made, Limits, Never())
    message = ModelInferRequest(model_name="m")
    message.inputs.add(name="x", datatype="FP32", shape=[LARGE]).contents.fp32_contents.extend(
        [1] * LARGE
    )
    with pytest.raises(Overloaded):
        await servicer.infer_parts(message.SerializeToString(), Headers())
    assert model.turned_away == {"limit": 1}


class Never(Apart):
    """Decodes nothing."""

    async def http(self, *args):
        raise AssertionError

    elsewhere = http
