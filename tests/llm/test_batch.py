"""`tandem batch` with an LLM, and from and to a bucket."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from serve_app.tools.batch.store import Store, listed
from tests.llm.conftest import NEEDS
from tests.serve.batches import config
from tests.server import ROOT

pytest.importorskip("vllm", reason=NEEDS)
pytestmark = pytest.mark.live

PROMPTS = ["Beautiful is better", "", "Explicit is better", "Simple is better", "Flat is better"]


def run(bucket: Any, *arguments: str) -> "subprocess.CompletedProcess[str]":
    env = {**os.environ, **bucket.env, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "serve_app", "batch", *arguments]
    return subprocess.run(
        command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=300, check=False
    )


@pytest.fixture
def there(bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """This process reaches the bucket too."""
    for name, value in bucket.env.items():
        monkeypatch.setenv(name, value)


def tables(uri: str) -> dict[str, list[Any]]:
    store = Store(uri)
    names = sorted(one for one in store.names() if one.endswith(".parquet"))
    return pa.concat_tables(
        [pq.read_table(io.BytesIO(store.read(one) or b"")) for one in names]
    ).to_pydict()


def test_prompts_of_a_bucket_are_answered_into_it(
    bucket: Any, there: None, tmp_path: Path, llm_models: Path
) -> None:
    (tmp_path / "in").mkdir()
    pq.write_table(pa.table({"id": range(5), "prompt": PROMPTS}), tmp_path / "in" / "a.parquet")
    source = bucket.put_folder(tmp_path / "in", "prompts")
    out = source.replace("prompts", "answers")
    told = ["configs/llm.yaml", "tiny", f"{source}/*.parquet", out, "--keep", "id"]
    told += ["--sampling", '{"max_tokens": 8}', "--piece-rows", "2"]
    done = run(bucket, *told)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {
        "rows": 4, "failed": 1, "written": out, "failures": f"{out}/_failed",
    }  # fmt: skip
    found = tables(out)
    assert found["id"] == found["input_row"] == [0, 2, 3, 4]
    assert found["generated_text"][0].startswith(" than ")  # a tiny one, but it has read this
    assert all(found["generated_text"])
    assert set(found["num_generated_tokens"]) <= set(range(1, 9))
    again = run(bucket, *told)
    assert "3 of 3 pieces are finished" in again.stderr


def test_a_model_of_any_format_reads_and_writes_buckets(
    bucket: Any, there: None, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    for name in "ab":
        (tmp_path / f"in/{name}.txt").write_text("".join(f"{name} {n}\n" for n in range(300)))
    source = bucket.put_folder(tmp_path / "in", "texts")
    assert [one.path for one in listed(source)] == ["models/texts/a.txt", "models/texts/b.txt"]
    out = source.replace("texts", "lengths")
    done = run(bucket, str(config(tmp_path, "Slow")), "m", source, out, "--keep", "text")
    assert done.returncode == 0, done.stderr
    found = tables(out)
    assert found["text"] == [f"{name} {n}" for name in "ab" for n in range(300)]
    assert found["length"] == [len(text) for text in found["text"]]
    whole = source.replace("texts", "whole.npz")
    done = run(bucket, str(config(tmp_path, "Slow")), "m", f"{source}/a.txt", whole)
    assert done.returncode == 0, done.stderr
    assert [one.path for one in listed(f"{whole}")] == ["models/whole.npz"]
