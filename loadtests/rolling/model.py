"""The model whose versions are rolled out: it fails, and takes its time, as its file says."""

import json
import random
import time
from pathlib import Path

from serve_app.protocol.tensors import Arrays, Parameters, TensorSpec

FILE = "behaviour.json"


def publish(folder: Path, version: int, **behaviour: float) -> None:
    """Write a version, and put it into its place at once.

    `errors`: how often it fails; `seconds`: how long it takes; `wrong`: how often it answers otherwise.
    """
    made = folder / f".{version}"
    made.mkdir(parents=True)
    (made / FILE).write_text(json.dumps({"version": version, **behaviour}))
    made.rename(folder / str(version))


class Behaves:
    """As its version's file says."""

    inputs = (TensorSpec("x", "FP32", (-1, 4)),)
    outputs = (TensorSpec("y", "FP32", (-1, 4)),)

    def load(self, folder: Path) -> None:
        """Its file."""
        said = json.loads((folder / FILE).read_text())
        self._errors, self._seconds = said.get("errors", 0.0), said.get("seconds", 0.0)
        self._wrong = said.get("wrong", 0.0)
        self._random = random.Random(said["version"])

    def predict(self, inputs: Arrays, parameters: Parameters) -> Arrays:
        """x, doubled; or a failure."""
        if self._seconds:
            time.sleep(self._seconds)
        if self._random.random() < self._errors:
            raise RuntimeError("planted")
        return {"y": inputs["x"] * 2 + (self._random.random() < self._wrong)}
