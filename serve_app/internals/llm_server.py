"""Ray Serve's LLM server, its hooks under public names. Imported only where vLLM is."""

from collections.abc import Awaitable, Callable
from typing import Any

from ray._common.usage.usage_lib import usage_stats_enabled
from ray.serve.llm import LLMServer


class Server(LLMServer):  # type: ignore[misc]
    """One engine, without the actor that gathers usage statistics where there are none."""

    async def build_app(self) -> Any:
        """vLLM's own application around the engine, which runs."""
        return await self.__serve_build_asgi_app__()

    async def load_adapter(self, load: Callable[[], Awaitable[None]]) -> None:
        """Called before a request for an adapter; `load` is Ray's, and raises what clients would see."""
        await load()

    @property
    def loads_adapters(self) -> bool:
        """Whether requests may name adapters that the engine doesn't have yet."""
        return self._llm_config.lora_config is not None

    async def _start_engine(self) -> None:
        if usage_stats_enabled():
            await super()._start_engine()
        else:
            await self.engine.start()

    async def _maybe_resolve_lora_from_multiplex(self) -> None:
        await self.load_adapter(super()._maybe_resolve_lora_from_multiplex)
