"""Work in a thread of its own, which may never come back: nothing else waits for it."""

import asyncio
import queue
import sys
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")

# A thread that has nothing to do waits so long for more. Who starts one waits until it runs: on the
# event loop, while others load, that can be milliseconds.
_KEPT_S = 30.0


def where(thread: threading.Thread) -> str:
    """What it is doing, as a traceback has it."""
    frame = sys._current_frames().get(thread.ident or 0)
    return "".join(traceback.format_stack(frame)) if frame else ""


def in_thread(work: Callable[[], T], name: str) -> tuple[asyncio.Future[T], threading.Thread]:
    """Begin it in a thread that does nothing else, a daemon: a process that ends doesn't wait for it."""
    done: Future[T] = Future()
    done.set_running_or_notify_cancel()  # whoever waits may leave, it goes on

    def run() -> None:
        try:
            result = work()
        except BaseException as error:
            done.set_exception(error)
        else:
            done.set_result(result)

    try:
        kept = _KEPT.pop()
    except IndexError:
        kept = _Kept()
    kept.name = name
    kept.work.put(run)
    if not kept.ident:
        kept.start()
    return asyncio.wrap_future(done), kept


async def apart(work: Callable[[], T], name: str) -> T:
    """What it returns. For what may take long: the loop's own threads are few, and for what doesn't."""
    return await in_thread(work, name)[0]


class _Kept(threading.Thread):
    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.work = queue.SimpleQueue[Callable[[], None]]()

    def run(self) -> None:
        work: Callable[[], None] | None = self.work.get()
        while work is not None:
            work()
            work = None  # nothing of it is kept while this waits
            _KEPT.append(self)
            try:
                work = self.work.get(timeout=_KEPT_S)
            except queue.Empty:
                try:
                    _KEPT.remove(self)
                except ValueError:  # it was just taken
                    work = self.work.get()


_KEPT: list[_Kept] = []


class Raised:
    """What a user's code raised in a thread. Not as the future's exception: asyncio lets some of those
    out of its loop, and of StopIteration it never hears.
    """

    def __init__(self, error: BaseException) -> None:
        self.error = error


def caught(function: Callable[..., Any], *arguments: Any) -> Any:
    """In such a thread: what it returns, or Raised."""
    try:
        return function(*arguments)
    except BaseException as error:
        return Raised(error)
