"""Cancelling what takes too long or lost its client, at next to no cost for the rest."""

import asyncio
import weakref
from collections.abc import Callable, Coroutine
from typing import Any


class Deadline:
    """One task's limit: `with deadlines.within(seconds):` raises TimeoutError when it is passed."""

    __slots__ = ("_already", "_owner", "end", "passed", "task")

    def __init__(self, owner: "Deadlines", task: asyncio.Task[Any], end: float) -> None:
        self._owner, self.task, self.end = owner, task, end
        self._already = task.cancelling()
        self.passed = False

    def __enter__(self) -> "Deadline":
        self._owner.add(self)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> None:
        self._owner.remove(self)
        # A cancellation from elsewhere that came on top of ours goes on as one.
        if self.passed and self.task.uncancel() <= self._already and kind is asyncio.CancelledError:
            raise TimeoutError


_ALL: "weakref.WeakSet[Deadlines]" = weakref.WeakSet()


class Deadlines:
    """All running limits share one timer, set for the earliest: most end long before theirs.

    `asyncio.timeout` sets and clears a timer for every request, a twentieth of a small one's time.
    """

    def __init__(self) -> None:
        self._running: dict[Deadline, None] = {}
        self._due = 0.0
        self._timer: asyncio.TimerHandle | None = None
        _ALL.add(self)

    @property
    def running(self) -> list[Deadline]:
        """Those that haven't ended."""
        return list(self._running)

    def within(self, seconds: float) -> Deadline:
        """A limit for the current task from now on."""
        task = asyncio.current_task()
        assert task is not None
        return Deadline(self, task, asyncio.get_running_loop().time() + seconds)

    def add(self, deadline: Deadline) -> None:
        self._running[deadline] = None
        if self._timer is None or deadline.end < self._due:
            self._set(deadline.end)

    def remove(self, deadline: Deadline) -> None:
        """It ended in time, or not."""
        self._running.pop(deadline, None)

    def _set(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._due = when  # not kept by the handles of every event loop
        self._timer = asyncio.get_running_loop().call_at(when, self._fire)

    def _fire(self) -> None:
        self._timer = None
        now = asyncio.get_running_loop().time()
        for deadline in [one for one in self._running if one.end <= now]:
            del self._running[deadline]
            deadline.passed = True
            deadline.task.cancel()
        if self._running:
            self._set(min(one.end for one in self._running))


def left() -> float | None:
    """Seconds until the current task's limit, None where it has none. It looks at all that run: for
    those who hand their limit on to another server, not for each request.
    """
    task, now = asyncio.current_task(), asyncio.get_running_loop().time()
    found = [one.end for owner in _ALL for one in owner.running if one.task is task]
    return max(0.0, min(found) - now) if found else None


class Departures:
    """Cancels a request's task when its client leaves.

    To notice, somebody has to wait for it: a task per request, more work than a quick request is.
    So only those that are still running at the next look, at most `look_every` seconds on, get one.
    """

    def __init__(self, look_every: float = 0.05) -> None:
        self._look_every = look_every
        self._new: dict[asyncio.Task[Any], Callable[[], Coroutine[Any, Any, None]]] = {}
        self._watchers: dict[asyncio.Task[Any], asyncio.Task[None]] = {}
        self._gone: set[asyncio.Task[Any]] = set()
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, departure: Callable[[], Coroutine[Any, Any, None]]) -> asyncio.Task[Any]:
        """Watch over the current task until `forget`; `departure()` returns when the client left."""
        task = asyncio.current_task()
        assert task is not None
        self._new[task] = departure
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._look_every, self._look)
        return task

    def forget(self, task: asyncio.Task[Any]) -> bool:
        """It is over; whether that was because its client left."""
        self._new.pop(task, None)
        if watcher := self._watchers.pop(task, None):
            watcher.cancel()
        if task in self._gone:
            self._gone.discard(task)
            task.uncancel()
            return True
        return False

    def _look(self) -> None:
        self._timer = None
        for task, departure in self._new.items():
            self._watchers[task] = asyncio.create_task(self._wait(task, departure))
        self._new.clear()

    async def _wait(
        self, task: asyncio.Task[Any], departure: Callable[[], Coroutine[Any, Any, None]]
    ) -> None:
        await departure()
        if task in self._watchers:
            self._gone.add(task)
            task.cancel()
