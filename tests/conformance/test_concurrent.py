"""Several client processes at once; every answer belongs to its question. Then some of them hang up."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conformance import golden
from tests.conformance.test_fuzz import check_right
from tests.server import Server

SCRIPT = Path(__file__).parent / "clients" / "mixed.py"
COUNTS = {"high-throughput": 600, "default": 200}  # Serve's own way costs three times as much


@pytest.fixture(scope="session")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Questions with their answers."""
    texts = [
        f"{word} number {index}" * (1 + index % 4)
        for index in range(10)
        for word in ("Question", "Frage", "質問")
    ]
    pixels = golden.held_out()[0]
    path = tmp_path_factory.mktemp("pool") / "pool.npz"
    np.savez(
        path,
        pixels=pixels,
        odds1=golden.digits(pixels, "1")["probabilities"],
        odds2=golden.digits(pixels, "2")["probabilities"],
        texts=np.array([text.encode() for text in texts]),
        vectors=golden.sentences(texts)["embedding"],
    )
    return path


def run(server: Server, pool: Path, *processes: tuple[str, ...]) -> list[dict[str, Any]]:
    """All processes at once, each with a seed of its own; what they printed."""
    where = [sys.executable, SCRIPT, server.url, server.grpc]
    count = str(COUNTS[server.mode])
    started = [
        subprocess.Popen(
            [*where, str(seed), count, pool, *flags], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for seed, flags in enumerate(processes, 1)
    ]
    results = []
    try:
        for process in started:
            out, errors = process.communicate(timeout=240)
            assert process.returncode == 0, errors.decode()[-3000:]
            results.append(json.loads(out))
    finally:
        for process in started:
            process.kill()
            process.wait()
    return results


def test_every_answer_belongs_to_its_question(server: Server, pool: Path) -> None:
    for result in run(server, pool, (), (), ()):
        assert not result["failures"], "\n".join(result["failures"][:3])
        assert result["answers"] == COUNTS[server.mode]


def test_clients_that_hang_up_harm_nobody(server: Server, pool: Path) -> None:
    for result in run(server, pool, (), ("--rude",), ("--rude",)):
        assert not result["failures"], "\n".join(result["failures"][:3])
        assert result["answers"] + result["left"] == COUNTS[server.mode]
    check_right(server)
