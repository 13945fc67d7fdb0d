"""Work under way beside a Router's requests."""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any

from serve_app.core.version import Version
from serve_app.runtimes.host import ModelHost


class Work(set[asyncio.Task[None]]):
    """Its tasks: the event loop itself keeps only weak references."""

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """One more, until it is over."""
        task = asyncio.create_task(work)
        self.add(task)
        task.add_done_callback(self.discard)

    def retire(self, versions: Iterable[Version], host: ModelHost | None) -> None:
        """Let these answer what they have, then give their memory back."""

        async def retire() -> None:
            for version in versions:
                await version.drained()
            if host is not None:
                await asyncio.to_thread(host.close)  # in a thread: it waits for predictions that run

        self.spawn(retire())
