"""One stream's requests side by side: their answers in order or as they come, never more than fit."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractContextManager, aclosing, nullcontext

from serve_app.ingress.idle import IdleStreams

_AHEAD = 4  # answers that wait for a reader who is slower than the models

# Begins one request: its answers, and whether they have to keep their place among the others. Raises
# nothing, and neither do the answers: what fails answers so.
Begin = Callable[[bytes], tuple[AsyncGenerator[bytes, None], bool]]

# Stands around each request.
Counted = Callable[[], AbstractContextManager[None]]


class SideBySide:
    """At most `most` requests at once, and no more than one beyond `most_bytes` of them together.

    A request counts until its reader has room for its last answer, and so do answers that wait for
    their turn. While they are too many nobody reads on, and the client's own transport makes it wait.
    """

    def __init__(
        self,
        begin: Begin,
        most: int,
        most_bytes: int,
        counted: Counted = nullcontext,
        idle: IdleStreams | None = None,
        client: str = "",
    ) -> None:
        self._counted = counted
        self._begin, self._most, self._most_bytes = begin, most, most_bytes
        self._jobs: set[asyncio.Task[None]] = set()
        self._bytes = 0
        self._fewer = asyncio.Event()
        self._out: asyncio.Queue[bytes | Exception | None] = asyncio.Queue()
        self._space = asyncio.Semaphore(_AHEAD)
        self._idle = (idle or IdleStreams()).of(client, self._out.put_nowait)

    async def answers(self, requests: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
        """All of them, until the last request is answered. Closing it cancels what runs.

        Raises Unavailable when it was idle and has to end.
        """
        self._idle.idle()
        reader = asyncio.create_task(self._read(requests))
        reader.add_done_callback(lambda _: self._out.put_nowait(None))
        try:
            while (answer := await self._out.get()) is not None:
                if isinstance(answer, Exception):
                    raise answer
                self._space.release()
                yield answer
            await reader  # what it failed with
        finally:
            self._idle.over()
            tasks = [reader, *self._jobs]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _read(self, requests: AsyncIterator[bytes]) -> None:
        before = asyncio.Event()
        before.set()
        async for data in requests:
            self._idle.busy()
            answers, in_order = self._begin(data)
            done = asyncio.Event()
            task = asyncio.create_task(self._run(answers, before if in_order else None, done, len(data)))
            self._jobs.add(task)
            self._bytes += len(data)
            task.add_done_callback(self._jobs.discard)
            if in_order:
                before = done
            while len(self._jobs) >= self._most or self._bytes > self._most_bytes:
                self._fewer.clear()
                await self._fewer.wait()
        while self._jobs:
            await asyncio.wait(self._jobs)

    async def _run(
        self,
        answers: AsyncGenerator[bytes, None],
        before: asyncio.Event | None,
        done: asyncio.Event,
        size: int,
    ) -> None:
        try:
            with self._counted():
                async with aclosing(answers):
                    async for answer in answers:
                        self._bytes += len(answer)
                        if before is not None:
                            await before.wait()
                        await self._space.acquire()
                        self._out.put_nowait(answer)
                        self._bytes -= len(answer)
        finally:
            done.set()
            self._bytes -= size
            self._jobs.discard(asyncio.current_task())
            if not self._jobs:
                self._idle.idle()
            self._fewer.set()
