"""Two engines of one model: `llm.routing: prefix` sends prompts that begin alike to the same one."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.llm.conftest import NEEDS
from tests.llm.serving import CONFIG, IN_BUCKET, MODEL, write_adapter
from tests.serve.live import until
from tests.server import Server

pytest.importorskip("vllm", reason=NEEDS)
pytestmark = pytest.mark.long

_ANSWERED = re.compile(r'ray_vllm_request_success_total\{.*ReplicaId="([^"]+)".*\} (\S+)')
EACH = 8


@pytest.fixture(scope="module")
def engines(llm_models: Path, bucket: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("routing")
    write_adapter(folder / "adapter")
    adapters = bucket.put_folder(folder / "adapter", "routing/other").rpartition("/")[0]
    config = yaml.safe_load(CONFIG.read_text())
    config["applications"][1]["args"] |= {
        "replicas": 2,
        "resources": {"num_cpus": 0.5},
        "llm": {"routing": "prefix", "adapterPath": adapters},
    }
    path = folder / "llm.yaml"
    path.write_text(yaml.safe_dump(config))
    env = {"RAY_metrics_report_interval_ms": "1000", **bucket.env}
    env["TANDEM_CACHE"] = str(folder / "cache")
    with Server(path, log=folder / "server.log", env=env) as server:
        yield server
    assert not server.leftovers, "\n".join(server.leftovers)


def answered(server: Server) -> Counter[str]:
    """Requests by engine, as vLLM counts them."""
    counts: Counter[str] = Counter()
    for engine, count in _ANSWERED.findall(server.metrics()):
        counts[engine] += int(float(count))
    return counts


def test_prompts_that_begin_alike_go_to_the_same_engine(engines: Server) -> None:
    beginnings = ["Beautiful is better than ugly. " * 5, "Now is better than never, they say. " * 5]
    chosen = []
    with engines.http() as http:
        # Warm-up is counted too, and comes late to the page.
        http.post("/v1/completions", json={"model": MODEL, "prompt": "x", "max_tokens": 2})
        until(lambda: sum(answered(engines).values()), "vLLM's counts", 120)
        for beginning in beginnings * 2:
            before = answered(engines)
            for turn in range(EACH):
                asked = {"model": MODEL, "prompt": f"{beginning}{turn}", "max_tokens": 2}
                assert http.post("/v1/completions", json=asked).status_code == 200
            until(lambda before=before: (answered(engines) - before).total() >= EACH, "counts", 120)
            chosen.append((answered(engines) - before).most_common(1)[0])
    (first, _), (second, _), *again = chosen
    assert first != second
    assert again == [(first, EACH), (second, EACH)]


def test_an_adapter_speaks_alike_on_both(engines: Server) -> None:
    """By Serve's handle, which knows who has loaded it."""
    with engines.http() as http:

        def said(model: str, prompt: str) -> str:
            asked = {"model": model, "prompt": prompt, "max_tokens": 8, "temperature": 0}
            return str(http.post("/v1/completions", json=asked).json()["choices"][0]["text"])

        for beginning in ("Beautiful is better than", "Now is better than"):
            assert said(IN_BUCKET, beginning) == said(IN_BUCKET, beginning) != said(MODEL, beginning)
        asked = {"model": f"{MODEL}:absent", "prompt": "x"}
        assert http.post("/v1/completions", json=asked).status_code == 400
