"""A batch job over a model's application, as a RayJob runs it."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.server import QUICKSTART, ROOT

pytestmark = pytest.mark.live


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "serve_app", "offline", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)


def test_every_line_gets_its_embedding(tmp_path: Path, demo_models: Path) -> None:
    texts = [f"{animal} number {n}" for n in range(5) for animal in ("a dog", "a cat", "a zebra")]
    (tmp_path / "texts.txt").write_text("\n".join(texts) + "\n")
    files = [str(tmp_path / "texts.txt"), str(tmp_path / "out.npz")]
    done = run(str(QUICKSTART), "sentences", *files, "--rows", "4", "--workers", "2")
    assert done.returncode == 0, done.stderr
    about = json.loads(done.stdout.splitlines()[-1])
    assert (about["rows"], about["outputs"]) == (15, {"embedding": [15, 384]})
    embeddings = np.load(tmp_path / "out.npz")["embedding"]
    near = embeddings @ embeddings.T
    for row in range(15):  # its own order: the same animal with another number is the nearest
        others = np.delete(near[row], row)
        assert texts[row].split()[1] == np.delete(np.array(texts), row)[others.argmax()].split()[1]


def test_mistakes_are_said(tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_text("")
    none, empty, out = (str(tmp_path / name) for name in ("none.txt", "empty.txt", "out.npz"))
    for arguments, words in (
        (("sentence", empty, out), "did you mean sentences?"),
        (("sentences", empty, out), "no line in it"),
        (("sentences", none, out), "No such file"),
    ):
        done = run(str(QUICKSTART), *arguments)
        assert done.returncode == 2
        assert words in done.stderr
        assert "Traceback" not in done.stderr
