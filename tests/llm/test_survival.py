"""An engine dies: its streams end with an error, others go on, and another engine comes."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import psutil
import pytest

from tests.llm.conftest import NEEDS
from tests.llm.serving import EMBEDDER, MODEL
from tests.serve.live import title, until
from tests.server import Server

pytest.importorskip("vllm", reason=NEEDS)

ASKED = {"max_tokens": 480, "ignore_eos": True, "temperature": 0}
STREAMS = 4


def engines(server: Server, model: str) -> list[psutil.Process]:
    """The engine processes below a model's replicas."""
    replicas = [p for p in server.family() if f"ServeReplica:{model}:" in title(p)]
    below = [child for replica in replicas for child in replica.children(recursive=True)]
    return [child for child in below if "EngineCore" in title(child)]


def follow(client: httpx.Client, path: str, body: dict[str, Any], begun: threading.Event) -> str:
    """Streams, one after another, until the engine is gone: the last said in one that had begun."""
    while True:
        last = ""
        with client.stream("POST", path, json=body) as response:
            if response.status_code != 200:  # it died between two of ours
                return ""
            for line in response.iter_lines():
                begun.set()
                if line and line != "data: [DONE]":
                    last = line.removeprefix("data: ")
        event = json.loads(last)
        if "error" in event:
            return last
        assert (event.get("choices") or [event])[0]["finish_reason"] == "length"


def test_the_model_computes_in_its_engines_process(llm: Server) -> None:
    for model in (MODEL, EMBEDDER):
        (engine,) = engines(llm, model)
        assert [title(child) for child in engine.children() if "Worker" in title(child)] == []


def test_no_process_gathers_usage_statistics_that_are_off(llm: Server) -> None:
    titles = [title(process) for process in llm.family()]
    assert any("ServeController" in one for one in titles)
    assert [one for one in titles if "Telemetry" in one] == []


def test_an_engine_that_dies_is_replaced(llm: Server, http: httpx.Client) -> None:
    (engine,) = engines(llm, MODEL)
    paths = {
        "/v1/completions": {"model": MODEL, "prompt": "x", "stream": True, **ASKED},
        f"/v2/models/{MODEL}/generate_stream": {
            "text_input": "x",
            "return_finish_reason": True,
            "parameters": ASKED,
        },
    }
    begun = [threading.Event() for _ in range(STREAMS * len(paths))]
    with llm.http() as client, ThreadPoolExecutor(len(begun)) as pool:
        asked = [(path, body) for path, body in paths.items() for _ in range(STREAMS)]
        ends = {
            pool.submit(follow, client, path, body, event): path
            for (path, body), event in zip(asked, begun, strict=True)
        }
        assert all(event.wait(60) for event in begun)
        engine.kill()
        x = {"name": "x", "shape": [1], "datatype": "FP32", "data": [1]}
        assert http.post("/v2/models/identity/infer", json={"inputs": [x]}).status_code == 200
        embed = {"model": EMBEDDER, "input": "a text"}
        assert http.post("/v1/embeddings", json=embed).status_code == 200
        errors = [(path, json.loads(last)) for end, path in ends.items() if (last := end.result(60))]
    assert {path for path, _ in errors} == set(paths)
    for path, event in errors:
        assert event["error"]["message"] if "v1" in path else event["error"]

    def another() -> bool:
        """Until then, a reason."""
        body = {"text_input": "x", "parameters": {"max_tokens": 1}}
        answer = http.post(f"/v2/models/{MODEL}/generate", json=body)
        assert answer.status_code == 200 or answer.json()["error"]
        # 504: it waited for the new engine for as long as it may, on a busy machine.
        assert answer.status_code in (200, 429, 503, 504)
        return answer.status_code == 200

    until(another, "another engine", 180)
    assert engines(llm, MODEL)[0].pid != engine.pid
