"""An LLM behind a Serve handle, spoken to in OpenAI's protocol."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Any

import orjson
from ray.serve.handle import DeploymentHandle

from serve_app.core.paths import Paths
from serve_app.core.target import Relayed, Target
from serve_app.errors import DeadlineExceeded, InvalidArgument, TandemError, Unavailable, UnknownModel
from serve_app.llm.calls import EngineCalls
from serve_app.protocol.completions import Answer
from serve_app.protocol.generation import Generation, generation
from serve_app.protocol.metadata import EngineDescription
from serve_app.protocol.openai import Events, failure
from serve_app.protocol.tensors import Arrays, Parameters


class EngineTarget:
    """The engine of one model."""

    def __init__(
        self, name: str, handle: DeploymentHandle[Any], engine: EngineDescription, paths: Paths
    ) -> None:
        self.name, self.engine = name, engine
        self._calls = EngineCalls(name, handle, paths)

    def target(self) -> Target:
        """As the data plane takes it: V2's verbs, and OpenAI's bytes."""
        return Target(predicts=self, streams=self, relays=self)

    @contextlib.asynccontextmanager
    async def relay(
        self, path: str, body: bytes, asked: dict[str, Any], seconds: float | None = None
    ) -> AsyncIterator[Relayed]:
        """As Relays has it: leaving early stops the generation."""
        model = asked.get("model")
        adapter = str(model) if self.engine.loads(model) else ""
        source = self._calls.post(path, body, asked, adapter)
        try:
            try:
                async with asyncio.timeout(seconds):
                    status, kind = await anext(source)
                    first = await anext(source, b"")
            except TimeoutError:
                text = f"model '{self.name}' gave no answer within {seconds:g} s"
                raise DeadlineExceeded(text) from None
            yield Relayed(status, kind, first, source)
        finally:
            await source.aclose()

    async def predict(self, inputs: Arrays, parameters: Parameters) -> Arrays:
        """The texts, whole."""
        wanted = generation(self.name, inputs, parameters, self.engine, False)
        async with self._completion(wanted) as answer:
            body = await answer.read()
        if answer.status != 200:
            raise _failure(answer.status, body)
        return Answer(wanted).whole(orjson.loads(body)["choices"])

    async def stream(
        self, inputs: Arrays, parameters: Parameters
    ) -> AsyncGenerator[tuple[Arrays, bool], None]:
        """One text, as it comes."""
        wanted = generation(self.name, inputs, parameters, self.engine, True)
        events, made, ended = Events(), Answer(wanted), False
        async with self._completion(wanted) as answer:
            if answer.status != 200:
                raise _failure(answer.status, await answer.read())
            async for piece in answer.pieces():
                for event in events.feed(piece):
                    if event is None:
                        ended = True  # and read on, or the connection couldn't be used again
                    elif "error" in event:
                        raise self._broken(event)
                    elif event["choices"]:
                        yield made.piece(event["choices"])
        if not ended:
            raise Unavailable(f"the engine of model '{self.name}' ended its answer too early")

    def _completion(self, wanted: Generation) -> AbstractAsyncContextManager[Relayed]:
        return self.relay("/v1/completions", orjson.dumps(wanted.asked), wanted.asked)

    def _broken(self, event: dict[str, Any]) -> TandemError:
        """An error within a stream: of the request where it says so, else of the engine."""
        code = event["error"].get("code")
        if isinstance(code, int) and 400 <= code < 500:
            return _failure(code, orjson.dumps(event))
        return Unavailable(f"model '{self.name}': {event['error'].get('message')}")


def _failure(status: int, body: bytes) -> TandemError:
    """An adapter that isn't there is a wrong parameter here: the model is."""
    error = failure(status, body)
    return InvalidArgument(error.message) if isinstance(error, UnknownModel) else error
