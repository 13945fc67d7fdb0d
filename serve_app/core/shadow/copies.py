"""The copies of one model's requests: a queue, a limit and a memory of their own.

A copy goes straight to its version: not through the bracket, so it takes no place, and counts neither as
a request nor as its time. It starts when nobody waits for the version that answers, nor for its own.
"""

import asyncio
import contextvars
import logging
import time
import weakref
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Protocol

from serve_app.config import Shadow
from serve_app.core.asking import ASKING
from serve_app.core.directory import Directory
from serve_app.core.shadow.answering import (
    AWAY,
    BROKEN,
    BUSY,
    BYTES,
    QUEUE,
    REPLACED,
    Dropped,
    answered,
)
from serve_app.core.shadow.jobs import Job, size_of
from serve_app.core.shadow.judging import HERE, example, judged, readable
from serve_app.core.version import State, Version
from serve_app.routing.comparing import Compared
from serve_app.routing.tally import Pair

log = logging.getLogger("tandem")

_LOOK_S = 0.01  # from one look whether nobody waits to the next
_BUSY_S = 5.0  # so long a copy waits for that

Apart = Callable[[Callable[[], Any]], "asyncio.Future[Any]"]


class Hears(Protocol):
    """Is told what becomes of copies."""

    def compared(self, pair: Pair, job: Job, found: Compared) -> None:
        """One was, and is counted in `pair`."""

    def dropped(self, model: str, version: str, reason: str) -> None:
        """One came to nothing; the reasons are in `answering`."""


class Copies:
    """Of one model's shadow, as `config` has it. `apart` runs what takes long in a thread."""

    def __init__(
        self, model: str, config: Shadow, directory: Directory, hears: Hears, apart: Apart
    ) -> None:
        self.model, self.config = model, config
        self._directory, self._hears, self._apart = directory, hears, apart
        self.held = 0  # bytes
        self.copied = 0
        self.dropped: Counter[str] = Counter()
        self.pairs: dict[tuple[str, str], Pair] = {}
        self._of: dict[tuple[str, str], tuple[weakref.ref[Version], weakref.ref[Version]]] = {}
        self._queue: deque[Job] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self.closed = False

    @property
    def waiting(self) -> int:
        """Copies that haven't begun."""
        return len(self._queue)

    def drop(self, reason: str) -> None:
        """One more request of which nothing comes."""
        self.dropped[reason] += 1
        self._hears.dropped(self.model, self.config.version, reason)

    def hold(self, job: Job, size: int) -> bool:
        """Whether there is memory for so much more of it."""
        if self.held + size > self.config.max_bytes:
            return False
        self.held += size
        job.size += size
        return True

    def release(self, job: Job) -> None:
        """Its memory is free."""
        self.held -= job.size
        job.size = 0

    def put(self, job: Job) -> None:
        """One more to copy."""
        if self.closed or len(self._queue) >= self.config.max_queued:
            self.drop(QUEUE)
            self.release(job)
            return
        self._queue.append(job)
        self._start()

    def close(self) -> None:
        """No more of them; what runs is stopped."""
        self.closed = True
        while self._queue:
            self.release(self._queue.popleft())
        for task in self._tasks:
            task.cancel()

    def _start(self) -> None:
        while self._queue and len(self._tasks) < self.config.concurrency:
            # A context of its own: it isn't the request's, whose task this may be.
            task = asyncio.get_running_loop().create_task(
                self._run(self._queue.popleft()), context=contextvars.Context()
            )
            self._tasks.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not self.closed:
            self._start()

    async def _run(self, job: Job) -> None:
        ASKING.set((f"{job.request.id} (shadow)",))
        other = replace(job, size=0, answer={}, pieces=[], body=[], error="")
        try:
            version = await self._its_turn(job)
            began = time.monotonic()
            await answered(version, other, self.config.timeout, self.hold)
            other.seconds = time.monotonic() - began
            await self._compared(job, other, version)
        except Dropped as error:
            self.drop(str(error))
        except Exception:  # of ours: no request may notice
            log.exception("a copy of a request of model '%s' failed", self.model)
            self.drop(BROKEN)
        finally:
            self.release(other)
            self.release(job)

    async def _its_turn(self, job: Job) -> Version:
        """The version, once nobody waits for it, nor for the one that answers."""
        until = time.monotonic() + _BUSY_S
        while True:
            version = self._version(self.config.version)
            if version is None:
                raise Dropped(AWAY)
            if not _asked(version) and not _asked(self._version(job.primary)):
                return version
            if time.monotonic() > until:
                raise Dropped(BUSY)
            await asyncio.sleep(_LOOK_S)

    def _version(self, number: str) -> Version | None:
        model = self._directory.models.get(self.model)
        version = model.versions.get(number) if model else None
        ready = version is not None and version.state is State.READY and not version.cold
        return version if ready else None

    async def _compared(self, job: Job, other: Job, version: Version) -> None:
        if not (readable(job) and readable(other)):
            raise Dropped(BYTES)
        generated = version.about.engine is not None
        work = partial(judged, job, other, self.config.outputs, generated)
        found, answer, copy = work() if _small(job, other) else await self._apart(work)
        there = self._version(job.primary), self._version(version.number)
        if job.version is None or (job.version(), version) != there:
            raise Dropped(REPLACED)  # it says nothing of those that are there now
        self.copied += 1
        pair = self._pair(job, version)
        pair.count(found, (job.seconds, other.seconds))
        if found.differences and self.config.examples:
            pair.examples.append(example(job, version.number, found, answer, copy, other.error))
            while len(pair.examples) > self.config.examples:
                pair.examples.popleft()
        self._hears.compared(pair, job, found)

    def _pair(self, job: Job, version: Version) -> Pair:
        """Of these two, not of others that had their numbers."""
        key = job.primary, version.number
        assert job.version is not None
        both = job.version, weakref.ref(version)
        if self._of.get(key) != both:
            self._of[key], self.pairs[key] = both, Pair(*key)
        return self.pairs[key]

    @property
    def plain(self) -> Mapping[str, Any]:
        """What came of it so far, in this Router."""
        return {
            "copied": self.copied, "waiting": self.waiting, "dropped": dict(self.dropped),
            "pairs": [pair.plain for pair in self.pairs.values()],
        }  # fmt: skip


def _asked(version: Version | None) -> bool:
    """Whether somebody waits for it."""
    return version is not None and version.waiting is not None and version.waiting.ahead > 0


def _small(*jobs: Job) -> bool:
    size = sum(len(piece) for job in jobs for piece in job.body)
    arrays = (one for job in jobs for answer in (job.answer, *job.pieces) for one in answer.values())
    return size + sum(map(size_of, arrays)) < HERE
