"""One loaded version of a model: its target, its batcher, its counters, its state."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable
from contextlib import aclosing
from enum import Enum
from typing import Protocol

from serve_app.core import tables
from serve_app.core.batching import Batcher
from serve_app.core.blame import AT_FAULT
from serve_app.core.lanes import Who, rows_of
from serve_app.core.pieces import in_pieces
from serve_app.core.signature import validated
from serve_app.core.target import Target
from serve_app.core.turns import Turns
from serve_app.core.waiting import Waiting
from serve_app.errors import InvalidArgument
from serve_app.protocol.generation import asking_for
from serve_app.protocol.metadata import ModelDescription, Statistics
from serve_app.protocol.reserved import for_model
from serve_app.protocol.tensors import Arrays, InferRequest, Parameters


class State(Enum):
    """What a version does with requests."""

    LOADING = "LOADING"  # none yet: it isn't in its place
    READY = "READY"
    DRAINING = "DRAINING"  # answers those it has; new ones go to its successor
    UNAVAILABLE = "UNAVAILABLE"  # refuses them, and says why


class Hears(Protocol):
    """Is told of executions (serve_app.core.observer)."""

    def executed(
        self, version: "Version", rows: int, requests: int, queued: float, seconds: float
    ) -> None:
        """As Observer's."""


