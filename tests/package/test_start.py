"""The tables of what a start takes."""

import sys

import psutil
import yaml

from loadtests.start import ASKED, ENDED, Start, beside, models_in, table, title
from tests.server import ROOT


def test_each_demo_model_is_asked() -> None:
    config = yaml.safe_load((ROOT / "configs/quickstart.yaml").read_text())
    assert models_in(config) == ["identity", "digits", "digits-onnx", "sentences"]
    assert list(ASKED) == models_in(config)
    assert all(request.model == model for model, request in ASKED.items())


def test_medians_and_the_dearest_first() -> None:
    rounds = [
        {"a": (1.0, 10.0), "b": (3.0, 5.0), "c": (0.1, 1.0), ENDED: (4.0, 0.0)},
        {"a": (2.0, 20.0), "b": (5.0, 5.0), "c": (0.1, 1.0), ENDED: (6.0, 0.0)},
    ]
    assert table(rounds)[2:] == [
        f"| {ENDED} | 5.0 | 0 |", "| b | 4.0 | 5 |", "| a | 1.5 | 15 |", "| 1 others | 0.1 | 1 |",
        "| all | 10.6 | 21 |",
    ]  # fmt: skip


def test_beside_kserve_round_by_round() -> None:
    def start(m: float, n: float, cpu: float) -> Start:
        return Start({"m": m, "n": n}, {"a": (cpu, 1.0)})

    ours, theirs = [start(4, 6, 9), start(8, 6, 9)], [start(2, 2, 3), start(2, 4, 9)]
    assert beside(ours, theirs)[2:] == [
        "| m | 6.0 | 2.0 | 3.00x (2.00-4.00) |", "| n | 6.0 | 3.0 | 2.25x (1.50-3.00) |",
        "| all of them | 7.0 | 3.0 | 2.50x (2.00-3.00) |",
        "| CPU of all processes | 9.0 | 6.0 | 2.00x (1.00-3.00) |",
    ]  # fmt: skip
    assert beside(ours, [])[2] == "| m | 6.0 |  |  |"


def test_a_process_has_a_name() -> None:
    with psutil.Popen([sys.executable, "-c", "input()"], stdin=-1) as one:
        assert title(one).startswith("python")
        one.communicate(b"\n")
