"""Closed and open loops over senders, and the record of what happened.

Times are `time.monotonic()`, which all processes of a machine share.
"""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field

Send = Callable[[int], Awaitable[tuple[str, bytes]]]  # a turn to an error ('' for none) and a body
_PAUSE_S = 0.05  # after a failure, or a closed loop would spin while nobody is there
_LATE = "no answer in time"


@dataclass
class Record:
    """One entry per request: when it was due, sent and over, and what went wrong ('' if nothing)."""

    keep_every: int = 0  # every nth answer's body is kept
    due: list[float] = field(default_factory=list)
    sent: list[float] = field(default_factory=list)
    done: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    late: list[float] = field(default_factory=list)  # seconds from due until this program noticed
    kept: dict[int, bytes] = field(default_factory=dict)
    pending: dict[int, tuple[float, float]] = field(default_factory=dict)  # due and sent, by turn

    async def ask(self, send: Send, turn: int, due: float) -> str:
        """One request, recorded; its error."""
        sent = time.monotonic()
        self.pending[turn] = due, sent
        error, body = await send(turn)
        del self.pending[turn]
        self.add(due, sent, error)
        if self.keep_every and turn % self.keep_every == 0 and not error:
            self.kept[turn] = body
        return error

    def add(self, due: float, sent: float, error: str) -> None:
        """A request that is over."""
        self.due.append(due)
        self.sent.append(sent)
        self.done.append(time.monotonic())
        self.errors.append(error)


def kinds(errors: Iterable[str], most: int = 20) -> Counter[str]:
    """How often which came, `most` of them as they are; others without what a server said to them."""
    found: Counter[str] = Counter()
    for error in errors:
        whole = error in found or len(found) < most
        found[error if whole else error.partition(":")[0]] += 1
    return found


async def closed(
    sends: list[Send], until: float, first: int, step: int, patience: float, record: Record
) -> None:
    """Each sender has one request in flight until the time is over; turns count on from `first`.

    What has no answer `patience` seconds after that, has failed.
    """

    async def one(send: Send, turn: int) -> None:
        while (now := time.monotonic()) < until:
            if await record.ask(send, turn, now):
                await asyncio.sleep(_PAUSE_S)
            turn += step

    tasks = {asyncio.create_task(one(send, first + at)) for at, send in enumerate(sends)}
    await _end(tasks, until - time.monotonic() + patience, record)


async def opened(
    sends: list[Send], schedule: list[tuple[int, float]], patience: float, record: Record
) -> None:
    """Each (turn, time) of the schedule is sent when it is due, or as soon as a sender is free.

    What has no answer `patience` seconds after the last was due, has failed.
    """
    waiting: asyncio.Queue[tuple[int, float]] = asyncio.Queue()

    async def work(send: Send) -> None:
        while True:
            await record.ask(send, *await waiting.get())
            waiting.task_done()

    tasks = {asyncio.create_task(work(send)) for send in sends}
    for turn, due in schedule:
        if (pause := due - time.monotonic()) > 0:
            await asyncio.sleep(pause)
        record.late.append(max(0.0, time.monotonic() - due))
        waiting.put_nowait((turn, due))
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(waiting.join(), patience)
    while not waiting.empty():
        _, due = waiting.get_nowait()
        record.add(due, time.monotonic(), "no connection was free in time")
    await _end(tasks, 0, record)


async def _end(tasks: set["asyncio.Task[None]"], patience: float, record: Record) -> None:
    """Wait so long, then give up what has no answer; a task's own exception comes out."""
    done, hanging = await asyncio.wait(tasks, timeout=max(0, patience))
    for due, sent in record.pending.values():
        record.add(due, sent, _LATE)
    for task in hanging:
        task.cancel()
    await asyncio.gather(*hanging, return_exceptions=True)
    for task in done:
        task.result()
