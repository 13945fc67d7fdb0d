"""An engine dies: its streams end with an error, others go on, and another engine comes."""

import json
import threading
from typing import Any

import httpx
import psutil
import pytest

from tests.llm.conftest import NEEDS
from tests.llm.serving import EMBEDDER, MODEL
from tests.serve.live import until
from tests.server import Server

pytest.importorskip("vllm", reason=NEEDS)

ASKED = {"max_tokens": 480, "ignore_eos": True, "temperature": 0}
STREAMS = 4


def engines(server: Server, model: str) -> list[psutil.Process]:
    """The engine processes below a model's replicas."""
    replicas = [p for p in server.processes() if f"ServeReplica:{model}:" in title(p)]
    below = [child for replica in replicas for child in replica.children(recursive=True)]
    return [child for child in below if "EngineCore" in title(child)]


def title(process: psutil.Process) -> str:
    """'' when it is gone."""
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def follow(server: Server, path: str, body: dict[str, Any], begun: threading.Event) -> list[str]:
    """All data of a stream."""
    found: list[str] = []
    with server.http() as client, client.stream("POST", path, json=body) as response:
        for line in response.iter_lines():
            begun.set()
            if line and line != "data: [DONE]":
                found.append(line.removeprefix("data: "))
    return found


def test_an_engine_that_dies_is_replaced(llm: Server, http: httpx.Client) -> None:
    (engine,) = engines(llm, MODEL)
    ends: list[tuple[str, str]] = []
    paths = {
        "/v1/completions": {"model": MODEL, "prompt": "x", "stream": True, **ASKED},
        f"/v2/models/{MODEL}/generate_stream": {"text_input": "x", "parameters": ASKED},
    }
    threads, started = [], []
    for path, body in paths.items():
        for _ in range(STREAMS):
            begun = threading.Event()

            def run(path: str = path, body: Any = body, begun: threading.Event = begun) -> None:
                ends.append((path, follow(llm, path, body, begun)[-1]))

            threads.append(threading.Thread(target=run))
            started.append(begun)
            threads[-1].start()
    assert all(begun.wait(60) for begun in started)
    engine.kill()
    x = {"name": "x", "shape": [1], "datatype": "FP32", "data": [1]}
    assert http.post("/v2/models/identity/infer", json={"inputs": [x]}).status_code == 200
    asked = {"model": EMBEDDER, "input": "a text"}
    assert http.post("/v1/embeddings", json=asked).status_code == 200
    for thread in threads:
        thread.join(60)
    assert len(ends) == len(threads)
    errors = []
    for path, last in ends:
        event = json.loads(last)
        if error := event.get("error"):
            assert error["message"] if "v1" in path else error
            errors.append(path)
        else:  # it was faster than we are
            assert (event["choices"][0] if "v1" in path else event)["finish_reason"] == "length"
    assert set(errors) == set(paths)

    def another() -> bool:
        """Until then, a reason."""
        body = {"text_input": "x", "parameters": {"max_tokens": 1}}
        answer = http.post(f"/v2/models/{MODEL}/generate", json=body)
        assert answer.status_code == 200 or answer.json()["error"]
        assert answer.status_code in (200, 429, 503)
        return answer.status_code == 200

    until(another, "another engine", 180)
    assert engines(llm, MODEL)[0].pid != engine.pid
