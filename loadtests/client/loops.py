"""Closed and open loops over senders, and the record of what happened.

Times are `time.monotonic()`, which all processes of a machine share.
"""

import asyncio
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

Send = Callable[[int], Awaitable[tuple[str, bytes]]]
_PAUSE_S = 0.05  # after a failure, or a closed loop would spin while nobody is there


@dataclass
class Record:
    """One entry per request: when it was due, sent and answered, and whether it was."""

    keep_every: int = 0  # every nth answer's body is kept
    due: list[float] = field(default_factory=list)
    sent: list[float] = field(default_factory=list)
    done: list[float] = field(default_factory=list)
    failed: list[bool] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)
    late: list[float] = field(default_factory=list)  # seconds from due until this program noticed
    kept: dict[int, bytes] = field(default_factory=dict)

    def add(self, turn: int, due: float, sent: float, error: str, body: bytes) -> None:
        """A request that has just ended."""
        self.due.append(due)
        self.sent.append(sent)
        self.done.append(time.monotonic())
        self.failed.append(bool(error))
        if error:
            self.errors[error] += 1
        elif self.keep_every and turn % self.keep_every == 0:
            self.kept[turn] = body


async def closed(sends: list[Send], until: float, first: int, step: int, record: Record) -> None:
    """Each sender has one request in flight until the time is over; turns count on from `first`."""

    async def one(send: Send, turn: int) -> None:
        while (now := time.monotonic()) < until:
            error, body = await send(turn)
            record.add(turn, now, now, error, body)
            turn += step
            if error:
                await asyncio.sleep(_PAUSE_S)

    await asyncio.gather(*(one(send, first + at) for at, send in enumerate(sends)))


async def opened(
    sends: list[Send], schedule: list[tuple[int, float]], patience: float, record: Record
) -> None:
    """Each (turn, time) of the schedule is sent when it is due, or as soon as a sender is free.

    What has no answer `patience` seconds after the last was due, has failed.
    """
    idle, waiting = deque(sends), deque[tuple[int, float]]()
    pending: dict[int, tuple[float, float]] = {}
    tasks: set[asyncio.Task[None]] = set()

    async def work(send: Send) -> None:
        while waiting:
            turn, due = waiting.popleft()
            pending[turn] = due, time.monotonic()
            error, body = await send(turn)
            record.add(turn, *pending.pop(turn), error, body)
        idle.append(send)

    for turn, due in schedule:
        if (pause := due - time.monotonic()) > 0:
            await asyncio.sleep(pause)
        record.late.append(max(0.0, time.monotonic() - due))
        waiting.append((turn, due))
        if idle:
            task = asyncio.create_task(work(idle.popleft()))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
    if tasks:
        await asyncio.wait(tasks, timeout=patience)
    for turn, (due, sent) in pending.items():
        record.add(turn, due, sent, "no answer in time", b"")
    for turn, due in waiting:
        record.add(turn, due, time.monotonic(), "no connection was free in time", b"")
    waiting.clear()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
