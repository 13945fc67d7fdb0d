"""What an engine's front end, vLLM's own HTTP application, does otherwise behind a Router."""

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any

from serve_app.internals.vllm_app import VllmApp

# A request that takes longer has a long prompt, or waits for something: the next one goes on beside it.
LONGEST_S = 0.002
_done: ContextVar[Callable[[], None] | None] = ContextVar("done", default=None)


def behind_router(front: VllmApp) -> None:
    """Change the application, not yet called: nothing that nobody reads, and requests take turns."""
    turns = Turns()
    front.wrap(turns.around, turns.until)


class Turns:
    """One request at a time, until the engine has it.

    Left alone, a dozen coroutines wait for one another at each of their steps, and the first request
    comes to the engine hardly before the last; until then the engine has nothing to do.
    """

    def __init__(self) -> None:
        self._free = asyncio.Lock()

    def around(self, app: Any) -> Callable[..., Awaitable[None]]:
        """The ASGI application `app`, whose requests take turns."""

        async def in_turn(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] != "http":
                await app(scope, receive, send)
                return
            await self._free.acquire()
            done = self._once()
            _done.set(done)
            try:
                await app(scope, receive, send)
            finally:
                done()

        return in_turn

    def until(self, function: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        """`function`, after which the turn of the request that calls it is over."""

        async def last(*args: Any, **kwargs: Any) -> Any:
            result = await function(*args, **kwargs)
            if done := _done.get():
                done()
            return result

        return last

    def _once(self) -> Callable[[], None]:
        going = True

        def done() -> None:
            nonlocal going
            if going:
                going = False
                late.cancel()
                self._free.release()

        late = asyncio.get_running_loop().call_later(LONGEST_S, done)
        return done
