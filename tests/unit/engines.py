"""A small application that speaks as vLLM's does, and the two ways to it that an EngineTarget has."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import orjson
from ray import serve
from starlette.requests import Request
from starlette.responses import JSONResponse, StreamingResponse

from serve_app.core.paths import Paths
from serve_app.llm.in_process import call
from serve_app.llm.target import EngineTarget
from serve_app.protocol.completions import BY_ID
from serve_app.protocol.generation import INPUTS, OUTPUTS
from serve_app.protocol.metadata import EngineDescription, VersionDescription

ENGINE = EngineDescription(
    names=["m", "m-other"], created=5, context=512, tasks=["generate"],
    parameters=[
        "model", "prompt", "n", "stream", "max_tokens", "temperature", "stop", "logprobs",
        "structured_outputs",
    ],
)  # fmt: skip
OPEN = dataclasses.replace(ENGINE, open_ended=True)  # with adapters in a bucket
ABOUT = VersionDescription(list(INPUTS), list(OUTPUTS))


class Talker:
    """Says `<prompt>0 1 2 …`, word by word. With 13 `max_tokens` it fails later, with 14 at once."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.adapters: list[str] = []
        self.go, self.left, self.status = asyncio.Event(), 0, 200
        self.go.set()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope, receive)
        body = orjson.loads(await request.body())
        self.asked.append((scope["path"], body))
        self.adapters.append(serve.get_multiplexed_model_id())
        if self.status != 200:
            error = {
                "error": {"message": "no such thing", "type": "BadRequestError", "code": self.status}
            }
            await JSONResponse(error, self.status)(scope, receive, send)
        elif body.get("stream"):
            stream = StreamingResponse(self._events(body), media_type="text/event-stream")
            await stream(scope, receive, send)
        elif "messages" in body:
            said = {"role": "assistant", "content": f"{body['messages'][-1]['content']}!"}
            await JSONResponse({"choices": [{"index": 0, "message": said}]})(scope, receive, send)
        else:
            prompts = body["prompt"] if isinstance(body["prompt"], list) else [body["prompt"]]
            texts = [prompt for prompt in prompts for _ in range(body.get("n", 1))]
            choices = [choice(f"{text}!", "stop", at) for at, text in enumerate(texts)]
            told = [with_tokens(one, body, text) for one, text in zip(choices, texts, strict=True)]
            await JSONResponse({"choices": told[::-1]})(scope, receive, send)

    async def _events(self, body: dict[str, Any]) -> AsyncIterator[bytes]:
        try:
            if body.get("max_tokens") == 14:
                yield event({"error": {"message": "no such schema", "type": "BadRequest", "code": 400}})
                yield b"data: [DONE]\n\n"
                return
            for number in range(count := body.get("max_tokens", 3)):
                await self.go.wait()
                for index in range(body.get("n", 1)):
                    text = f"{body['prompt'] if not number else ''}{number} "
                    said = choice(text, "length" if number == count - 1 else None, index)
                    yield event({"choices": [with_tokens(said, body, "" if number else body["prompt"])]})
                if (number, count) == (1, 13):
                    yield event({"error": {"message": "the engine is dead"}})
                    return
                await asyncio.sleep(0)
            yield b"data: [DONE]\n\n"
        except (asyncio.CancelledError, GeneratorExit):
            self.left += 1
            raise


def choice(text: str, reason: str | None, index: int = 0) -> dict[str, Any]:
    return {"index": index, "text": text, "finish_reason": reason}


def with_tokens(said: dict[str, Any], body: dict[str, Any], prompt: str) -> dict[str, Any]:
    """A token for each letter, its code."""
    codes = [ord(letter) for letter in said["text"]]
    if body.get("return_token_ids"):
        said |= {"token_ids": codes, "prompt_token_ids": [ord(one) for one in prompt] or None}
    if body.get("logprobs") is not None:
        said["logprobs"] = {"token_logprobs": [-0.5] * len(codes)}
        if body.get("return_tokens_as_token_ids"):
            about = {"logprob": -0.5, "rank": 1}
            each = [{str(code): about | {"decoded_token": chr(code)}} for code in codes]
            said["logprobs"][BY_ID] = each
    return said


def event(data: dict[str, Any]) -> bytes:
    return b"data: " + orjson.dumps(data) + b"\n\n"


class Response:
    """As Serve's: an answer's parts, until it is cancelled."""

    def __init__(self, parts: AsyncIterator[Any]) -> None:
        self._parts = parts
        self.cancelled = False

    def __aiter__(self) -> AsyncIterator[Any]:
        return self._parts

    def cancel(self) -> None:
        self.cancelled = True


class Handle:
    """A Serve handle whose own way leads to the application, unless `error` is raised there."""

    def __init__(self, app: Any, router: Any = None) -> None:
        self.app, self._router, self.error = app, router, None
        self.responses: list[Response] = []
        self.asked: list[Any] = []
        self.adapters: list[str] = []
        self.http = SimpleNamespace(remote=self._remote)

    def options(self, **options: Any) -> "Handle":
        if options != {"stream": True}:
            self.adapters.append(options.pop("multiplexed_model_id"))
            assert options == {}
        return self

    def _remote(self, path: str, body: bytes, asked: Any) -> Response:
        self.asked.append(asked)
        self.responses.append(Response(self._parts(path, body)))
        return self.responses[-1]

    async def _parts(self, path: str, body: bytes) -> AsyncIterator[Any]:
        if self.error:
            raise self.error
        async for part in call(self.app, path, body):
            yield part


def backend(app: Any) -> EngineTarget:
    """By the handle."""
    return EngineTarget("m", Handle(app), ENGINE, Paths())  # type: ignore[arg-type]
