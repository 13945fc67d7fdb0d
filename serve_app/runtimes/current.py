"""The versions of one model in a process of its own, loaded anew when a deploy finds other files."""

import asyncio
import logging
import threading
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

from serve_app.config import ModelConfig
from serve_app.core.later import Again, until_done
from serve_app.core.to_the_end import to_the_end
from serve_app.errors import ConfigError, VersionGone
from serve_app.protocol.tensors import Arrays, Parameters
from serve_app.repository.progress import Tell, nobody
from serve_app.repository.reasons import passing
from serve_app.repository.stamps import APART_S
from serve_app.runtimes.host import ModelHost
from serve_app.runtimes.in_thread import apart
from serve_app.runtimes.one_version import Loaded
from serve_app.runtimes.version_host import VersionHost

T = TypeVar("T")
log = logging.getLogger("tandem")

_LOOK_S = 0.01
# A version that isn't there any more answers for so long yet: Routers don't learn of it all at once.
LINGER_S = 5.0
LONGEST_S = 7200.0  # for a look or a load: what hangs holds up no later deploy for longer
_ALL = ""  # what is tried again, by name
_SOON_S = 1.0


class CurrentHost:
    """A ModelHost, and another in its place when what it was loaded from changed: loaded beside it. The
    versions of which nothing changed go over to the new one as they are.

    `tell` hears the model's name and what was loaded; `way`, how far the first one's files are.
    `deployed` ends a pause before the first is tried again (serve_app.core.later.until_done).
    """

    def __init__(
        self,
        config: ModelConfig,
        gpu: bool,
        tell: Callable[[str, list[Loaded]], None],
        way: Tell = nobody,
        deployed: Callable[[float], bool] = lambda since: False,
    ) -> None:
        self._config, self._gpu, self._tell, self._way = config, gpu, tell, way
        self._after = deployed
        self.host = self._begun()
        self._busy: dict[VersionHost, int] = {}
        self._leaving: set[VersionHost] = set()
        self._closing: set[asyncio.Task[None]] = set()
        self._deployed, self.refused = 0.0, ""  # why what changed isn't served
        self.failed: dict[str, str] = {}  # the versions of it that can't be loaded, and why
        self.loaded = 0.0  # by the deploy of which time what changed was loaded
        self._turns = asyncio.Lock()
        self._again = Again(self._due)
        self._try: asyncio.Task[None] | None = None  # under way
        self._lingering: dict[str, VersionHost] = {}  # that Routers may ask for yet
        self._gap: asyncio.Event | None = None  # while what was dropped isn't there anew

    async def load(self) -> list[Loaded]:
        """For the first time. What fails for now is tried again: here where it is all of it."""
        loaded = await until_done(self._first, passing, self._waits, self._after)
        if self.host.passing:
            self._again.later(_ALL)
        return loaded

    def _begun(self) -> ModelHost:
        return ModelHost(self._config, self._gpu, tell=self._way, starting=True)

    async def _first(self) -> list[Loaded]:
        try:
            return await asyncio.to_thread(self.host.load)
        except Exception:
            failed, self.host = self.host, self._begun()
            await asyncio.to_thread(failed.close)
            raise

    def _waits(self, said: str) -> None:
        log.warning("%s", said)
        self._way(said)

    async def refresh(self, deployed: float, late: bool = False) -> str:
        """Load what changed, once for the deploy of that time; why that couldn't be, or ''.

        `late`: only what was last looked at before that time, by a replica that came up meanwhile.
        """
        return await to_the_end(self._refreshed(deployed, late))  # a Router that ends has successors

    async def _refreshed(self, deployed: float, late: bool) -> str:
        if late and self.again:
            return self.refused
        async with self._turns:
            if late and self.host.said <= deployed + APART_S:
                await self._look(deployed)
            elif not late and deployed > self._deployed:
                self._deployed = deployed
                await self._look(deployed)
            return self.refused

    @property
    def again(self) -> float:
        """In how many seconds what failed for now is tried again, or will have been; 0 for nothing."""
        return _SOON_S if self._try else self._again.left(_ALL)

    def _due(self, name: str) -> None:
        self._try = asyncio.create_task(self._try_again())

    async def _try_again(self) -> None:
        try:
            async with self._turns:
                await self._look(self._deployed, anew=False)
        finally:
            if self._try is asyncio.current_task():  # no other one by now
                self._try = None

    async def _look(self, moment: float, anew: bool = True) -> None:
        """Load what changed, by the deploy of that moment; `anew`: not because it failed before."""
        if anew:
            self._again.forget(_ALL)
        again = False
        try:
            again = await self._looked(moment)
        except Exception as error:  # before anything was loaded
            log.error("what changed on disk isn't served: %s", error)
            self.refused, self.failed, again = str(error), {}, passing(error)
        if again:
            self._again.later(_ALL)
        else:
            self._again.forget(_ALL)

    async def _looked(self, moment: float) -> bool:
        """Whether something of what changed failed for now."""
        changed = await _in_time(apart(self.host.changed, "look"))
        log.info("model '%s': its files %s", self.host.name, "changed" if changed else "didn't change")
        if changed:
            return await self._replace(moment)
        self.refused, self.failed = "", {}
        return False

    async def _replace(self, moment: float) -> bool:
        """Whether something of it failed for now."""
        old, way = self.host, None
        try:
            if self._config.swap == "replace":
                way = await self._make_way(old)
            before, ended = self.host, threading.Event()
            fresh = ModelHost(self._config, self._gpu, before=before)
            try:
                self._tell(fresh.name, await _in_time(asyncio.to_thread(_load, fresh, ended)))
            except Exception as error:  # whatever it is: the old one goes on
                self.failed = dict(fresh.failed)
                some = self.failed and self.failed.keys() < set(fresh.wanted)
                self.refused = "" if some else str(error)
                log.error("what changed on disk isn't served: %s", error)
                self._spawn(partial(_close, fresh, before, ended))
                await self._restore(way or [], fresh)
                return not way and (fresh.passing or passing(error))
            self.refused, self.failed, self.loaded, fresh.before = "", {}, moment, None
            self._leave(fresh)
            return fresh.passing
        finally:
            if self._gap is not None:
                gap, self._gap = self._gap, None
                gap.set()

    async def _make_way(self, old: ModelHost) -> list[str]:
        """Drop what is to be replaced, before that is loaded; which versions it was."""
        going, _ = await asyncio.to_thread(ModelHost(self._config, self._gpu, before=old).plan)
        if going:
            self._gap = asyncio.Event()
            self._leave(old.without(going))
            until = time.monotonic() + self._config.hang_after
            while (self._leaving or self._closing) and time.monotonic() < until:  # noqa: ASYNC110
                await asyncio.sleep(_LOOK_S)
        return going

    async def _restore(self, gone: list[str], fresh: ModelHost) -> None:
        """What was dropped, again: what was to take its place can't be loaded."""
        if not gone:
            return
        try:
            restore = partial(self.host.restored, gone, self._config, fresh.failed)
            self._leave(await _in_time(asyncio.to_thread(restore)))
        except Exception as error:
            log.error("model '%s' can't be what it was, either: %s", fresh.name, error)

    def _leave(self, fresh: ModelHost) -> None:
        """Serve by another host; what it hasn't taken over is closed when nothing runs on it."""
        old, self.host = self.host, fresh
        for version in old.leaving(fresh):
            if self._gap is None and version.version not in fresh.versions:
                self._lingering[version.version] = version
                asyncio.get_running_loop().call_later(LINGER_S, self._lingered, version)
            else:
                self._go(version)

    def _lingered(self, version: VersionHost) -> None:
        if self._lingering.get(version.version) is version:
            del self._lingering[version.version]
        self._go(version)

    def _go(self, version: VersionHost) -> None:
        self._leaving.add(version)
        self._ended(version)

    async def predict(self, version: str, inputs: Arrays, parameters: Parameters) -> Arrays:
        """As ModelHost's, on the version that is there when it begins; waits while one is replaced."""
        try:
            host = self.host.version(version)
        except VersionGone:
            host = await self._other(version)
        busy = self._busy
        busy[host] = busy.get(host, 0) + 1
        try:
            return await host.predict(inputs, parameters)
        finally:
            busy[host] -= 1
            if not busy[host]:
                del busy[host]
                self._ended(host)

    async def _other(self, version: str) -> VersionHost:
        """One that is about to go, or to come. VersionGone where there is none."""
        if version in self._lingering:
            return self._lingering[version]
        if self._gap is not None:
            await self._gap.wait()
        return self.host.version(version)

    def _ended(self, version: VersionHost) -> None:
        """Nothing runs on a version, or it is to go: it goes when both is so."""
        if version in self._leaving and version not in self._busy:
            self._leaving.discard(version)
            self._spawn(version.close)

    def _spawn(self, work: Callable[[], None]) -> None:
        task = asyncio.create_task(apart(work, "close"))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


async def _in_time(work: Awaitable[T]) -> T:
    """What it returns; ConfigError where that takes too long. It goes on: no thread is broken off."""
    begun, most = asyncio.ensure_future(work), LONGEST_S
    if not (await asyncio.wait([begun], timeout=most))[0]:
        begun.add_done_callback(lambda one: one.cancelled() or one.exception())  # nobody asks for it
        raise ConfigError(f"it is loading for more than {most:g} s")
    return begun.result()


def _load(fresh: ModelHost, ended: threading.Event) -> list[Loaded]:
    try:
        return fresh.load()
    finally:
        ended.set()


def _close(fresh: ModelHost, before: ModelHost, ended: threading.Event) -> None:
    """What was loaded in vain, however late."""
    fresh.give_up()
    ended.wait()
    fresh.close(keep=before)
