"""The threads of one model: as many as it computes at once, and another where one hangs.

Python can't end a thread. One that goes on computing although nobody waits for it any more, after
`hang_after` seconds, is left to itself: it is counted, another one takes its place, and what waited
behind it goes on. More than `may_lose` of them at a time, and the model is refused with the reason.
"""

import asyncio
import contextlib
import logging
import queue
import threading
import time
import weakref
from collections import Counter
from collections.abc import Callable
from typing import Any, TypeVar

from serve_app.errors import Unavailable
from serve_app.runtimes.in_thread import where

log = logging.getLogger("tandem")

T = TypeVar("T")

ABANDONED: Counter[str] = Counter()  # threads by model, since this process began
MAY_HANG = 3  # threads of a model in the Router, until it is unavailable
_HERE = threading.local()  # in one of these threads, its `worker`
_LOOK_S = 0.1  # how often a pool that ends looks for one that hangs


class _Call:
    """One prediction. Whoever waits for it may leave while it runs."""

    __slots__ = ("__weakref__", "arguments", "began", "future", "left", "work")

    def __init__(
        self, work: Callable[..., Any], arguments: tuple[Any, ...], future: asyncio.Future[Any]
    ) -> None:
        self.work, self.arguments, self.future = work, arguments, future
        self.began, self.left = 0.0, False


def _settle(future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    if future.done():
        return  # nobody waits for it any more
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)


class _Worker:
    """A thread, the call that it runs, and whether it was left to itself."""

    def __init__(self) -> None:
        self.thread: threading.Thread | None = None
        self.call: _Call | None = None
        self.lost = False


def nobody_waits() -> bool:
    """In a prediction that asks, now and then: whether it may as well end."""
    worker: _Worker | None = getattr(_HERE, "worker", None)
    call = worker.call if worker else None
    return call is not None and call.future.cancelled()


