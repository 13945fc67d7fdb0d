"""An LLM behind a Serve handle, spoken to in OpenAI's protocol: POSTs to the replica's engine, whose
answers come piece by piece.

As batches do, they go straight to the HTTP server of a replica where it has one, and through the
handle where not (serve_app.deployments.direct). Which replica is the Router's choice, the least
busy; or that of the deployment's own request router, for which it is asked with the request.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import orjson
from ray.exceptions import RayActorError, RayTaskError
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError
from ray.serve.handle import DeploymentHandle

from serve_app.deployments.streams import StreamCalls
from serve_app.errors import ModelFailed, Overloaded, TandemError, Unavailable
from serve_app.protocol import generation
from serve_app.protocol.metadata import EngineDescription
from serve_app.protocol.tensors import Arrays, Parameters


@dataclass(slots=True)
class Answer:
    """The engine's: a status, a content type, and a body that is still coming."""

    status: int
    kind: bytes
    body: AsyncIterator[bytes]

    async def read(self) -> bytes:
        """The whole body."""
        return b"".join([piece async for piece in self.body])


class EngineBackend:
    """The engine of one model."""

    def __init__(self, name: str, handle: DeploymentHandle[Any], engine: EngineDescription) -> None:
        self.name, self.engine = name, engine
        self._streaming = handle.options(stream=True)
        self._direct = StreamCalls(handle)
        self._by_handle = 0  # that wait for Serve

    @contextlib.asynccontextmanager
    async def ask(self, path: str, body: bytes, asked: dict[str, Any]) -> AsyncIterator[Answer]:
        """POST `body` (`asked`, as bytes) to `path`. Leaving early stops the generation.

        Raises TandemError when no engine can answer; when one dies while it answers, reading the
        body does.
        """
        source = self._ask(path, body, asked)
        try:
            status, kind = await anext(source)
            yield Answer(status, kind, source)
        finally:
            await source.aclose()

    async def _ask(self, path: str, body: bytes, asked: dict[str, Any]) -> AsyncGenerator[Any, None]:
        """(status, content type), then the body."""
        begun = False
        # Those that went by the handle may wait in Serve's queue: nobody overtakes them.
        replica = None if self._by_handle else self._direct.choose()
        if replica is not None:
            answer = self._direct.stream(replica, path, body)
            try:
                async for part in answer:
                    begun = True
                    yield part
            except ConnectionError:
                if begun:
                    text = f"the engine of model '{self.name}' died while it answered"
                    raise Unavailable(text) from None
            finally:
                await answer.aclose()
        if not begun:
            answer = self._ask_by_handle(path, body, asked)
            try:
                async for part in answer:
                    yield part
            finally:
                await answer.aclose()

    async def _ask_by_handle(
        self, path: str, body: bytes, asked: dict[str, Any]
    ) -> AsyncGenerator[Any, None]:
        waits = 1
        self._by_handle += waits
        try:
            # Request routers of Ray's LLM library find the prompt in the last argument.
            response = self._streaming.http.remote(path, body, SimpleNamespace(**asked))
            try:
                async for part in response:
                    self._by_handle -= waits
                    waits = 0
                    yield part
            except (asyncio.CancelledError, GeneratorExit):
                response.cancel()
                raise
        except BackPressureError:
            raise Overloaded(f"the replicas of model '{self.name}' are full; try again later") from None
        except DeploymentUnavailableError:
            raise Unavailable(f"model '{self.name}' has no replica that can answer") from None
        except RayActorError as error:
            raise Unavailable(f"a replica of model '{self.name}' died: {_first_line(error)}") from None
        except TandemError:
            raise
        except Exception as error:
            cause = error.cause if isinstance(error, RayTaskError) else error
            text = f"model '{self.name}' failed: {type(cause).__name__}: {_first_line(cause)}"
            raise ModelFailed(text) from None
        finally:
            self._by_handle -= waits

    async def predict(self, version: str, inputs: Arrays, parameters: Parameters) -> Arrays:
        """Whole texts."""
        asked = generation.completion_request(self.name, inputs, parameters, self.engine, False)
        async with self.ask("/v1/completions", orjson.dumps(asked), asked) as answer:
            body = await answer.read()
        if answer.status != 200:
            raise generation.failure(answer.status, body)
        return generation.outputs(orjson.loads(body)["choices"])

    async def stream(
        self, version: str, inputs: Arrays, parameters: Parameters
    ) -> AsyncGenerator[Arrays, None]:
        """One text, as it comes; the last piece has a finish_reason."""
        asked = generation.completion_request(self.name, inputs, parameters, self.engine, True)
        events, over = generation.Events(), False
        async with self.ask("/v1/completions", orjson.dumps(asked), asked) as answer:
            if answer.status != 200:
                raise generation.failure(answer.status, await answer.read())
            async for piece in answer.body:
                for event in events.feed(piece):
                    if event is None:
                        over = True  # and read on, or the connection couldn't be used again
                    elif "error" in event:
                        raise Unavailable(f"model '{self.name}': {event['error'].get('message')}")
                    elif event["choices"]:
                        yield generation.outputs(event["choices"])
        if not over:
            raise Unavailable(f"the engine of model '{self.name}' ended its answer too early")


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0]
