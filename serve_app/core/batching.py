"""Coalescing requests into batches. Plain asyncio: knows no models, no Ray.

A batch leaves as soon as one of `in_flight` slots is free, so an idle model answers at once and a
busy one finds its batch already waiting. `max_latency` adds a wait for company while idle. Of the
slots, `spare` hold batches that wait at a replica behind the one it computes: that hides the way
there. Where computing takes so long that the way is nothing beside it, they take full batches only:
a half-full one would leave early just to wait there, and miss who comes meanwhile.

When a batch of several ends, their callers tend to ask again at once, but one by one. So a slow model
lingers for a twentieth of its usual time, 20 ms at most, until those it just answered may be back;
after a batch of one it doesn't. A quick one that several ask at a time gathers those whom the event loop
has yet to read (gathering.py); who asks it alone is answered at once.
"""

import asyncio
import contextvars
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable

import numpy as np

from serve_app.core.asking import ASKING
from serve_app.core.blame import AT_FAULT, Blame
from serve_app.core.gathering import Gathering
from serve_app.core.lanes import Batch, Item, Lane, Who, check_rows, fail, hand_out, key_of, rows_of
from serve_app.core.pieces import in_pieces
from serve_app.core.waiting import Waiting
from serve_app.errors import Gone
from serve_app.protocol.tensors import Arrays, Parameters

_LONG_S = 0.02  # a hop takes a tenth of it
_LINGER = 0.05  # of an execution's usual time
_LINGER_MOST_S = 0.02
_GATHER = 4  # executions of the usual time
_GATHER_MOST_S = 0.005

Execute = Callable[[Arrays, Parameters], Awaitable[Arrays]]
# Called once per executed batch: rows, requests, seconds queued (all together), seconds computing,
# seconds of putting the batch together and of taking it apart.
Observe = Callable[[int, int, float, float, float, float], None]


