"""The bracket around each call: counted once, and let go, however it ends."""

import asyncio
import contextlib

import pytest

from serve_app.core.target import Relayed, Target
from serve_app.errors import (
    DeadlineExceeded,
    Gone,
    InvalidArgument,
    ModelFailed,
    NotFound,
    Overloaded,
    Unavailable,
)
from tests.unit.planes import Backend, call, description, heard, plane, served, targets, tensor

ROW = [[1.0, 2.0]]


class Engine:
    """Answers in two pieces, by streams and by relays; fails after the first, if it is told to."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.closed = 0

    async def predict(self, inputs, parameters):
        return {"y": inputs["x"], "z": inputs["x"]}

    async def stream(self, inputs, parameters):
        try:
            yield await self.predict(inputs, parameters), False
            await asyncio.sleep(0)
            if self.error:
                raise self.error
            yield await self.predict(inputs, parameters), True
        finally:
            self.closed += 1

    @contextlib.asynccontextmanager
    async def relay(self, path, body, asked, seconds):
        async def rest():
            if self.error:
                raise self.error
            yield b"second"

        try:
            yield Relayed(200, b"text/plain", b"first", rest())
        finally:
            self.closed += 1


def engine(error: Exception | None = None):
    """A plane with an engine named m, and it."""
    made, one = plane(), Engine(error)
    model = made.directory.expect("m", "")
    model.max_queued = 1
    model.serve("", description(versions=("1",)), {"1": Target(one, streams=one, relays=one)})
    return made, model, one


def counted(model) -> tuple[int, int, int]:
    counters = model.versions["1"].counters
    return counters.success.count, counters.fail.count, counters.executions


async def test_a_stream_that_is_read_to_its_end_counts_once():
    made, model, one = engine()
    pieces = [piece async for piece in made.stream(call(tensor(ROW)))]
    assert len(pieces) == 2
    assert (counted(model), model.pending, one.closed) == ((1, 0, 1), 0, 1)
    assert heard(made).requests == [("m", "1", "")]


async def test_a_stream_that_its_reader_leaves_is_cancelled_and_counts_once():
    made, model, one = engine()
    pieces = made.stream(call(tensor(ROW)))
    await anext(pieces)
    assert model.pending == 1
    with pytest.raises(Overloaded):
        await made.infer(call(tensor(ROW)))
    await pieces.aclose()
    assert (counted(model), model.pending, one.closed) == ((0, 2, 0), 0, 1)
    assert heard(made).requests == [("m", "1", "Overloaded"), ("m", "1", "Cancelled")]


async def test_a_stream_that_nobody_reads_was_never_begun():
    made, model, _ = engine()
    await made.stream(call(tensor(ROW))).aclose()
    assert (counted(model), model.pending, heard(made).begins) == ((0, 0, 0), 0, [])


async def test_a_stream_that_fails_in_its_middle_counts_as_one():
    made, model, one = engine(ModelFailed("it broke"))
    with pytest.raises(ModelFailed, match="it broke"):
        [piece async for piece in made.stream(call(tensor(ROW)))]
    assert (counted(model), model.pending, one.closed) == ((0, 1, 0), 0, 1)


@pytest.mark.parametrize(
    ("error", "status"),
    [(None, ""), (Unavailable("gone"), "Unavailable"), (asyncio.CancelledError(), "Cancelled")],
)
async def test_a_relay_counts_once_and_as_it_ended(error, status):
    made, model, one = engine()
    with pytest.raises(type(error)) if error else contextlib.nullcontext():
        async with made.relay(call(), "/v1/completions", b"{}", {}) as answer:
            assert await answer.read() == b"firstsecond"
            if error:
                raise error
    assert (counted(model), model.pending) == ((0, 1, 0) if error else (1, 0, 1), 0)
    assert (heard(made).requests, one.closed) == ([("m", "1", status)], 1)


async def test_what_isnt_admitted_holds_no_place():
    made = plane()
    model = served(made)
    for asked, kind in (({"version": "9"}, NotFound), ({"model": "n"}, NotFound)):
        with pytest.raises(kind):
            await made.infer(call(tensor(ROW), **asked))
    model.unavailable("", "gone")
    with pytest.raises(Unavailable):
        await made.infer(call(tensor(ROW)))
    assert model.pending == 0
    assert heard(made).requests == [("m", "", "NotFound"), ("m", "2", "Unavailable")]


async def test_a_model_that_is_replaced_or_removed_lets_its_requests_go():
    made = plane()
    model = served(made, max_batch_size=1)
    version = model.pick()
    with made._pipeline.bracket(call(tensor(ROW))) as taken:
        assert taken is version
        model.serve("", description(), targets(Backend()))
        made.directory.remove("m", "")
        served(made)
        drained = asyncio.create_task(version.drained())
        await asyncio.sleep(0)
        assert (drained.done(), model.pending) == (False, 1)
    await asyncio.wait_for(drained, 5)
    assert (model.pending, made.directory.model("m").pending) == (0, 0)


class Broken:
    """An observer with a bug."""

    def begun(self, call):
        raise RuntimeError("begun")

    def executed(self, version, rows, requests, queued, seconds):
        raise RuntimeError("executed")

    def finished(self, call):
        raise RuntimeError("finished")


@pytest.mark.parametrize("extra", [{}, {"max_batch_size": 4}])
async def test_an_observer_with_a_bug_harms_neither_the_answer_nor_the_other_observers(extra, caplog):
    made = plane()
    recorded = heard(made)
    model = served(made, **extra)
    made.observers.each = (Broken(), recorded)
    answer = await made.infer(call(tensor(ROW)))
    assert answer.outputs[0].data.tolist() == [[12, 22]]
    with pytest.raises(InvalidArgument):
        await made.infer(call())
    assert (model.pending, len(recorded.begins)) == (0, 2)
    assert recorded.requests == [("m", "2", ""), ("m", "2", "InvalidArgument")]
    assert caplog.text.count("RuntimeError: finished") == 2


class Lost(Engine):
    """Its replicas are gone."""

    async def stream(self, inputs, parameters):
        raise Gone("no replica")
        yield

    @contextlib.asynccontextmanager
    async def relay(self, path, body, asked, seconds):
        raise Gone("no replica")
        yield


def lost():
    """A plane whose engine is gone, and another takes its place as version 2."""
    made, model, one = engine()
    gone = Lost()
    model.serve("", description(versions=("1",)), {"1": Target(gone, streams=gone, relays=gone)})

    async def renew(version):
        model.serve("", description(versions=("2",)), {"2": Target(one, streams=one, relays=one)})
        return False

    made.look_for_successors(renew)
    return made, model


async def test_a_stream_whose_engine_is_gone_before_it_begins_is_anothers():
    made, model = lost()
    pieces = [piece async for piece in made.stream(call(tensor(ROW)))]
    assert [piece.version for piece in pieces] == ["2", "2"]
    assert model.pending == 0
    assert heard(made).requests == [("m", "2", "")]


async def test_a_relayed_request_whose_engine_is_gone_is_anothers():
    made, model = lost()
    async with made.relay(call(), "/v1/completions", b"{}", {}) as answer:
        assert await answer.read() == b"firstsecond"
    assert model.pending == 0
    assert heard(made).requests == [("m", "2", "")]


async def test_a_relayed_request_waits_no_longer_than_it_may():
    made, model = lost()
    made.timeout = 0.05

    async def renew(version):
        await asyncio.sleep(0.01)
        return True

    made.look_for_successors(renew)
    with pytest.raises(DeadlineExceeded):
        async with made.relay(call(), "/v1/completions", b"{}", {}):
            pass
    assert model.pending == 0
