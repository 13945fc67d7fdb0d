"""Files that came with loads, as the Steward keeps them for Routers: as long as something needs them."""

import asyncio
import logging
import time
from collections.abc import Iterable

from serve_app.errors import InvalidArgument
from serve_app.releases.store import Store

log = logging.getLogger("tandem")

_FRESH_S = 600.0
_PIECE = "upload-"


class Brought:
    """By their digest, in `store`."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._fresh: dict[str, float] = {}  # those whose loads are about to come

    async def keep(self, digest: str, whole: bytes) -> None:
        """Those of a load that is about to come."""
        if len(whole) > self._store.most:
            raise InvalidArgument(
                f"the files have {len(whole)} bytes, and Ray's GCS, where they would be kept, takes "
                f"{self._store.most}: admin.stateUri names a place for more"
            )
        self._fresh[digest] = time.monotonic()
        await asyncio.to_thread(self._store.put, _piece(digest), whole)

    async def kept(self, digest: str) -> bytes | None:
        """These."""
        return await asyncio.to_thread(self._store.get, _piece(digest))

    async def sweep(self, needed: Iterable[str]) -> None:
        """Have only those, where that can be: nothing waits for it."""
        now = time.monotonic()
        self._fresh = {one: at for one, at in self._fresh.items() if now - at < _FRESH_S}
        stay = {_piece(digest) for digest in {*needed, *self._fresh}}
        try:
            for name in await asyncio.to_thread(self._store.names):
                if name.startswith(_PIECE) and name not in stay:
                    await asyncio.to_thread(self._store.delete, name)
        except Exception as error:  # it may be written, and not listed or deleted
            log.warning("files of earlier loads can't be removed: %s", error)


def _piece(digest: str) -> str:
    return _PIECE + digest