class Version:
    """Version `number` of `model`, LOADING until `ready`. `slots` and `spare`: serve_app.core.batching.

    `about` describes all versions that came with it, which is how they are loaded; `counters` outlive
    it, as the number's next holder counts on.
    """

    cold = False  # whether it isn't in memory (serve_app.core.cold)
    explains = False  # whether it is asked itself why it answers as it does, as a transformer may be

    def __init__(
        self,
        model: str,
        number: str,
        about: ModelDescription,
        target: Target,
        counters: Statistics,
        observers: Hears,
        slots: int = 1,
        spare: int = 0,
    ) -> None:
        self.model, self.number = model, number
        self.about, self.signature = about, about.versions[number]
        self.target, self.counters = target, counters
        rows, passes = self.signature.table is not None, self.signature.passes
        self._validated = tables.validated if rows else tables.passed if passes else validated
        # Where an answer is made of what was asked for alone: how the model is told.
        self._asking = asking_for if about.engine else tables.asking_for if rows else None
        if passes:
            self.asked = self._passed_on  # type: ignore[method-assign]
        self.state, self.reason = State.LOADING, "loading"
        self._observers = observers
        self._requests = 0  # that it still has to answer
        self._empty: asyncio.Event | None = None
        self.batcher: Batcher | None = None
        self.turns: Turns | None = None
        self.waiting: Waiting | None = None  # None: it has no queue, or not here
        self._queue(slots, spare)
        self._batched = self.batcher is not None

    def _queue(self, slots: int, spare: int) -> None:
        about, target = self.about, self.target
        if about.max_batch_size:
            self.batcher = Batcher(
                target.predicts.predict,
                about.max_batch_size,
                about.max_latency,
                slots,
                self.executed,
                spare,
                target.uncancellable,
            )
            self.waiting = self.batcher.waiting
        elif about.engine is None and (slots > 1 or spare or not target.uncancellable):
            self.turns = Turns(*self._turns(slots, spare))
            self.waiting = self.turns.waiting

    def _turns(self, slots: int, spare: int) -> tuple[int, float]:
        """How many compute, and how many have their turn: threads here have a queue of their own."""
        held = spare or self.target.uncancellable
        return max(1, slots - spare), slots if held else float("inf")

    def serves(self, about: ModelDescription, target: Target) -> bool:
        """Whether it is, and does, what another one of these would."""
        return self.target == target and _of(self.about, self.number) == _of(about, self.number)

    def ready(self) -> None:
        """Take requests from now on: it is in its place."""
        self.state, self.reason = State.READY, ""

    def enter(self) -> None:
        """One request more, until `leave`."""
        self._requests += 1

    def leave(self) -> None:
        """One request fewer."""
        self._requests -= 1
        if self._empty is not None and not self._requests:
            self._empty.set()

    async def drained(self) -> None:
        """Take no more, and wait until what there is was answered."""
        self.state, self.reason = State.DRAINING, "another version took its place"
        if self._requests:
            self._empty = self._empty or asyncio.Event()
            await self._empty.wait()

    def unavailable(self, reason: str) -> None:
        """Refuse requests from now on; what runs may finish."""
        self.state, self.reason = State.UNAVAILABLE, reason

    def close(self) -> None:
        """The model was removed: what waits is refused."""
        self.unavailable("it was removed")
        if self.batcher:
            self.batcher.close()
        if self.turns:
            self.turns.close()

    def abandon(self) -> None:
        """Others answer instead: what waits where nobody may ever answer goes to them."""
        if self.target.abandon:
            self.target.abandon()

    def resize(self, slots: int, spare: int) -> None:
        """Change how many batches may be in flight."""
        if self.batcher:
            self.batcher.configure(self.about.max_batch_size, self.about.max_latency, slots, spare)
        if self.turns:
            self.turns.resize(*self._turns(slots, spare))

    def asked(self, request: InferRequest) -> tuple[Arrays, Parameters]:
        """The request's arrays in the declared order, and the parameters that are the model's."""
        inputs = self._validated(request, self.signature, self._batched)
        given = for_model(request.parameters)
        if self._asking is None or request.outputs is None:
            return inputs, given
        return inputs, self._asking((output.name for output in request.outputs), given)

    def _passed_on(self, request: InferRequest) -> tuple[Arrays, Parameters]:
        """The same, where another server holds them against what it takes."""
        outputs = None if request.outputs is None else [output.name for output in request.outputs]
        return self._validated(request, self.signature), tables.passed_on(request, outputs)

    async def predict(self, request: InferRequest, who: Who | None = None) -> Arrays:
        """Validate and run one request, in company where there is some. `who` says who sent it."""
        arrived = time.monotonic()
        inputs, parameters = self.asked(request)
        began = time.monotonic()
        if self.batcher:
            outputs = await self.batcher.submit(inputs, parameters, who)
            self.counters.compute.input.ns += int((began - arrived) * 1e9)
            return outputs
        if self.turns is None:
            outputs = await self.target.predicts.predict(inputs, parameters)
            self.executed(1, 1, 0.0, time.monotonic() - began, began - arrived)
            return outputs
        turns, size = self.turns, self.about.piece
        if size and (rows := rows_of(inputs)) > size:

            def run(part: Arrays) -> Awaitable[Arrays]:
                return self._in_turn(turns, part, parameters, time.monotonic(), 0.0)

            return await in_pieces(inputs, rows, size, turns.computing, run)
        return await self._in_turn(turns, inputs, parameters, began, began - arrived)

    async def _in_turn(
        self, turns: Turns, inputs: Arrays, parameters: Parameters, arrived: float, before: float
    ) -> Arrays:
        began = arrived
        if not turns.enter():
            await turns.its_turn()
            began = time.monotonic()
        ended: float | None = None
        try:
            outputs = await self.target.predicts.predict(inputs, parameters)
            ended = time.monotonic()
        except AT_FAULT:
            ended = time.monotonic()
            raise
        finally:
            turns.leave(ended)
        self.executed(1, 1, began - arrived, ended - began, before)
        return outputs

    async def stream(self, request: InferRequest) -> AsyncGenerator[tuple[Arrays, bool], None]:
        """The same, piece by piece, as Streams has it; InvalidArgument where the target can't."""
        if self.target.streams is None:
            raise InvalidArgument(f"model '{self.model}' generates no text: use infer")
        inputs, parameters = self.asked(request)
        began = time.monotonic()
        async with aclosing(self.target.streams.stream(inputs, parameters)) as pieces:
            async for piece in pieces:
                yield piece
        self.executed(1, 1, 0.0, time.monotonic() - began)

    def executed(
        self,
        rows: int,
        requests: int,
        queued: float,
        seconds: float,
        before: float = 0.0,
        after: float = 0.0,
    ) -> None:
        """Count one execution, and tell of it. The arguments: Observer.executed.

        `before` and `after`: seconds of preparing its inputs and of handing on its outputs.
        """
        self.counters.executed(
            rows, requests, int(queued * 1e9), int(before * 1e9), int(seconds * 1e9), int(after * 1e9)
        )
        self._observers.executed(self, rows, requests, queued, seconds)


def _of(about: ModelDescription, number: str) -> tuple[object, ...]:
    """What a description says of one version."""
    return (
        about.versions[number], about.platform, about.engine, about.max_batch_size, about.max_latency,
        about.in_flight, about.piece,
    )  # fmt: skip
