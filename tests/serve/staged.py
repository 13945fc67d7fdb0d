"""A model whose swaps a test can hold at each of their steps."""

import contextlib
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from serve_app.protocol.tensors import TensorSpec

STEPS = ("load", "warm", "drain", "close")
_HELD_S = 60


class Staged:
    """Answers with its version. At each step it leaves a mark, and waits while a file holds it."""

    inputs = (TensorSpec("x", "FP32", (-1, 1)),)
    outputs = (TensorSpec("version", "INT64", (-1,)),)

    def __init__(self, folder, version) -> None:
        self._folder, self._version, self._warm = Path(folder), int(version), False

    def load(self, folder):
        (self._folder / "weights").read_text()
        self._step("load")

    def predict(self, inputs, parameters):
        if not self._warm:
            self._step("warm")
            self._warm = True
        if (inputs["x"] < 0).any():
            self._step("drain")
        return {"version": np.full(len(inputs["x"]), self._version)}

    def close(self):
        self._step("close")

    def _step(self, step: str) -> None:
        (self._folder.parent / f".at-{step}-{self._version}-{os.getpid()}").touch()
        hold, until = held(self._folder.parent, step, self._version), time.monotonic() + _HELD_S
        while hold.exists() and time.monotonic() < until:
            time.sleep(0.02)


def held(folder: Path, step: str, version: int) -> Path:
    """The file that holds that step."""
    return folder / f".hold-{step}-{version}"


def arrived(folder: Path, step: str, version: int) -> list[int]:
    """The processes that are at that step, or were."""
    return [int(one.name.rpartition("-")[2]) for one in folder.glob(f".at-{step}-{version}-*")]


def publish(folder: Path, version: int, weights: str | None = "") -> None:
    """A version, put into its place at once; without weights it can't be loaded."""
    made = folder / f".{version}"
    made.mkdir(parents=True)
    if weights is not None:
        (made / "weights").write_text(weights)
    made.rename(folder / str(version))


def body(value: float = 1.0) -> dict[str, Any]:
    """A request; a negative value makes it wait at `drain`."""
    return {"inputs": [{"name": "x", "shape": [1, 1], "datatype": "FP32", "data": [value]}]}


def kill(pids: list[int]) -> None:
    """As the machine's memory runs out."""
    for pid in pids:
        with contextlib.suppress(psutil.NoSuchProcess):
            psutil.Process(pid).kill()
