"""One server for all: vLLM takes its time to start."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.serve.live import until
from tests.server import ROOT, Server

NEEDS = "needs vLLM: `make test-llm`"


@pytest.fixture(scope="session")
def llm_models() -> Path:
    pytest.importorskip("vllm", reason=NEEDS)
    from serve_app.demo.build import build
    from serve_app.demo.llm import build as build_llm

    build(ROOT / ".models")
    build_llm(ROOT / ".models" / "llm")
    return ROOT / ".models"


@pytest.fixture(scope="session")
def bucket() -> Iterator[Any]:
    pytest.importorskip("moto", reason=NEEDS)
    from tests.storage.bucket import S3Bucket, s3

    with s3() as url:
        yield S3Bucket(url, "models")


@pytest.fixture(scope="session")
def llm(llm_models: Path, bucket: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    from tests.llm.serving import write_config

    folder = tmp_path_factory.mktemp("llm")
    env = {"RAY_metrics_report_interval_ms": "1000", **bucket.env}  # 10 s, without
    env["TANDEM_CACHE"] = str(folder / "cache")
    with Server(write_config(folder, bucket), log=folder / "server.log", env=env) as server:
        until(lambda: _all_ready(server), "every engine answers", 120)  # a moment after Serve says so
        yield server
    assert not server.leftovers, "\n".join(server.leftovers)


def _all_ready(server: Server) -> bool:
    with server.http() as client:
        rows = client.post("/v2/repository/index").json()
    return {row["state"] for row in rows} == {"READY"}


@pytest.fixture(scope="session")
def http(llm: Server) -> Iterator[httpx.Client]:
    with llm.http() as client:
        yield client


@pytest.fixture(scope="session")
def openai(llm: Server) -> Any:
    """OpenAI's own client."""
    sdk = pytest.importorskip("openai", reason=NEEDS)
    return sdk.OpenAI(base_url=f"{llm.url}/v1", api_key="none", max_retries=0, timeout=60)