class Threads:
    """`on_trouble` is told on the event loop why calls are refused, and '' when they no longer are.
    `kind`: of what `model` is the name, for the log.

    An executor of Python's own would do the same by futures and conditions that threads can share: 34
    microseconds of CPU for a call instead of 21, where a whole request takes 100.
    """

    def __init__(
        self,
        size: int,
        model: str,
        hang_after: float,
        may_lose: int = 0,
        on_trouble: Callable[[str], None] = lambda reason: None,
        kind: str = "model",
    ) -> None:
        self._size, self._model, self._kind = size, model, kind
        self._hang_after, self._may_lose, self._on_trouble = hang_after, may_lose, on_trouble
        self._queue: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._calls = 0  # queued or running, without those of lost threads
        self._lock = threading.Lock()
        self._workers: list[_Worker] = []
        self._lost: list[_Worker] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False
        self.trouble = ""
        self._users = 0  # versions that run here

    def stand_by(self) -> None:
        """Have one thread that waits."""
        with self._lock:
            if not self._workers and not self._closed:
                self._add()

    async def run(self, work: Callable[..., T], *arguments: Any) -> T:
        """What it returns or raises, in one of the threads; Unavailable while too many hang."""
        if self.trouble:
            raise Unavailable(self.trouble)
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        call = _Call(work, arguments, future)
        with self._lock:
            if self._closed:
                raise RuntimeError("these threads have ended")
            self._calls += 1
            self._queue.put(call)
            if len(self._workers) < min(self._calls, self._size):
                self._add()
        try:
            return await future
        except asyncio.CancelledError:
            if call.began and future.cancelled():  # not the model's own
                call.left = True
                self._watch(call)
            raise
        finally:
            del call, future  # what was raised would hold them, and they it

    def _watch(self, call: _Call) -> None:
        """Nobody waits for a call any more; it may hang."""
        with contextlib.suppress(RuntimeError):  # no loop: nobody would serve either
            self._loop = asyncio.get_running_loop()
            rest = self._hang_after - (time.monotonic() - call.began)
            # A weak reference: what it returns shouldn't live for as long as the timer.
            self._loop.call_later(max(rest, 0), self._look, weakref.ref(call))

    def _look(self, reference: "weakref.ref[_Call]") -> None:
        call = reference()
        with self._lock:
            found = next((one for one in self._workers if call and one.call is call), None)
            if found is None or self._closed:
                return
            self._leave(found)
        self._told()

    def _leave(self, worker: _Worker) -> None:
        """To itself, with the lock held."""
        assert worker.thread is not None
        ABANDONED[self._model] += 1
        worker.lost = True
        self._workers.remove(worker)
        self._lost.append(worker)
        self._calls -= 1
        seconds = time.monotonic() - (worker.call.began if worker.call else 0)
        log.error(
            "a prediction of %s '%s' hangs: it runs for %.0f s, and nobody waits for it any more. "
            "Its thread is left to itself (%d by now):\n%s",
            self._kind, self._model, seconds, len(self._lost), where(worker.thread),
        )  # fmt: skip
        if len(self._lost) > self._may_lose:
            self.trouble = (
                f"{len(self._lost)} of its predictions hang, for more than {self._hang_after:g} s"
            )
            with contextlib.suppress(queue.Empty):
                while (waiting := self._queue.get_nowait()) is not None:
                    self._calls -= 1
                    _settle(waiting.future, None, Unavailable(self.trouble))
        else:
            self._add()

    def _returned(self, worker: _Worker) -> None:
        with self._lock:
            self._lost.remove(worker)
            log.warning("a prediction of %s '%s' that hung has ended", self._kind, self._model)
            if not self.trouble or len(self._lost) > self._may_lose:
                return
            self.trouble = ""
            if not self._closed:
                self._add()
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._told)

    def _told(self) -> None:
        if not self._closed:
            self._on_trouble(self.trouble)

    def _add(self) -> None:
        worker = _Worker()
        name = f"{self._kind}-{self._model}_{len(self._workers)}"
        # A daemon: a process that ends doesn't wait for one that hangs.
        worker.thread = threading.Thread(target=self._work, args=(worker,), name=name, daemon=True)
        self._workers.append(worker)
        worker.thread.start()

    def _work(self, me: _Worker) -> None:
        _HERE.worker = me
        while (call := self._queue.get()) is not None:
            call.began = time.monotonic()  # first: who leaves looks at it when the future is cancelled
            me.call = call  # and who waits until nothing runs any more looks there
            result: Any = None
            error: BaseException | None = None
            if not (left := call.future.cancelled()):
                try:
                    result = call.work(*call.arguments)
                except BaseException as raised:
                    error = raised
            with self._lock:
                me.call = None
                if not me.lost:
                    self._calls -= 1
            if not left:
                with contextlib.suppress(RuntimeError):  # the loop has ended
                    call.future.get_loop().call_soon_threadsafe(_settle, call.future, result, error)
            del call, result, error  # nothing is kept while this waits for the next
            if me.lost:
                self._returned(me)
                return

    def wait_for(self, owner: object) -> None:
        """Until none of them runs a method of `owner`, or what does hangs. Blocks.

        Whoever had asked for one has its answer, or has left, by then: so none begins, either.
        """
        while any(self._runs(worker, owner) for worker in list(self._workers)):
            time.sleep(_LOOK_S)

    def _runs(self, worker: _Worker, owner: object) -> bool:
        call = worker.call
        own = call is not None and getattr(call.work, "__self__", None) is owner
        return own and not self._hangs(worker)

    def hold(self) -> bool:
        """One version more runs here; False where they have ended."""
        with self._lock:
            self._users += not self._closed
            return not self._closed

    def release(self) -> None:
        """One fewer; with the last one they end. Blocks."""
        with self._lock:
            self._users -= 1
        self.end_unused()

    def end_unused(self) -> None:
        """End, where no version runs here. Blocks."""
        with self._lock:
            self._closed = self._closed or not self._users
        if self._closed:
            self.shutdown()

    def shutdown(self) -> None:
        """No more calls; returns when those that there are have ended, or hang."""
        for worker in self.end():
            while worker.thread and worker.thread.is_alive() and not self._hangs(worker):
                worker.thread.join(_LOOK_S)

    def end(self) -> list[_Worker]:
        """No more calls; those that there are may end."""
        with self._lock:
            self._closed = True
            workers = list(self._workers)
            for _ in workers:
                self._queue.put(None)
        return workers

    def _hangs(self, worker: _Worker) -> bool:
        call = worker.call
        late = call is not None and call.left and time.monotonic() - call.began > self._hang_after
        return worker.lost or late
