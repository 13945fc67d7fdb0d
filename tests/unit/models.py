"""User models for modelFormat python, named by import path in the tests."""

import asyncio
import threading
from pathlib import Path
from typing import ClassVar

import numpy as np

from serve_app.errors import InvalidArgument
from serve_app.protocol.tensors import TensorSpec


class Double:
    """Sync, declared, configurable."""

    inputs = (TensorSpec("x", "FP32", (-1, 2)),)
    outputs = (TensorSpec("y", "FP32", (-1, 2)),)

    def __init__(self, by: float = 2) -> None:
        self.by = by
        self.folder: Path | str | None = "not loaded"
        self.closed = False
        self.seen: list[tuple[int, ...]] = []

    def load(self, folder):
        self.folder = folder

    def predict(self, inputs, parameters):
        self.seen.append(inputs["x"].shape)
        return {"y": inputs["x"] * np.float32(parameters.get("by", self.by))}

    def close(self):
        self.closed = True


class AsyncDouble:
    """A coroutine function; undeclared."""

    async def predict(self, inputs, parameters):
        await asyncio.sleep(0)
        return {name: array * 2 for name, array in inputs.items()}


class Returns:
    """Whatever `RETURNED` names; undeclared."""

    def __init__(self, what: str) -> None:
        self.what = what

    def predict(self, inputs, parameters):
        result = RETURNED[self.what]
        if isinstance(result, BaseException):
            raise result
        return result


RETURNED = {
    "a list": [1, 2],
    "None": None,
    "ragged": {"y": [[1], [2, 3]]},
    "a complex array": {"y": np.ones(1, dtype=complex)},
    "dates": {"y": np.array(["2020-01-01"], dtype="datetime64[D]")},
    "an object array": {"y": np.array([b"fine", 3], dtype=object)},
    "half a surrogate pair": {"y": np.array(["\ud800"])},
    "a number as a name": {1: np.ones(1)},
    "a set": {"y": {1, 2}},
    "raises": RuntimeError("the weights are gone"),
    "stops": StopIteration("no more rows"),
    "exits": SystemExit(3),
    "interrupts": KeyboardInterrupt(),
    "ends": GeneratorExit("in a thread"),
    "quotes its input": KeyError("x" * 10**6),
    "refuses": InvalidArgument("tensor 'x': too dark"),
    "cancels": asyncio.CancelledError(),
    "text": {"y": ["a", "é"]},
    "numpy text": {"y": np.array(["a", "é"])},
    "numpy bytes": {"y": np.array([b"a", b"bc"])},
    "mixed text": {"y": np.array(["a", b"\xff"], dtype=object)},
    "a float": {"y": 1.5},
    "big-endian": {"y": np.array([1, 2], dtype=">i4")},
    "long long": {"y": np.array([1], dtype=np.longlong)},
    "transposed": {"y": np.arange(6, dtype=np.int32).reshape(2, 3).T},
}


class AsyncReturns(Returns):
    """The same from a coroutine."""

    async def predict(self, inputs, parameters):
        return super().predict(inputs, parameters)


class AsyncCancels:
    """An async model whose own code ends in a cancellation that nobody asked for."""

    async def predict(self, inputs, parameters):
        raise asyncio.CancelledError


class NoPredict:
    """Not a model."""


class Refuses:
    """Fails to load."""

    def load(self, folder):
        raise OSError("the disk is gone")

    def predict(self, inputs, parameters):
        return inputs


class Exits(Refuses):
    """Ends its process, if it is let."""

    def load(self, folder):
        raise SystemExit(3)


class Stops(Refuses):
    """Ends an iteration that nobody began."""

    def load(self, folder):
        raise StopIteration("done")


class Slow(Double):
    """Loads when the test lets it, by a name of the test's own; fails there, if it is told to."""

    gates: ClassVar[dict[str, threading.Event]] = {}
    failing: ClassVar[dict[str, BaseException]] = {}

    def __init__(self, gate: str, by: float = 2) -> None:
        super().__init__(by)
        self.gate = gate

    def load(self, folder):
        assert self.gates[self.gate].wait(20)
        if error := self.failing.get(self.gate):
            raise error


class Hangs(Double):
    """For rows that begin with a negative number, until `gate` opens."""

    gate: ClassVar[threading.Event] = threading.Event()

    def predict(self, inputs, parameters):
        if (inputs["x"] < 0).any():
            self.gate.wait()
        return super().predict(inputs, parameters)
