"""The table of what a start takes."""

import sys

import psutil
import yaml

from loadtests.start import models_in, table, title
from tests.server import ROOT


def test_the_demo_models() -> None:
    config = yaml.safe_load((ROOT / "configs/quickstart.yaml").read_text())
    assert models_in(config) == ["identity", "digits", "digits-onnx", "sentences"]


def test_medians_and_the_dearest_first() -> None:
    rounds = [
        {"a": (1.0, 10.0), "b": (3.0, 5.0), "c": (0.1, 1.0)},
        {"a": (2.0, 20.0), "b": (5.0, 5.0), "c": (0.1, 1.0)},
    ]
    assert table(rounds)[2:] == [
        "| b | 4.0 | 5 |", "| a | 1.5 | 15 |", "| 1 others | 0.1 | 1 |", "| all | 5.6 | 21 |",
    ]  # fmt: skip


def test_a_process_has_a_name() -> None:
    with psutil.Popen([sys.executable, "-c", "input()"], stdin=-1) as one:
        assert title(one).startswith("python")
        one.communicate(b"\n")
