"""The same request with the same seed has the same answer in another process: on another replica."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from serve_app.explainers.lime_tables import LimeTables
from serve_app.explainers.lime_texts import LimeTexts
from tests.unit.explainers.asked import Model, asked, options

ROOT = Path(__file__).parents[3]
TEXT = "what a good film this was and how long it took to be made at all"


def explanations(folder: Path) -> str:
    """All bytes of one of each kind whose order might depend on a process's hashes."""
    lengths = Model(lambda inputs: np.array([len(set(text.split())) for text in inputs["text"]]) / 9)
    texts = np.array([TEXT.encode()], dtype=object)
    word = LimeTexts().explain({"text": texts}, asked(lengths), options(samples=100))
    sums = Model(lambda inputs: inputs["x"] @ np.arange(5.0))
    table = LimeTables(folder, True).explain({"x": np.eye(5)[:1]}, asked(sums), options(samples=100))
    return json.dumps([(name, str(one.tolist())) for name, one in [*word.items(), *table.items()]])


def test_in_a_process_with_other_hashes(tmp_path):
    np.save(tmp_path / "background.npy", np.random.RandomState(1).normal(size=(50, 5)))
    code = (
        "from pathlib import Path; from tests.unit.explainers.test_same_bytes import explanations; "
        f"print(explanations(Path({str(tmp_path)!r})))"
    )
    env = {**os.environ, "PYTHONHASHSEED": "4711", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.stdout.strip() == explanations(tmp_path), done.stderr
