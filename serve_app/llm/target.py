"""An LLM behind a Serve handle, spoken to in OpenAI's protocol."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import orjson
from ray.serve.handle import DeploymentHandle

from serve_app.core.paths import Paths
from serve_app.core.target import Relayed, Target
from serve_app.errors import DeadlineExceeded, Unavailable
from serve_app.llm.calls import EngineCalls
from serve_app.protocol import generation
from serve_app.protocol.metadata import EngineDescription
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
        asked = generation.completion_request(self.name, inputs, parameters, self.engine, False)
        async with self.relay("/v1/completions", orjson.dumps(asked), asked) as answer:
            body = await answer.read()
        if answer.status != 200:
            raise generation.failure(answer.status, body)
        return generation.outputs(orjson.loads(body)["choices"])

    async def stream(self, inputs: Arrays, parameters: Parameters) -> AsyncGenerator[Arrays, None]:
        """One text, as it comes; the last piece has a finish_reason."""
        asked = generation.completion_request(self.name, inputs, parameters, self.engine, True)
        events, ended = generation.Events(), False
        async with self.relay("/v1/completions", orjson.dumps(asked), asked) as answer:
            if answer.status != 200:
                raise generation.failure(answer.status, await answer.read())
            async for piece in answer.pieces():
                for event in events.feed(piece):
                    if event is None:
                        ended = True  # and read on, or the connection couldn't be used again
                    elif "error" in event:
                        raise Unavailable(f"model '{self.name}': {event['error'].get('message')}")
                    elif event["choices"]:
                        yield generation.outputs(event["choices"])
        if not ended:
            raise Unavailable(f"the engine of model '{self.name}' ended its answer too early")
