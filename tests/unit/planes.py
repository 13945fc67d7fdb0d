"""A data plane over in-process models, and what it reports."""

from typing import Any

import numpy as np

from serve_app.core.dataplane import DataPlane
from serve_app.core.model import Model
from serve_app.protocol.metadata import ModelDescription, VersionDescription
from serve_app.protocol.tensors import InferRequest, RequestedOutput, Tensor, TensorSpec
from tests.unit.arrays import DTYPES


class Recorded:
    """Implements `serve_app.core.model.Metrics`."""

    def __init__(self) -> None:
        self.batches: list[tuple[str, str, int]] = []
        self.requests: list[tuple[str, str, str]] = []

    def execution(self, model: str, version: str, spent: float) -> None:
        assert spent >= 0

    def batch(self, model: str, version: str, rows: int, queued: float) -> None:
        self.batches.append((model, version, rows))

    def request(self, model: str, version: str, error: str, seconds: float | None) -> None:
        self.requests.append((model, version, error))


class Backend:
    """Answers x as y, ten times as large and with the version added; keeps what it got."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, dict, dict]] = []

    async def predict(self, version: str, inputs: dict, parameters: dict) -> dict:
        self.seen.append((version, inputs, parameters))
        return {"y": inputs["x"] * 10 + int(version), "z": inputs["x"]}


class Echo:
    """Every input under its own name."""

    async def predict(self, version: str, inputs: dict, parameters: dict) -> dict:
        return inputs


class Raises:
    """Fails in a given way."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    async def predict(self, version: str, inputs: dict, parameters: dict) -> dict:
        raise self.error


X = TensorSpec("x", "FP32", (-1, 2))
DECLARED = VersionDescription([X], [TensorSpec("y", "FP32", (-1, 2)), TensorSpec("z", "FP32", (-1, 2))])
UNDECLARED = VersionDescription([], [])


def description(name: str = "m", about=DECLARED, versions=("1", "2"), **extra: Any) -> ModelDescription:
    return ModelDescription(name, "python", dict.fromkeys(versions, about), **extra)


def served(
    plane: DataPlane, name: str = "m", backend: Any = None, slots: int = 1, **extra: Any
) -> Model:
    """Put a model into the plane and make it answer."""
    model = plane.models[name] = Model(name, plane.metrics)
    model.max_queued = 64
    model.serve(description(name, **extra), backend or Backend(), slots)
    return model


def plane() -> DataPlane:
    made = DataPlane(Recorded())
    made.ready = True
    return made


def tensor(data: Any, name: str = "x", datatype: str = "FP32") -> Tensor:
    return Tensor(name, datatype, np.array(data, dtype=DTYPES[datatype]))


def request(*tensors: Tensor, model="m", version="", outputs: list[str] | None = None, **extra: Any):
    wanted = [RequestedOutput(name) for name in outputs] if outputs is not None else None
    return InferRequest(model, version, extra.pop("id", ""), list(tensors), wanted, **extra)
