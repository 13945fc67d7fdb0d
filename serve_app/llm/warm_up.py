"""What an engine's first requests would wait for, done before: kernels, sampler, grammars."""

from typing import Any

import orjson

from serve_app.llm.in_process import call


async def warm_up(app: Any, model: str, tasks: tuple[str, ...]) -> None:
    """Requests to vLLM's application `app`; RuntimeError when one fails."""
    if "generate" not in tasks:
        await _drain(app, "/v1/embeddings", {"model": model, "input": "warm-up"})
        return
    asked = {"model": model, "prompt": "warm-up", "max_tokens": 2, "stream": True}
    schema = {"json": {"type": "object"}}
    for more in ({}, {"temperature": 0, "logprobs": 1}, {"structured_outputs": schema}):
        await _drain(app, "/v1/completions", asked | more)


async def _drain(app: Any, path: str, body: dict[str, Any]) -> None:
    parts = [part async for part in call(app, path, orjson.dumps(body))]
    status = parts[0][0]
    if status != 200:
        raise RuntimeError(f"warm-up: {path} answered {status}: {b''.join(parts[1:])[:500]!r}")
