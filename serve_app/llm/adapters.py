"""LoRA adapters below an address, fetched when they are asked for. Imported only where vLLM is."""

import asyncio
import json
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from serve_app.errors import NotFound
from serve_app.internals.llm_adapters import on_disk
from serve_app.repository import storage
from serve_app.repository.reasons import Absent
from serve_app.repository.storage import Held

log = logging.getLogger("tandem")

_LIST_S = 10.0
_ABOUT = "adapter_config.json"


class Adapters:
    """What Ray's LLM server asks for adapters, in the place of Ray's own loader; `settings` are Ray's.

    Their files stay: an engine may read them again at any time.
    """

    def __init__(self, address: str, **settings: Any) -> None:
        self._address = address
        self._held: dict[str, Held] = {}
        self._loaded: dict[str, Any] = {}
        self._turns = asyncio.Lock()

    async def load_model_from_config(self, lora_model_id: str, llm_config: Any) -> Any:
        """The adapter `model:folder`; NotFound where there is no such folder, or no adapter in it."""
        async with self._turns:
            if lora_model_id not in self._loaded:
                folder = await asyncio.to_thread(self._fetched, lora_model_id.partition(":")[2])
                about = json.loads((folder / _ABOUT).read_bytes())
                self._loaded[lora_model_id] = on_disk(lora_model_id, folder, about.get("max_length"))
        return self._loaded[lora_model_id]

    def _fetched(self, name: str) -> Path:
        try:
            held = storage.hold(f"{self._address.rstrip('/')}/{name}", "latest")
        except Absent as error:
            raise NotFound(str(error)) from None
        self._held[name] = held
        folder = next(iter(held.folders.values()))
        if not (folder / _ABOUT).is_file():
            raise NotFound(f"no {_ABOUT} in {self._address}/{name}")
        return folder


async def names_in(address: str, model: str) -> list[str]:
    """The adapters that are there now, as names of models; none when that can't be asked."""
    try:
        async with asyncio.timeout(_LIST_S):
            found: Iterable[str] = await asyncio.to_thread(storage.names_in, address)
        return [f"{model}:{name}" for name in found]
    except Exception as error:  # without a list they are still found when they are asked for
        log.warning("model %s: no list of the adapters in %s: %r", model, address, error)
        return []
