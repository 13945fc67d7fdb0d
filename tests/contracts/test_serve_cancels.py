"""What Serve cancels in a replica with a request of its own: the calls that were made on the way."""

import asyncio

import pytest
import ray.serve.context as serve_context
from ray.serve._private.common import RequestMetadata
from ray.serve._private.replica import Replica
from ray.serve._private.replica_result import gRPCReplicaResult

from serve_app.core.to_the_end import to_the_end
from tests.unit.waiting import until

PARENT = RequestMetadata(request_id="r", internal_request_id="parent", _on_separate_loop=False)


class Call:
    """grpc.aio's, as far as Serve asks."""

    def __init__(self) -> None:
        self.answer = asyncio.get_running_loop().create_future()
        self.add_done_callback, self.cancel = self.answer.add_done_callback, self.answer.cancel


@pytest.mark.parametrize("shielded", [False, True])
async def test_calls_of_what_goes_on_are_left_alone(shielded):
    calls = []

    async def work():
        calls.append(Call())
        made = gRPCReplicaResult(calls[0], PARENT, None)  # as a handle makes it
        await asyncio.wait([calls[0].answer])
        del made

    async def request():
        said = serve_context._RequestContext(_internal_request_id="parent")
        serve_context._serve_request_context.set(said)
        await (to_the_end(work()) if shielded else asyncio.shield(asyncio.create_task(work())))

    asked = asyncio.create_task(request())
    await until(lambda: calls)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    Replica._on_request_cancelled(None, PARENT, asyncio.CancelledError())
    await asyncio.sleep(0.01)
    assert calls[0].answer.cancelled() is not shielded
    calls[0].cancel()
    await asyncio.sleep(0)
