"""What a Router does beside its requests."""

import asyncio
import logging
from collections.abc import Coroutine, Iterable
from functools import partial
from typing import Any

from serve_app.core.version import Version
from serve_app.runtimes.host import ModelHost
from serve_app.runtimes.in_thread import apart

log = logging.getLogger("tandem")


class Background:
    """Work that nobody waits for; what fails of it is logged."""

    def __init__(self) -> None:
        self.tasks: set[asyncio.Task[None]] = set()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Begin it now."""
        task = asyncio.create_task(work)
        self.tasks.add(task)  # the event loop itself keeps only a weak reference
        task.add_done_callback(self._done)

    def retire(
        self, versions: Iterable[Version], host: ModelHost | None = None, keep: ModelHost | None = None
    ) -> None:
        """Let these answer what they have, then give back what `host` has, and `keep` hasn't."""

        async def retire() -> None:
            for version in versions:
                await version.drained()
            if host is not None:
                # In a thread: it waits for predictions that run.
                await apart(partial(host.close, keep), f"close-{host.name}")

        self.spawn(retire())

    def _done(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("work in the background failed", exc_info=error)