class Batcher:
    """Coalesces the requests of one model version.

    Requests go together when their inputs agree in name, type and every dimension but the first,
    and their parameters are equal. Larger ones than `max_batch_size` go through in pieces.
    """

    def __init__(
        self,
        execute: Execute,
        max_batch_size: int,
        max_latency: float = 0,
        in_flight: int = 1,
        observe: Observe | None = None,
        spare: int = 0,
        uncancellable: bool = False,
    ) -> None:
        self._execute = execute
        # Whether an execution may go on although it is cancelled: then nobody waits in its task.
        self._uncancellable = uncancellable
        self._max_rows = max_batch_size
        self._max_wait = max_latency / 1000
        self._in_flight, self._spare = in_flight, spare
        self._observe = observe
        self._usual_s = 0.0  # what an execution takes of late
        self._expected, self._until = 0, 0.0  # rows to linger for, and how long
        self._lanes: OrderedDict[Hashable, Lane] = OrderedDict()
        self._running = 0
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        self._blame = Blame()
        self.waiting = Waiting()
        self._company = False  # several asked at a time of late
        self._gathering = Gathering(self.waiting, self._pump)

    def configure(self, max_batch_size: int, max_latency: float, in_flight: int, spare: int = 0) -> None:
        """Change the limits in place; takes effect with the next batch."""
        self._max_rows, self._max_wait = max_batch_size, max_latency / 1000
        self._in_flight, self._spare = in_flight, spare
        self._pump()

    async def submit(self, inputs: Arrays, parameters: Parameters, who: Who | None = None) -> Arrays:
        """Run one request, in company where there is some, and return its own rows."""
        rows = rows_of(inputs)
        if rows <= self._max_rows:
            if self._idle(rows):
                return await self._alone(inputs, rows, parameters, who)
            return await self._enqueue(inputs, rows, parameters, who)

        def run(piece: Arrays) -> Awaitable[Arrays]:
            return self._enqueue(piece, rows_of(piece), parameters, who)

        return await in_pieces(inputs, rows, self._max_rows, self._in_flight + 1, run)

    def _idle(self, rows: int) -> bool:
        """Whether a request of `rows` would be the next batch, now and alone."""
        if (
            self._uncancellable
            or self._lanes
            or self._company
            or self._closed
            or self._running >= max(1, self._in_flight - self._spare)
        ):
            return False
        if rows == self._max_rows:
            return True
        return self._max_wait <= 0 and (rows >= self._expected or time.monotonic() >= self._until)

    async def _alone(self, inputs: Arrays, rows: int, parameters: Parameters, who: Who | None) -> Arrays:
        """In its caller's own task: no queue, no future, nobody else to think of."""
        self._running += 1
        try:
            self.waiting.last = began = time.monotonic()
            outputs = await self._execute(inputs, parameters)
            ended = time.monotonic()
            check_rows(outputs, rows)
            self._executed(rows, 1, 0.0, began, began, ended)
            return outputs
        except AT_FAULT:
            self._blame.failed(who)
            raise
        finally:
            self._running -= 1
            self._expected = 0
            if self._lanes:
                self._next(1)
            else:
                self._pump()

    async def _enqueue(
        self, inputs: Arrays, rows: int, parameters: Parameters, who: Who | None
    ) -> Arrays:
        if self._closed:
            raise Gone("the model is being removed")
        loop = asyncio.get_running_loop()
        item = Item(inputs, rows, loop.create_future(), time.monotonic(), ASKING.get(), who)
        key = key_of(inputs, parameters)
        if client := self._blame.alone(who):
            key = key, client
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = Lane(parameters, self.waiting)
        lane.put(item)
        if self._company and lane.rows < self._max_rows and self._running < self._in_flight:
            self._gather()
        else:
            self._pump()
        try:
            return await item.future
        except asyncio.CancelledError:
            self._abandon(item)
            raise

    def _abandon(self, item: Item) -> None:
        """A caller went away: a batch that nobody waits for any more is stopped."""
        batch = item.batch
        if batch is None or batch.task is None:
            item.leave(self.waiting)
            return  # its cancelled future makes _take skip it
        if all(other.future.done() for other in batch.items):
            batch.task.cancel()

    def _pump(self) -> None:
        """Start batches while slots are free and some lane is ready."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._company:
            self._gathering.end()
        while self._running < self._in_flight:
            free = self._in_flight - self._spare
            only_full = self._running >= max(1, free) and self._usual_s > _LONG_S
            batch = self._take(only_full)
            if batch is None:
                if only_full:
                    self.waiting.busy = True
                else:
                    self.waiting.free()
                return
            self._running += 1
            # A context of its own: a batch belongs to no single caller, and a framework that
            # ties work to the caller's context must not cancel it when that one leaves.
            batch.task = asyncio.get_running_loop().create_task(
                self._run(batch), context=contextvars.Context()
            )
        self.waiting.busy = True

    def _take(self, only_full: bool) -> Batch | None:
        """The next batch: the oldest request's lane first; None when nothing is ready."""
        now = time.monotonic()  # not the loop's time, which uvloop rounds to milliseconds
        due: float | None = None
        oldest: tuple[float, Hashable] | None = None
        for key in list(self._lanes):
            lane = self._lanes[key]
            items, rows = lane.items, lane.rows
            while items and items[0].future.done():
                rows -= lane.pop().rows
            if not items:
                del self._lanes[key]
                continue
            wait = items[0].arrived + self._max_wait - now
            if rows < self._expected:
                wait = max(wait, self._until - now)
            if (wait > 0 or only_full) and rows < self._max_rows:
                if not only_full:  # else the end of a running batch is what to wait for
                    due = wait if due is None else min(due, wait)
            elif oldest is None or items[0].arrived < oldest[0]:
                oldest = (items[0].arrived, key)
        if oldest is None:
            if due is not None:
                self._timer = asyncio.get_running_loop().call_later(due, self._pump)
            return None
        lane = self._lanes[oldest[1]]
        popped, rows = lane.take(self._max_rows)
        taken = [item for item in popped if not item.future.done()]
        self.waiting.took(rows, now, bool(lane.items) or rows >= self._max_rows)
        self.waiting.busy = False
        if not lane.items:
            del self._lanes[oldest[1]]
        batch = Batch(taken, lane.parameters)
        for item in taken:
            item.batch = batch
        return batch

    async def _run(self, batch: Batch) -> None:
        items = batch.items
        started = time.monotonic()
        try:
            await self._compute(batch, started)
        except asyncio.CancelledError:
            for item in items:
                item.future.cancel()
        except AT_FAULT as error:
            await self._blame.find_out(batch, error, self._compute)
        except Exception as error:
            fail(items, error)
        finally:
            for item in items:
                item.batch = None  # else they would hold each other until the garbage collector comes
            self._running -= 1
            self._linger(items)
            self._next(len(items))

    def _next(self, requests: int) -> None:
        """After a batch of so many."""
        together = requests > 1 or len(self._lanes) > 0
        self._company = together and self._max_wait <= 0 and self._usual_s <= _LONG_S
        if self._company and 0 < self.waiting.ahead < self._max_rows:
            self._gather()
        else:
            self._pump()

    def _gather(self) -> None:
        self._gathering.begin(min(_GATHER * self._usual_s, _GATHER_MOST_S))

    def _linger(self, items: list[Item]) -> None:
        self._expected = 0
        if len(items) > 1 and self._usual_s > _LONG_S:
            queued = sum(lane.rows for lane in self._lanes.values())
            self._expected = min(sum(item.rows for item in items) + queued, self._max_rows)
            self._until = time.monotonic() + min(_LINGER * self._usual_s, _LINGER_MOST_S)

    async def _compute(self, batch: Batch, started: float) -> None:
        """One execution; to each of its requests its own rows."""
        items = batch.items
        ASKING.set([id for item in items for id in item.asking])
        inputs = items[0].inputs
        if len(items) > 1:
            inputs = {name: np.concatenate([item.inputs[name] for item in items]) for name in inputs}
        queued = sum(started - item.arrived for item in items)
        rows = sum(item.rows for item in items)
        began = time.monotonic()
        outputs = await self._execute(inputs, batch.parameters)
        ended = time.monotonic()
        hand_out(items, outputs)
        self._executed(rows, len(items), queued, started, began, ended)

    def _executed(
        self, rows: int, requests: int, queued: float, started: float, began: float, ended: float
    ) -> None:
        """Remember how long one took that computed from `began` to `ended`; tell `observe`."""
        spent = ended - began
        self._usual_s += (spent - self._usual_s) / 8
        if self._observe is not None:
            after = time.monotonic() - ended
            self._observe(rows, requests, queued, spent, began - started, after)

    def close(self) -> None:
        """Refuse what waits and what comes; what runs may finish."""
        self._closed = True
        for lane in self._lanes.values():
            fail(list(lane.items), Gone("the model is being removed"))
        self._lanes.clear()
        self.waiting.ahead = 0
