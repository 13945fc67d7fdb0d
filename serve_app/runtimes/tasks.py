"""Tasks that a user's coroutine starts: what would end the event loop ends such a task alone.

asyncio lets SystemExit and KeyboardInterrupt of any task out of the loop, and the process then answers
nobody any more.
"""

import asyncio
from collections.abc import Coroutine, Generator
from contextvars import ContextVar
from typing import Any

_USERS: ContextVar[bool] = ContextVar("users_tasks", default=False)


def contain_tasks() -> None:
    """Those that are started from here on, in this context, and theirs."""
    _USERS.set(True)
    loop = asyncio.get_running_loop()
    if loop.get_task_factory() is None:
        loop.set_task_factory(_task)


def _task(loop: asyncio.AbstractEventLoop, coro: Any, **more: Any) -> "asyncio.Task[Any]":
    if _USERS.get() and isinstance(coro, Coroutine):
        coro = _Contained(coro)
    return asyncio.Task(coro, loop=loop, **more)


class _Contained(Coroutine[Any, Any, Any]):
    """The coroutine that it is made of, in all else."""

    def __init__(self, coro: Coroutine[Any, Any, Any]) -> None:
        self._coro = coro

    def __getattr__(self, name: str) -> Any:
        return getattr(self._coro, name)

    def send(self, value: Any) -> Any:
        try:
            return self._coro.send(value)
        except (SystemExit, KeyboardInterrupt) as error:
            raise _ended(error) from error

    def throw(self, *error: Any) -> Any:
        try:
            return self._coro.throw(*error)
        except (SystemExit, KeyboardInterrupt) as found:
            raise _ended(found) from found

    def close(self) -> None:
        self._coro.close()

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._coro.__await__()


def _ended(error: BaseException) -> RuntimeError:
    return RuntimeError(f"{type(error).__name__} in a task: {error}")


def ended(error: BaseException, task: "asyncio.Task[Any] | None") -> bool:
    """Whether it comes from outside and ends what `task` runs, and no user's code raised it."""
    if isinstance(error, asyncio.CancelledError):
        return task is not None and task.cancelling() > 0
    if isinstance(error, GeneratorExit):  # a coroutine is closed while no task goes on with it
        try:
            return task is None or asyncio.current_task() is not task
        except RuntimeError:  # nor is there a loop any more
            return True
    return False
