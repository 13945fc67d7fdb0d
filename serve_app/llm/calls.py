"""POSTs to the engine in a replica, whose answers come piece by piece.

As batches do, they go straight to the HTTP server of a replica where it has one, and through the
handle where not (serve_app.hop.calls). Which replica is the Router's choice, the least
busy; or that of the deployment's own request router, for which it is asked with the request.
"""

import asyncio
from collections.abc import AsyncGenerator
from types import SimpleNamespace
from typing import Any

from ray.serve.handle import DeploymentHandle

from serve_app.core.paths import Paths
from serve_app.errors import Unavailable
from serve_app.hop.failures import translated
from serve_app.hop.streams import StreamCalls
from serve_app.protocol.openai import prompt_of


class EngineCalls:
    """To the engines of one model."""

    def __init__(self, name: str, handle: DeploymentHandle[Any], paths: Paths) -> None:
        self.name, self._paths = name, paths
        self._streaming = handle.options(stream=True)
        self._calls = StreamCalls(handle)
        self.waiting = 0  # for Serve, by the handle

    async def post(
        self, path: str, body: bytes, asked: dict[str, Any], adapter: str = ""
    ) -> AsyncGenerator[Any, None]:
        """The engine's answer to a POST: (status, content type), then the body. Raises TandemError.

        An `adapter` is one that the replica loads first; who has it already is preferred.
        """
        begun = False
        # Those that went by the handle may wait in Serve's queue: nobody overtakes them.
        replica = None if self.waiting else self._calls.choose(adapter)
        if replica is not None:
            answer = self._calls.stream(replica, path, body, adapter)
            try:
                async for part in answer:
                    if not begun:
                        begun = True
                        self._paths.fast("streams")
                    yield part
            except ConnectionError:
                if begun:
                    text = f"the engine of model '{self.name}' died while it answered"
                    raise Unavailable(text) from None
            finally:
                await answer.aclose()
        if not begun:
            self._paths.serve("streams")
            answer = self._by_handle(path, body, asked, adapter)
            try:
                async for part in answer:
                    yield part
            finally:
                await answer.aclose()

    async def _by_handle(
        self, path: str, body: bytes, asked: dict[str, Any], adapter: str
    ) -> AsyncGenerator[Any, None]:
        waits = 1
        self.waiting += waits
        try:
            # Request routers of Ray's LLM library look for an argument with a prompt.
            beginning = SimpleNamespace(prompt=prompt_of(asked))
            handle = self._streaming
            if adapter:
                handle = handle.options(multiplexed_model_id=adapter)
            response = handle.http.remote(path, body, beginning)
            try:
                async for part in response:
                    self.waiting -= waits
                    waits = 0
                    yield part
            except (asyncio.CancelledError, GeneratorExit):
                response.cancel()
                raise
        except Exception as error:
            raise translated(self.name, error) from None
        finally:
            self.waiting -= waits
