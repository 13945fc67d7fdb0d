"""What takes the place of a version that is gone, looked for by the calls that had chosen it."""

import asyncio
from typing import Protocol

from serve_app.core.directory import Directory
from serve_app.core.version import State, Version

PAUSE_S = 0.05  # between two looks


class Knows(Protocol):
    """Who knows what is to come: the conductor."""

    look: asyncio.Event

    def coming(self, name: str) -> bool:
        """Whether a model of that name may be there soon."""
        ...

    async def wake(self, name: str) -> bool:
        """Have a model loaded that isn't in memory; False where it is. Unavailable where it can't be."""
        ...

    async def ask_again(self, source: str) -> None:
        """Ask an application now what it is, and wait for the answer."""
        ...


class Successors:
    """Of versions in `directory`."""

    def __init__(self, directory: Directory, knows: Knows) -> None:
        self._directory, self._knows = directory, knows

    async def renew(self, gone: Version) -> bool:
        """Wait a little for what takes the place of a version that is gone; whether there is hope.

        For one that isn't in memory it waits until it is. Unavailable where it can't be loaded.
        """
        if gone.cold and await self._knows.wake(gone.model):
            return True
        self._knows.look.set()
        if (source := self._place(gone)) is not None:
            await self._knows.ask_again(source)
        there = gone.state is State.READY and self._place(gone) is not None
        hopeful = there or self._knows.coming(gone.model)
        if hopeful:
            await asyncio.sleep(PAUSE_S)
        return hopeful

    def _place(self, version: Version) -> str | None:
        model = self._directory.models.get(version.model)
        return model.source_of(version) if model else None
