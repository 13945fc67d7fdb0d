"""A model that answers with the time at which it was loaded."""

import time
from pathlib import Path

import numpy as np

from serve_app.protocol.tensors import Arrays, Parameters, TensorSpec

WEIGHTS = "weights.npy"
_LOADS = "loads"  # a folder beside the models: a file for each, with a byte for each load


def published(folder: Path, count: int, mebibytes: float) -> list[str]:
    """So many models with weights of that size; their names."""
    names = [f"model-{number}" for number in range(count)]
    side = int((mebibytes * 2**20 / 4) ** 0.5)
    chance = np.random.default_rng(7)
    (folder / _LOADS).mkdir(parents=True)
    for name in names:
        version = folder / name / "1"
        version.mkdir(parents=True)
        np.save(version / WEIGHTS, chance.random((side, side), dtype=np.float32))
    return names


def loads(folder: Path) -> int:
    """How often any of them was loaded, by their own count."""
    return sum(one.stat().st_size for one in (folder / _LOADS).iterdir())


class Stamped:
    """Reads its file; `loaded` is by `time.monotonic()`, which all processes of a machine share."""

    inputs = (TensorSpec("x", "FP32", (-1, 4)),)
    outputs = (TensorSpec("loaded", "FP64", (-1,)),)

    def load(self, folder: Path) -> None:
        """The whole file into memory."""
        with (folder.parent.parent / _LOADS / folder.parent.name).open("ab") as counted:
            counted.write(b".")
        self._weights = np.load(folder / WEIGHTS)
        self._loaded = time.monotonic()

    def predict(self, inputs: Arrays, parameters: Parameters) -> Arrays:
        """One pass over a part of the weights."""
        rows = len(inputs["x"])
        self._weights[:64].sum()
        return {"loaded": np.full(rows, self._loaded)}

    def close(self) -> None:
        """Give the memory back."""
        del self._weights
