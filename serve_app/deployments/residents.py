"""Many models in one Router: in memory are those that were asked for last."""

import asyncio
import time
from collections import Counter

from serve_app.core.directory import INLINE, Directory
from serve_app.core.oldest import Oldest
from serve_app.deployments.background import Background
from serve_app.deployments.inline import InlineModels
from serve_app.errors import Unavailable
from serve_app.releases.reconcile import Actual
from serve_app.runtimes.in_thread import apart

PARALLEL = 4  # models that are loaded at a time
AGAIN_S = 10.0  # so long a model that couldn't be loaded isn't tried again
_LOOK_S = 0.01  # while all of them are in use


class Residents:
    """Inline models that are loaded when they are asked for, at most `most` of them at a time."""

    def __init__(
        self,
        models: InlineModels,
        directory: Directory,
        actual: Actual,
        background: Background,
    ) -> None:
        self.most: int | None = None
        self._models, self._directory, self._actual = models, directory, actual
        self._background, self._counts = background, directory.cold
        self._coming: dict[str, asyncio.Task[None]] = {}
        self._asked = Counter[str]()  # requests that wait, by model
        self._loading, self._leaving = set[str](), set[str]()
        self._since: dict[str, float] = {}  # when they were loaded, as `time.time()`
        self._failed: dict[str, tuple[float, str]] = {}  # until when they aren't tried again, and why
        self._turns = asyncio.Semaphore(PARALLEL)
        self._oldest = Oldest(self._used)

    async def wake(self, name: str) -> None:
        """Have a model that rests in memory. Unavailable where it can't be loaded."""
        self._refuse(name)
        task = self._coming.get(name)
        if task is None:
            task = self._coming[name] = asyncio.create_task(self._bring(name))
        began = time.monotonic()
        self._asked[name] += 1
        try:
            await asyncio.shield(task)
        finally:
            self._asked[name] -= 1
            if not self._asked[name]:
                del self._asked[name]
            self._counts.waits.append(time.monotonic() - began)
        self._refuse(name)

    def _refuse(self, name: str) -> None:
        until, reason = self._failed.get(name, (0.0, ""))
        if (seconds := until - time.monotonic()) > 0:
            error = Unavailable(f"model '{name}' is not ready: {reason}")
            error.retry_after = seconds
            raise error

    async def _bring(self, name: str) -> None:
        try:
            async with self._turns:
                there = await self._make_room(name)
                config = self._actual.inline.get(name)
                if there and config is not None and name in self._actual.cold:
                    await self._models.bring(config)
                    self._counts.loads += 1
                    self._since[name] = time.time()
                    self._failed.pop(name, None)
        except Exception as error:
            self._failed[name] = time.monotonic() + AGAIN_S, str(error)
        finally:
            self._loading.discard(name)
            self._coming.pop(name, None)

    async def _make_room(self, name: str) -> bool:
        """Wait until one more may be in memory, and take its place; False when nobody waits any more."""
        while self._full(1):
            if not self._asked.get(name):
                return False
            if (idle := self._idle()) is not None:
                await self._evict(idle)
            else:
                await asyncio.sleep(_LOOK_S)
        self._loading.add(name)
        return True

    def _full(self, more: int) -> bool:
        there = len(self._models.hosts) + len(self._loading) + len(self._leaving)
        return self.most is not None and there + more > self.most

    def _idle(self) -> str | None:
        """The one that was asked for longest ago, of those that nobody uses."""
        actual = self._actual
        changing = {actual.loading, *actual.late, *actual.stale, *self._models.ways}

        def free(name: str) -> bool:
            busy = self._directory.models[name].pending or self._asked.get(name)
            return not busy and name not in changing

        return self._oldest.first(self._models.hosts, free)

    def _used(self, name: str) -> float:
        versions = self._directory.models[name].versions.values()
        last = max((one.counters.last_inference_ms for one in versions), default=0)
        return max(self._since.get(name, 0.0), last / 1000)

    async def _evict(self, name: str) -> None:
        """Drop one from memory: it answers what it has, and rests then."""
        host, config = self._models.hosts.pop(name), self._actual.inline[name]
        self._leaving.add(name)
        try:
            about = host.describe(config.batching, config.concurrency)
            self._actual.cold.add(name)
            self._since.pop(name, None)
            self._counts.evictions += 1
            for version in self._directory.models[name].serve(INLINE, about, {}):
                await version.drained()
            await apart(host.close, f"close-{name}")
        finally:
            self._leaving.discard(name)

    def limit(self, most: int | None) -> None:
        """So many from now on."""
        self.most = most
        if self._full(0):
            self._background.spawn(self._shrink())

    async def _shrink(self) -> None:
        while self._full(0):
            if (idle := self._idle()) is not None:
                await self._evict(idle)
            else:
                await asyncio.sleep(_LOOK_S)

    def forget(self) -> None:
        """Whatever was known of those that rest: their files may be others."""
        self._failed.clear()
        for name in sorted(self._actual.cold - self._coming.keys()):
            self._models.rest(self._actual.inline[name])
