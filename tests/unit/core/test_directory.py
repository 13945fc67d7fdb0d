import asyncio
import contextlib

import numpy as np
import pytest

from serve_app.core.call import Call
from serve_app.core.dataplane import DataPlane
from serve_app.core.directory import Directory, Model
from serve_app.core.observer import Observers
from serve_app.core.version import State, Version
from serve_app.errors import InvalidArgument, NotFound, Overloaded, Unavailable
from serve_app.protocol.metadata import Statistics
from tests.unit.planes import (
    Backend,
    Bound,
    Recorded,
    call,
    description,
    heard,
    request,
    serve,
    targets,
    tensor,
)

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


def make(backend=None, **extra) -> tuple[DataPlane, Model]:
    plane = DataPlane(Recorded())
    model = plane.directory.expect("m", "")
    model.max_queued = 8
    serve(model, backend or Backend(), description(**extra))
    return plane, model


async def run(plane: DataPlane, version: str, *tensors, **extra) -> dict:
    """The outputs of one request, by name."""
    answer = await plane.infer(Call(request(*tensors, version=version, **extra)))
    return {one.name: one.data for one in answer.outputs}


def begin(plane: DataPlane, version: str, row=ROW) -> asyncio.Task:
    return asyncio.create_task(run(plane, version, tensor(row)))


async def test_a_model_is_not_ready_before_it_is_served():
    plane = DataPlane(Recorded())
    model = plane.directory.expect("m", "")
    assert not model.ready
    assert dict(model.versions) == {}
    with pytest.raises(Unavailable, match="model 'm' is not ready: loading"):
        model.pick("7")
    with pytest.raises(Unavailable):
        await run(plane, "1", tensor(ROW))
    serve(model, Backend(), description())
    assert model.ready
    assert (model.pick("").number, model.pick("1").number) == ("2", "1")
    model.direct("1", None)
    assert model.pick("").number == "1"
    with pytest.raises(NotFound):
        model.pick("7")


async def test_a_request_reaches_its_version_without_the_protocols_own_parameters():
    backend = Backend()
    plane, _ = make(backend)
    parameters = {"timeout": 10**7, "priority": 1, "t": 0.5}
    answer = await run(plane, "1", tensor(ROW), parameters=parameters)
    assert answer["y"].tolist() == [[11, 21]]
    assert [(version, parameters) for version, _, parameters in backend.seen] == [("1", {"t": 0.5})]


async def test_requests_are_coalesced_and_counted():
    held = Held()
    plane, model = make(held, max_batch_size=4)
    tasks = [begin(plane, "2", [[n, n]]) for n in range(5)]
    await asyncio.sleep(0)
    held.go.set()
    answers = await asyncio.gather(*tasks)
    assert [answer["y"][0, 0] for answer in answers] == [n * 10 + 2 for n in range(5)]
    assert [len(inputs["x"]) for _, inputs, _ in held.seen] == [1, 4]
    counters = model.versions["2"].counters
    assert (counters.inferences, counters.executions) == (5, 2)
    assert {rows: spent.infer.count for rows, spent in counters.batches.items()} == {1: 1, 4: 1}
    assert counters.compute.infer.count == counters.queue.count == 5
    assert heard(plane).batches == [("m", "2", 1), ("m", "2", 4)]
    assert model.versions["1"].counters.executions == 0


@pytest.mark.parametrize("extra", [{}, {"max_batch_size": 4}])
async def test_too_many_waiting_requests_are_refused_and_the_count_goes_down_again(extra):
    held = Held()
    plane, model = make(held, **extra)
    model.max_queued = 2
    tasks = [begin(plane, "2") for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded, match="model 'm' has 2 requests waiting"):
        await run(plane, "2", tensor(ROW))
    tasks[0].cancel()
    with pytest.raises(asyncio.CancelledError):
        await tasks[0]
    held.go.set()
    await run(plane, "2", tensor(ROW))
    await tasks[1]
    with pytest.raises(InvalidArgument):
        await run(plane, "2")
    assert model.pending == 0


async def test_a_version_that_was_replaced_answers_what_it_has_and_then_is_drained():
    old, new = Held(), Backend()
    plane, model = make(old, max_batch_size=4)
    running = begin(plane, "1")
    await asyncio.sleep(0)
    waiting = begin(plane, "1")
    await asyncio.sleep(0)
    replaced = serve(model, new, description(versions=("2", "3"), max_batch_size=2))
    assert [one.number for one in replaced] == ["1", "2"]
    drained = [asyncio.create_task(one.drained()) for one in replaced]
    with pytest.raises(NotFound):
        model.pick("1")
    await asyncio.sleep(0)
    assert [one.done() for one in drained] == [False, True]
    assert {one.state for one in replaced} == {State.DRAINING}
    old.go.set()
    for one in (running, waiting):  # neither lost, though its version is gone
        assert (await one)["y"].tolist() == [[11, 21]]
    await asyncio.wait_for(drained[0], 5)
    assert [version for version, _, _ in old.seen] == ["1", "1"]
    assert (await run(plane, "3", tensor(ROW)))["y"].tolist() == [[13, 23]]
    assert [version for version, _, _ in new.seen] == ["3"]
    serve(model, new, description())  # without batching
    assert (await run(plane, "1", tensor(ROW)))["y"].tolist() == [[11, 21]]


