"""KServe's repository extension for the twin: `POST /v2/repository/models/NAME/load`."""

import asyncio
from pathlib import Path

from kserve import ModelRepository

from loadtests.hosted import load
from loadtests.kserve.model import HostedModel


class HostedRepository(ModelRepository):  # type: ignore[misc]
    """Loads a model anew from the config file, beside the one that serves, and then swaps them."""

    def __init__(self, config: Path, only: set[str] | None = None, storage: str = "") -> None:
        super().__init__()
        self._config, self._only, self._storage = config, only, storage

    async def load(self, name: str) -> bool:
        """As the file now says; KServe answers an error when this raises."""
        names = {name} if self._only is None else {name} & self._only
        found = await asyncio.to_thread(load, self._config, names, self._storage)
        old = self.get_model(name)
        self.update(HostedModel(found[name]))
        if old is not None:
            # In a thread: closing waits for predictions that still run.
            await asyncio.to_thread(old.retire)
        return True
