"""The versions of one model in a process of its own, loaded anew when a deploy finds other files."""

import asyncio
import logging
from collections.abc import Callable

from serve_app.config import ModelConfig
from serve_app.protocol.tensors import Arrays, Parameters
from serve_app.repository.progress import Tell, nobody
from serve_app.runtimes.host import Loaded, ModelHost

log = logging.getLogger("tandem")


class CurrentHost:
    """A ModelHost, and another in its place when what it was loaded from changed: loaded beside it.

    `tell` hears the model's name and what was loaded; `way`, how far the first one's files are.
    """

    def __init__(
        self,
        config: ModelConfig,
        gpu: bool,
        tell: Callable[[str, list[Loaded]], None],
        way: Tell = nobody,
    ) -> None:
        self._config, self._gpu, self._tell = config, gpu, tell
        self.host = ModelHost(config, gpu, tell=way, starting=True)
        self._busy: dict[ModelHost, int] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._deployed, self.refused = 0.0, ""  # why what changed isn't served
        self.loaded = 0.0  # by the deploy of which time what changed was loaded
        self._turns = asyncio.Lock()

    async def refresh(self, deployed: float) -> str:
        """Load what changed, once for the deploy of that time; why that couldn't be, or ''."""
        async with self._turns:
            if deployed > self._deployed:
                self._deployed, self.refused = deployed, ""
                if await asyncio.to_thread(self.host.changed):
                    await self._replace()
            return self.refused

    async def _replace(self) -> None:
        fresh = ModelHost(self._config, self._gpu)
        try:
            self._tell(fresh.name, await asyncio.to_thread(fresh.load))
        except Exception as error:  # whatever it is: the old one goes on
            self.refused = str(error)
            log.error("what changed on disk isn't served: %s", error)
            self._close(fresh)
            return
        old, self.host, self.loaded = self.host, fresh, self._deployed
        if not self._busy.get(old):
            self._busy.pop(old, None)
            self._close(old)

    async def predict(self, version: str, inputs: Arrays, parameters: Parameters) -> Arrays:
        """As ModelHost's, on the one that is there when it begins."""
        host, busy = self.host, self._busy
        busy[host] = busy.get(host, 0) + 1
        try:
            return await host.predict(version, inputs, parameters)
        finally:
            busy[host] -= 1
            if host is not self.host and not busy[host]:
                del busy[host]
                self._close(host)

    def _close(self, host: ModelHost) -> None:
        task = asyncio.create_task(asyncio.to_thread(host.close))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
