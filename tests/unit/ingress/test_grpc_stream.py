"""ModelStreamInfer over a real connection: concurrent, in order, marked, and gone when its client is."""

import asyncio
from collections.abc import AsyncIterator

import grpc
import numpy as np
import pytest

from serve_app.config import Limits
from serve_app.errors import ModelFailed
from serve_app.ingress.grpc import SERVICE, Servicer
from serve_app.protocol import inference_pb2 as pb
from tests.unit.held import soon
from tests.unit.planes import UNDECLARED, Echo, Raises, heard, plane, served
from tests.unit.waiting import until

PATH = f"/{SERVICE.full_name}/ModelStreamInfer"
# Otherwise gRPC's windows grow with what it measures: on a busy machine to tens of megabytes.
FIXED_WINDOWS = (("grpc.http2.bdp_probe", 0),)
FINAL = "triton_final_response"


class Together(Echo):
    """Answers nobody before `wanted` have asked."""

    def __init__(self, wanted: int) -> None:
        self.wanted, self.asked, self.left = wanted, 0, 0
        self.all = asyncio.Event()

    async def predict(self, version, inputs, parameters):
        self.asked += 1
        if self.asked == self.wanted:
            self.all.set()
        try:
            await self.all.wait()
        except asyncio.CancelledError:
            self.left += 1
            raise
        return inputs


@pytest.fixture
def the_plane():
    made = plane()
    served(made, "echo", backend=Echo(), about=UNDECLARED)
    served(made, "bad", backend=Raises(ModelFailed("raised")), about=UNDECLARED)
    return made


@pytest.fixture
async def ask(the_plane) -> AsyncIterator:
    """Opens a stream to a server of grpc.aio's."""
    servicer = Servicer(the_plane, lambda: Limits(maxBodyBytes=10**6))
    server = grpc.aio.server(options=FIXED_WINDOWS)
    kind = grpc.stream_stream_rpc_method_handler(
        servicer.ModelStreamInfer, None, lambda raw: raw.SerializeToString()
    )
    handlers = grpc.method_handlers_generic_handler(SERVICE.full_name, {"ModelStreamInfer": kind})
    server.add_generic_rpc_handlers((handlers,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=FIXED_WINDOWS) as channel:
        yield channel.stream_stream(
            PATH, None, lambda data: pb.ModelStreamInferResponse.FromString(data)
        )
    await server.stop(None)


def message(model: str, id: str = "", size: int = 1, **parameters: bool) -> bytes:
    made = pb.ModelInferRequest(
        model_name=model, id=id, inputs=[{"name": "x", "datatype": "FP32", "shape": [size]}]
    )
    made.raw_input_contents.append(np.zeros(size, np.float32).tobytes())
    for name, value in parameters.items():
        made.parameters[name].bool_param = value
    return made.SerializeToString()


async def test_requests_are_issued_as_they_are_read(the_plane, ask):
    served(the_plane, "four", backend=Together(4), about=UNDECLARED)
    call = ask(message("four", str(number)) for number in range(4))
    found = await soon(_all(call))
    assert [one.infer_response.id for one in found] == ["0", "1", "2", "3"]


async def test_a_streams_name_is_beside_the_ids_of_its_requests(the_plane, ask):
    call = ask(
        iter([message("echo"), message("echo"), message("echo", "7")]), metadata=[("x-request-id", "s")]
    )
    ids = [one.infer_response.id for one in await soon(_all(call))]
    assert ids[2] == "7"
    assert len(set(ids)) == 3  # each is found again in the log
    calls = heard(the_plane).calls
    assert [(one.request.id, one.request_id) for one in calls] == [(id, "s") for id in ids]


async def test_a_quick_one_waits_for_its_turn_behind_a_slow_one(the_plane, ask):
    slow = Together(2)
    served(the_plane, "slow", backend=slow, about=UNDECLARED)
    call = ask()
    for data in (message("slow", "1"), message("echo", "2"), message("slow", "3")):
        await call.write(data)
    await call.done_writing()
    assert [one.infer_response.id for one in await soon(_all(call))] == ["1", "2", "3"]


async def test_every_response_says_whether_it_is_the_last(the_plane, ask):
    for parameters in ({}, {"triton_enable_empty_final_response": True}):
        (found,) = await soon(_all(ask([message("echo", "a", **parameters)])))
        assert found.infer_response.parameters[FINAL].bool_param
        assert len(found.infer_response.raw_output_contents) == 1


async def test_an_error_carries_its_requests_id_and_model_and_is_its_last(the_plane, ask):
    broken = pb.ModelInferRequest(model_name="echo", model_version="2", id="c", inputs=[{"name": "x"}])
    sent = [
        message("bad", "a"), message("none", "b"), broken.SerializeToString(), b"\xff\xff",
        message("echo", "d"),
    ]  # fmt: skip
    found = await soon(_all(ask(sent)))
    about = [(one.infer_response.id, one.infer_response.model_name) for one in found]
    assert about == [("a", "bad"), ("b", "none"), ("c", "echo"), ("", ""), ("d", "echo")]
    assert [bool(one.error_message) for one in found] == [True, True, True, True, False]
    assert found[2].infer_response.model_version == "2"
    assert all(one.infer_response.parameters[FINAL].bool_param for one in found)


async def test_a_client_that_leaves_cancels_all_of_it(the_plane, ask):
    model = Together(100)
    served(the_plane, "held", backend=model, about=UNDECLARED)
    call = ask()
    for number in range(5):
        await call.write(message("held", str(number)))
    await until(lambda: model.asked == 5)
    call.cancel()
    await until(lambda: model.left == 5)
    assert the_plane.directory.model("held").pending == 0


async def test_a_client_that_does_not_read_is_waited_for(the_plane, ask):
    """What waits for it is bounded, and it gets everything when it reads at last."""
    model = Together(1)
    served(the_plane, "large", backend=model, about=UNDECLARED)
    call, size = ask(), 50_000
    sent = 0

    async def send() -> None:
        nonlocal sent
        for number in range(200):  # 40 MB
            await call.write(message("large", str(number), size))
            sent += 1
        await call.done_writing()

    sending = asyncio.create_task(send())
    before = -1
    while before != model.asked:  # until nothing moves any more
        before = model.asked
        await asyncio.sleep(0.3)
    assert not sending.done()
    assert model.asked < 150
    assert len(await soon(_all(call))) == 200
    await sending


async def _all(call) -> list:
    return [one async for one in call]
