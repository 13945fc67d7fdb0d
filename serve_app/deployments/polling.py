"""Notices new versions where models lie, and has them loaded. Off unless it is configured."""

import asyncio
import logging
import uuid

from serve_app.errors import TandemError, Unavailable
from serve_app.releases.change import Change
from serve_app.releases.live import digest
from serve_app.releases.rolling import mark
from serve_app.releases.steward import Steward
from serve_app.repository.storage import state

log = logging.getLogger("tandem")


class Poller:
    """What lies somewhere is loaded when two looks in a row find the same: while files still come, it
    isn't."""

    def __init__(self, steward: Steward, seconds: float) -> None:
        self._steward, self._seconds = steward, seconds
        self._before: dict[str, str] = {}

    async def run(self) -> None:
        """For as long as the Steward lives."""
        while True:
            await asyncio.sleep(self._seconds)
            try:
                await self.look()
            except Exception:
                log.exception("looking for new versions failed; it will be tried again")

    async def look(self) -> None:
        """Once at every place."""
        places = {name: uri for ack in self._steward.acks.values() for name, uri in ack.places.items()}
        fresh = {}
        for model, uri in sorted(places.items()):
            try:
                found = await asyncio.to_thread(listed, uri)
            except Exception as error:
                log.warning("model %s: %s can't be looked at: %s", model, uri, error)
                continue
            before, self._before[model] = self._before.get(model), found
            known = self._steward.state.polled.get(model)
            if known is None:
                fresh[model] = found
            elif found == before and found != known:
                await self._load(model, found)
        if fresh:
            await self._steward.polled(fresh)

    async def _load(self, model: str, found: str) -> None:
        live = self._steward.state.layer.get(model)
        if not (live and live.off):
            id = f"poll-{uuid.uuid4().hex}"
            change = Change(
                id, model, "load", live, True, True, by="poller", mark=mark(self._steward.state, model)
            )
            try:
                await self._steward.change(change)
            except Exception as error:
                if isinstance(error, Unavailable) or not isinstance(error, TandemError):
                    log.warning("%s: what the poller found isn't handed over yet: %s", model, error)
                    return  # the next look does it again
                log.warning("what the poller found isn't served: %s", error)
        # What can't be loaded isn't loaded again and again. Where that may go well later, Routers and
        # replicas try again by themselves.
        await self._steward.polled({model: found})


def listed(uri: str) -> str:
    """Another one when what lies there is another. Blocks."""
    return digest(state(uri, "all"))
