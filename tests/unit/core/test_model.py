import asyncio
import contextlib

import numpy as np
import pytest

from serve_app.core.model import Model, validated
from serve_app.errors import InvalidArgument, NotFound, Overloaded, Unavailable
from serve_app.protocol.metadata import VersionDescription
from serve_app.protocol.tensors import TensorSpec
from tests.unit.planes import DECLARED, UNDECLARED, Backend, Recorded, description, request, tensor

ROW = [[1.0, 2.0]]


class Held(Backend):
    """Answers when the test lets it."""

    def __init__(self) -> None:
        super().__init__()
        self.go = asyncio.Event()

    async def predict(self, version, inputs, parameters):
        answer = await super().predict(version, inputs, parameters)
        await self.go.wait()
        return answer


def make(backend=None, **extra) -> Model:
    model = Model("m", Recorded())
    model.max_queued = 8
    model.serve(description(**extra), backend or Backend())
    return model


async def test_a_model_is_not_ready_before_it_is_served():
    model = Model("m", Recorded())
    assert not model.ready
    assert dict(model.versions) == {}
    with pytest.raises(Unavailable, match="model 'm' is not ready: loading"):
        model.resolve("7")
    with pytest.raises(Unavailable):
        await model.run("1", request(tensor(ROW)))
    model.serve(description(), Backend())
    assert model.ready
    assert (model.resolve(""), model.resolve("1")) == ("2", "1")
    model.default_version = "1"
    assert model.resolve("") == "1"
    with pytest.raises(NotFound):
        model.resolve("7")


async def test_a_request_reaches_its_version_without_the_protocols_own_parameters():
    backend = Backend()
    model = make(backend)
    answer = await model.run(
        "1", request(tensor(ROW), parameters={"timeout": 5, "priority": 1, "t": 0.5})
    )
    assert answer["y"].tolist() == [[11, 21]]
    assert [(version, parameters) for version, _, parameters in backend.seen] == [("1", {"t": 0.5})]


async def test_requests_are_coalesced_and_counted():
    held = Held()
    model = make(held, max_batch_size=4)
    tasks = [asyncio.create_task(model.run("2", request(tensor([[n, n]])))) for n in range(5)]
    await asyncio.sleep(0)
    held.go.set()
    answers = await asyncio.gather(*tasks)
    assert [answer["y"][0, 0] for answer in answers] == [n * 10 + 2 for n in range(5)]
    assert [len(inputs["x"]) for _, inputs, _ in held.seen] == [1, 4]
    counters = model.statistics["2"]
    assert (counters.inferences, counters.executions) == (5, 2)
    assert {rows: spent.count for rows, spent in counters.batches.items()} == {1: 1, 4: 1}
    assert counters.infer.count == counters.queue.count == 5
    assert model._metrics.batches == [("m", "2", 1), ("m", "2", 4)]
    assert model.statistics["1"].executions == 0


@pytest.mark.parametrize("extra", [{}, {"max_batch_size": 4}])
async def test_too_many_waiting_requests_are_refused_and_the_count_goes_down_again(extra):
    held = Held()
    model = make(held, **extra)
    model.max_queued = 2
    tasks = [asyncio.create_task(model.run("2", request(tensor(ROW)))) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded, match="model 'm' has 2 requests waiting"):
        await model.run("2", request(tensor(ROW)))
    tasks[0].cancel()
    with pytest.raises(asyncio.CancelledError):
        await tasks[0]
    held.go.set()
    await model.run("2", request(tensor(ROW)))
    await tasks[1]
    with pytest.raises(InvalidArgument):
        await model.run("2", request())
    assert model._pending == 0


async def test_serving_again_replaces_versions_and_limits_in_place():
    old, new = Held(), Backend()
    model = make(old, max_batch_size=4)
    running = asyncio.create_task(model.run("1", request(tensor(ROW))))
    await asyncio.sleep(0)
    waiting = asyncio.create_task(model.run("1", request(tensor(ROW))))
    await asyncio.sleep(0)
    replaced = model.serve(description(versions=("2", "3"), max_batch_size=2), new)
    over = asyncio.create_task(replaced.over())
    with pytest.raises(NotFound):
        model.resolve("1")
    await asyncio.sleep(0)
    assert not over.done()
    old.go.set()
    for one in (running, waiting):  # neither lost, though its version is gone
        assert (await one)["y"].tolist() == [[11, 21]]
    await asyncio.wait_for(over, 5)
    assert [version for version, _, _ in old.seen] == ["1", "1"]
    assert (await model.run("3", request(tensor(ROW))))["y"].tolist() == [[13, 23]]
    assert [version for version, _, _ in new.seen] == ["3"]
    model.serve(description(), new)  # without batching
    assert (await model.run("1", request(tensor(ROW))))["y"].tolist() == [[11, 21]]


async def test_a_removed_model_refuses_what_waits_and_says_why():
    held = Held()
    model = make(held, max_batch_size=1)
    running = asyncio.create_task(model.run("1", request(tensor(ROW))))
    await asyncio.sleep(0)
    waiting = asyncio.create_task(model.run("1", request(tensor(ROW))))
    await asyncio.sleep(0)
    model.close()
    assert not model.ready
    with pytest.raises(Unavailable):
        await waiting
    with pytest.raises(Unavailable, match="it was removed"):
        await model.run("1", request(tensor(ROW)))
    held.go.set()
    await running


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


async def test_any_number_of_rows_is_split_for_the_model():
    backend = Backend()
    model = make(backend, max_batch_size=4)
    data = np.arange(22, dtype=np.float32).reshape(11, 2)
    answer = await model.run("1", request(tensor(data)))
    assert np.array_equal(answer["y"], data * 10 + 1)
    assert [len(inputs["x"]) for _, inputs, _ in backend.seen] == [4, 4, 3]


async def test_a_model_that_ignores_its_cancellation_holds_up_nobody():
    class Stubborn(Backend):
        stubborn = True

        def __init__(self) -> None:
            super().__init__()
            self.go = asyncio.Event()

        async def predict(self, version, inputs, parameters):
            while not self.go.is_set():
                with contextlib.suppress(asyncio.CancelledError):
                    await self.go.wait()
            return await super().predict(version, inputs, parameters)

    backend = Stubborn()
    model = make(backend, max_batch_size=4)
    task = asyncio.create_task(model.run("1", request(tensor(ROW))))
    await asyncio.sleep(0.01)
    task.cancel()
    done, _ = await asyncio.wait({task}, timeout=5)
    backend.go.set()
    assert done == {task}
    assert task.cancelled()
