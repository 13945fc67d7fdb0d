"""What takes the place of a version that its replicas, or its application, are gone of."""

import asyncio
from collections.abc import Awaitable, Callable

from serve_app.core.directory import Directory
from serve_app.core.version import State, Version
from serve_app.releases.applications import RemoteApp
from serve_app.releases.reconcile import Actual, Desired, coming

PAUSE_S = 0.05  # between two looks


class Successors:
    """Of versions in `directory`.

    `state()` is what is wanted and what is there; `asked(app)` returns when the application was asked
    what it is, once for all who wait. `look` is set when Serve's status is wanted at once.
    """

    def __init__(
        self,
        directory: Directory,
        state: Callable[[], tuple[Desired, Actual]],
        asked: Callable[[RemoteApp], Awaitable[None]],
    ) -> None:
        self._directory, self._state, self._asked = directory, state, asked
        self.look = asyncio.Event()

    async def renew(self, gone: Version) -> bool:
        """Wait a little for what takes a version's place; whether there is hope (pipeline.Renew)."""
        self.look.set()
        if source := self._source(gone):
            app = self._state()[0].applications.get(source)
            if app is not None and app.ingress:
                await self._asked(app)
        there = gone.state is State.READY and self._source(gone) is not None
        hopeful = there or coming(gone.model, *self._state())
        if hopeful:
            await asyncio.sleep(PAUSE_S)
        return hopeful

    def _source(self, version: Version) -> str | None:
        model = self._directory.models.get(version.model)
        return model.source_of(version) if model else None
