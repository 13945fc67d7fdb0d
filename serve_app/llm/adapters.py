"""LoRA adapters out of a bucket, by Ray's LLM library. Imported only where vLLM is."""

import asyncio
import logging
import shutil
import tempfile
import weakref
from typing import Any

from serve_app.internals.llm_adapters import Loader, adapters_in

log = logging.getLogger("tandem")

_LIST_S = 10.0


class Adapters(Loader):
    """Ray's loader, with a folder of this replica's own.

    Ray's is one for all models of a machine, by the adapters' names: two models' adapters of one
    name would overwrite each other.
    """

    def __init__(self, **settings: Any) -> None:
        folder = tempfile.mkdtemp(prefix="tandem-adapters-")
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        super().__init__(folder, **settings)


async def names_in(bucket: str, model: str) -> list[str]:
    """The adapters that the bucket has now, as names of models; none when it can't be reached."""
    try:
        async with asyncio.timeout(_LIST_S):
            return sorted(await asyncio.to_thread(adapters_in, bucket, model))
    except Exception as error:  # without a list they are still found when they are asked for
        log.warning("model %s: no list of the adapters in %s: %r", model, bucket, error)
        return []
