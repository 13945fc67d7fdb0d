"""Many streams at once, some left: nothing is mixed up, cut off or doubled, and left ones stop."""

import asyncio
import json
import random
import re
from collections.abc import AsyncIterator

import httpx
import pytest

from tests.llm.conftest import NEEDS
from tests.llm.serving import MODEL
from tests.serve.live import until
from tests.server import Server

pytest.importorskip("vllm", reason=NEEDS)

AT_ONCE, TOKENS = 64, 12
PROMPTS = [f"{beginning} {number}" for beginning in ("Describe", "Recite") for number in range(20)]


def body(prompt: str, tokens: int = TOKENS) -> dict[str, object]:
    asked = {"model": MODEL, "prompt": prompt, "temperature": 0, "max_tokens": tokens}
    return {**asked, "ignore_eos": True, "stream": True, "return_token_ids": True}


async def tokens_of(client: httpx.AsyncClient, asked: dict[str, object]) -> AsyncIterator[list[int]]:
    """Those of each chunk; the stream has to end with [DONE]."""
    async with client.stream("POST", "/v1/completions", json=asked) as response:
        assert response.status_code == 200
        last = ""
        async for line in response.aiter_lines():
            if line and (last := line.removeprefix("data: ")) != "[DONE]":
                event = json.loads(last)
                assert "error" not in event, event
                yield event["choices"][0]["token_ids"] or []
        assert last == "[DONE]"


@pytest.mark.parametrize("requests", [200, pytest.param(1000, marks=pytest.mark.long)])
async def test_many_streams_with_random_disconnects(llm: Server, requests: int) -> None:
    limits = httpx.Limits(max_connections=AT_ONCE)
    chance = random.Random(7)
    async with httpx.AsyncClient(
        base_url=llm.url, timeout=120, limits=limits, trust_env=False
    ) as client:
        alone = {}
        for prompt in PROMPTS:
            alone[prompt] = [t async for part in tokens_of(client, body(prompt)) for t in part]
            assert len(alone[prompt]) == TOKENS
        assert len(set(map(tuple, alone.values()))) > len(PROMPTS) // 2
        free = asyncio.Semaphore(AT_ONCE)

        async def one(prompt: str, most: int) -> tuple[int, int]:
            async with free:
                found: list[int] = []
                async for part in tokens_of(client, body(prompt)):
                    found += part
                    if len(found) >= most:
                        break
                assert found == alone[prompt][: len(found)]
                return len(found), most

        jobs = []
        for _ in range(requests):
            leaves = chance.random() < 0.3
            most = chance.randint(1, TOKENS - 2) if leaves else TOKENS + 1
            jobs.append(one(chance.choice(PROMPTS), most))
        done = await asyncio.gather(*jobs)
    whole = [count for count, most in done if most > TOKENS]
    assert len(whole) > requests // 2
    assert set(whole) == {TOKENS}


def counter(server: Server, name: str) -> float:
    """vLLM's own, of the model, on Ray's page."""
    lines = re.findall(rf"^ray_vllm_{name}{{([^}}]*)}} (\S+)$", server.metrics(), re.MULTILINE)
    return sum(float(value) for labels, value in lines if f'model_name="{MODEL}"' in labels)


def generated(server: Server, http: httpx.Client) -> float:
    """Tokens until now. Ray hands on what is counted every few seconds: what changes after a first
    request was seen holds all that came before that request, and of the two at most a token each.
    """
    for _ in range(2):
        seen = counter(server, "generation_tokens_total")
        http.post("/v1/completions", json={"model": MODEL, "prompt": "x", "max_tokens": 1})
        until(lambda seen=seen: counter(server, "generation_tokens_total") != seen, "new counts", 60)
    return counter(server, "generation_tokens_total")


def test_who_leaves_stops_the_generation(llm: Server, http: httpx.Client) -> None:
    before, most, times = generated(llm, http), 480, 8
    sampling = {"max_tokens": most, "ignore_eos": True, "temperature": 0}
    asked = {"model": MODEL, "prompt": "x", "stream": True, **sampling}
    paths = {
        "/v1/completions": asked,
        f"/v2/models/{MODEL}/generate_stream": {"text_input": "x", "parameters": sampling},
    }
    for path, body in paths.items():
        for _ in range(times):
            with http.stream("POST", path, json=body) as response:
                next(response.iter_lines())
    generated(llm, http)
    until(lambda: counter(llm, "num_requests_running") == 0, "no request running", 60)
    whole = len(paths) * times * most
    assert len(paths) * times <= generated(llm, http) - before < whole / 2


def test_what_vllm_and_we_count_stands_on_one_page(llm: Server, http: httpx.Client) -> None:
    http.post("/v1/completions", json={"model": MODEL, "prompt": "x", "max_tokens": 2})
    latencies = ("time_to_first_token_seconds", "inter_token_latency_seconds")
    counts = ("generation_tokens_total", *(f"{name}_count" for name in latencies))
    for name in counts:  # they come one after the other
        until(lambda name=name: counter(llm, name) > 0, f"vLLM's {name}", 60)
    page = llm.metrics()
    assert all(f"ray_vllm_{name}_bucket" in page for name in latencies)
    ours = [line for line in page.splitlines() if line.startswith("ray_request_count")]
    assert any(f'model_name="{MODEL}"' in line for line in ours)