async def test_counters_go_on_when_a_version_is_replaced_or_comes_back():
    plane, model = make()
    await run(plane, "1", tensor(ROW))
    serve(model, Backend(), description(versions=("2",)))
    serve(model, Backend(), description())
    await run(plane, "1", tensor(ROW))
    assert model.versions["1"].counters.executions == 2


async def test_a_removed_model_refuses_what_waits_and_says_why():
    held = Held()
    plane, model = make(held, max_batch_size=1)
    running = begin(plane, "1")
    await asyncio.sleep(0)
    waiting = begin(plane, "1")
    await asyncio.sleep(0)
    removed = plane.directory.remove("m", "")
    assert not model.ready
    with pytest.raises(Unavailable):
        await waiting
    assert {(one.state, one.reason) for one in removed} == {(State.UNAVAILABLE, "it was removed")}
    with pytest.raises(NotFound):
        await run(plane, "1", tensor(ROW))
    held.go.set()
    await running


async def test_any_number_of_rows_is_split_for_the_model():
    backend = Backend()
    plane, _ = make(backend, max_batch_size=4)
    data = np.arange(22, dtype=np.float32).reshape(11, 2)
    answer = await run(plane, "1", tensor(data))
    assert np.array_equal(answer["y"], data * 10 + 1)
    assert [len(inputs["x"]) for _, inputs, _ in backend.seen] == [4, 4, 3]


async def test_a_model_that_ignores_its_cancellation_holds_up_nobody():
    class Uncancellable(Backend):
        uncancellable = True

        def __init__(self) -> None:
            super().__init__()
            self.go = asyncio.Event()

        async def predict(self, version, inputs, parameters):
            while not self.go.is_set():
                with contextlib.suppress(asyncio.CancelledError):
                    await self.go.wait()
            return await super().predict(version, inputs, parameters)

    backend = Uncancellable()
    plane, _ = make(backend, max_batch_size=4)
    task = begin(plane, "1")
    await asyncio.sleep(0.01)
    task.cancel()
    done, _ = await asyncio.wait({task}, timeout=5)
    backend.go.set()
    assert done == {task}
    assert task.cancelled()


def of(model: Model, source: str, *versions: str) -> list:
    return model.serve(source, description(versions=versions), targets(Backend(), versions))


def test_a_model_may_consist_of_several_applications():
    directory = Directory(Observers())
    model = directory.expect("m", "m")
    assert directory.expect("m", "m-next", "its application is DEPLOYING") is model
    of(model, "m", "1")
    assert (list(model.versions), model.reason) == (["1"], "")
    assert model.waiting == {"m-next": "its application is DEPLOYING"}
    of(model, "m-next", "10", "2")
    assert list(model.versions) == ["1", "2", "10"]
    assert model.answering() == {"m", "m-next"}
    assert [one.number for one in of(model, "m-next", "2")] == ["10", "2"]
    assert list(model.versions) == ["1", "2"]
    directory.remove("m", "m")
    assert list(model.versions) == ["2"]
    directory.remove("m", "m-next")
    assert directory.models == {}


def test_one_application_that_fails_leaves_the_versions_of_the_others():
    model = Directory(Observers()).expect("m", "m")
    of(model, "m", "1")
    of(model, "m-next", "2")
    model.unavailable("m-next", "its replicas are gone")
    assert model.pick().number == "1"  # the newest that is ready
    assert model.ready
    assert model.versions["2"].reason == "its replicas are gone"
    model.unavailable("m", "it too")
    assert (model.pick().number, model.reason) == ("2", "its replicas are gone")
    of(model, "m-next", "2")
    assert model.ready


def test_of_two_applications_with_one_version_the_one_that_is_ready_answers():
    model = Directory(Observers()).expect("m", "m")
    of(model, "m", "1")
    first = model.pick()
    of(model, "m-next", "1")
    second = model.pick()
    assert second is not first  # the newer one
    model.unavailable("m-next", "its replicas are gone")
    assert (model.pick(), model.reason) == (first, "")
    model.unavailable("m", "it too")
    assert not model.ready
    of(model, "m-next", "1")
    assert model.ready


def test_a_version_takes_requests_when_it_is_in_its_place():
    about, target = description(versions=("1",)), targets(Backend(), ("1",))["1"]
    version = Version("m", "1", about, target, Statistics(), Observers())
    assert (version.state, version.reason) == (State.LOADING, "loading")
    model = Directory(Observers()).expect("m", "m")
    with pytest.raises(Unavailable, match="model 'm' is not ready: loading"):
        model.admit(version, call())
    of(model, "m", "1")
    assert (model.pick().state, model.pick().reason) == (State.READY, "")


def test_targets_are_bound_to_their_versions():
    target = targets(Backend(), ("1",))["1"]
    assert isinstance(target.predicts, Bound)
    assert (target.streams, target.relays) == (None, None)


async def test_a_version_may_be_drained_by_two():
    held = Held()
    plane, model = make(held)
    running = begin(plane, "1")
    await asyncio.sleep(0)
    version = serve(model, Backend(), description())[0]
    both = asyncio.gather(version.drained(), version.drained())
    await asyncio.sleep(0)
    held.go.set()
    await running
    await asyncio.wait_for(both, 5)
    await version.drained()  # and once more, when it is over
