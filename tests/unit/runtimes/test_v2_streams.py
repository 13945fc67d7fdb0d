"""Another server's model that answers in pieces, and parameters of single tensors, as they go there."""

import asyncio

import pytest

from serve_app.config import Limits
from serve_app.ingress.grpc import Servicer
from serve_app.protocol import inference_pb2 as pb
from tests.unit.ingress.grpc_bodies import Context
from tests.unit.runtimes.tabular import matrix
from tests.unit.runtimes.test_v2 import Proxy
from tests.unit.runtimes.v2_server import GrpcPeerServer, HttpPeerServer

FINAL, EMPTY = "triton_final_response", "triton_enable_empty_final_response"


@pytest.fixture
def over_grpc():
    with GrpcPeerServer() as server:
        server.pieces = [1, 2, 3]
        yield server


@pytest.fixture
async def proxy(over_grpc):
    made = Proxy(over_grpc.address)
    yield made
    made.close()
    await asyncio.sleep(0)
    while left := asyncio.all_tasks() - {asyncio.current_task()}:
        await asyncio.wait(left)


def asking(**parameters) -> bytes:
    message = pb.ModelInferRequest(model_name="m", id="7")
    entry = message.inputs.add(name="x", datatype="FP32", shape=[1, 2])
    entry.contents.fp32_contents.extend([1, 2])
    entry.parameters["content_type"].string_param = "np"
    for name, value in parameters.items():
        message.parameters[name].bool_param = value
    return message.SerializeToString()


async def streamed(proxy, *requests: bytes):
    """Each response: its error, values and whether it is the last."""

    async def sent():
        for one in requests:
            yield one

    servicer = Servicer(proxy.plane, lambda: Limits())
    found = []
    async for data in servicer.ModelStreamInfer(sent(), Context()):
        raw = data if isinstance(data, bytes) else data.SerializeToString()
        response = pb.ModelStreamInferResponse.FromString(raw)
        answer = response.infer_response
        values = [list(one.contents.fp32_contents) for one in answer.outputs]
        assert answer.id == "7"
        found.append((response.error_message, values, answer.parameters[FINAL].bool_param))
    return found


async def test_pieces_come_as_they_are(over_grpc, proxy):
    found = await streamed(proxy, asking())
    assert found == [("", [[1, 2]], False), ("", [[2, 4]], False), ("", [[3, 6]], True)]
    (asked,) = over_grpc.requests
    assert (asked.id, asked.inputs[0].parameters) == ("", {"content_type": "np"})
    about = proxy.plane.model_config("m")
    assert about["model_transaction_policy"] == {"decoupled": True}


async def test_who_asks_for_it_gets_the_end_by_itself(over_grpc, proxy):
    found = await streamed(proxy, asking(**{EMPTY: True}))
    assert found[-1] == ("", [], True)
    assert [values for _, values, _ in found[:-1]] == [[[1, 2]], [[2, 4]], [[3, 6]]]


async def test_a_stream_that_says_not_to_is_the_other_servers_to_refuse(over_grpc, proxy):
    assert len(await streamed(proxy, asking(stream=False))) == 3


async def test_an_error_in_the_middle(over_grpc, proxy):
    over_grpc.pieces = [1, "the model has no more"]
    found = await streamed(proxy, asking(), asking())
    assert sorted(found) == sorted([("", [[1, 2]], False), ("the model has no more", [], True)] * 2)


async def test_nobody_there(over_grpc, proxy):
    over_grpc.server.stop(None).wait(10)
    ((error, values, final),) = await streamed(proxy, asking())
    assert ("is unavailable" in error, values, final) == (True, [], True)


async def test_who_goes_away_ends_it_there(over_grpc, proxy):
    over_grpc.release.clear()
    task = asyncio.create_task(streamed(proxy, asking()))
    while not over_grpc.requests:  # noqa: ASYNC110 - a thread fills it
        await asyncio.sleep(0.01)
    over_grpc.cancelled.clear()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await asyncio.to_thread(over_grpc.cancelled.wait, 10)
    over_grpc.release.set()


async def test_a_model_that_answers_once_is_asked_once():
    with GrpcPeerServer() as server:
        made = Proxy(server.address)
        assert await streamed(made, asking()) == [("", [[10, 20]], True)]
        made.close()


@pytest.mark.parametrize("kind", [GrpcPeerServer, HttpPeerServer])
@pytest.mark.parametrize("extensions", [[], ["binary_tensor_data"]])
async def test_parameters_of_single_tensors_go_along(kind, extensions):
    with kind() as server:
        server.extensions = extensions
        made = Proxy(server.address)
        x = matrix([[1, 2]], "x", "FP32") | {"parameters": {"content_type": "np", "n": 3}}
        await made.v2([x], parameters={"_tensors": "mine"})
        (asked,) = server.requests
        found = dict(asked.inputs[0].parameters)
        assert found.pop("binary_data_size", 8) == 8
        assert found == {"content_type": "np", "n": 3}
        assert "_tensors" not in asked.parameters
        made.close()
        await asyncio.sleep(0.05)
