"""A data plane over in-process models, and what it reports."""

from typing import Any

import numpy as np

from serve_app.core.call import NO_HEADERS, Call, Headers
from serve_app.core.dataplane import DataPlane
from serve_app.core.directory import Model
from serve_app.core.target import Target
from serve_app.core.version import Version
from serve_app.llm.target import EngineTarget
from serve_app.protocol.metadata import ModelDescription, VersionDescription
from serve_app.protocol.tensors import InferRequest, RequestedOutput, Tensor, TensorSpec
from tests.unit.arrays import DTYPES


class Recorded:
    """Implements `serve_app.core.observer.Observer`: keeps what it hears."""

    def __init__(self) -> None:
        self.begins: list[str] = []
        self.batches: list[tuple[str, str, int]] = []
        self.requests: list[tuple[str, str, str]] = []
        self.calls: list[Call] = []
        self.seconds: list[float] = []

    def begun(self, call: Call) -> None:
        self.begins.append(call.request.id)

    def executed(
        self, version: Version, rows: int, requests: int, queued: float, seconds: float
    ) -> None:
        self.seconds.append(seconds)
        if version.batcher:
            self.batches.append((version.model, version.number, rows))

    def finished(self, call: Call) -> None:
        self.calls.append(call)
        if call.model:
            version = call.version.number if call.version else ""
            self.requests.append((call.model, version, "" if call.status == "OK" else call.status))


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


class Bound:
    """A backend of all versions as the target of one."""

    def __init__(self, backend: Any, version: str) -> None:
        self.backend, self.version = backend, version

    async def predict(self, inputs: dict, parameters: dict) -> dict:
        return await self.backend.predict(self.version, inputs, parameters)


def targets(backend: Any, versions=("1", "2")) -> dict[str, Target]:
    """Each version of a backend; an engine is the same for all."""
    if isinstance(backend, EngineTarget):
        return dict.fromkeys(versions, backend.target())
    uncancellable = getattr(backend, "uncancellable", False)
    return {one: Target(Bound(backend, one), uncancellable=uncancellable) for one in versions}


def serve(model: Model, backend: Any, about: ModelDescription, slots: int = 1) -> list[Version]:
    """Make a model answer; what it replaced."""
    return model.serve("", about, targets(backend, about.versions), slots)


def served(
    plane: DataPlane, name: str = "m", backend: Any = None, slots: int = 1, **extra: Any
) -> Model:
    """Put a model into the plane and make it answer."""
    model = plane.directory.expect(name, "")
    model.max_queued = 64
    serve(model, backend or Backend(), description(name, **extra), slots)
    return model


def plane() -> DataPlane:
    made = DataPlane(Recorded())
    made.tried = True
    return made


def heard(plane: DataPlane) -> Recorded:
    """What the plane's observer heard."""
    recorded = plane.observers.each[0]
    assert isinstance(recorded, Recorded)
    assert all(one >= 0 for one in recorded.seconds)
    return recorded


def tensor(data: Any, name: str = "x", datatype: str = "FP32") -> Tensor:
    return Tensor(name, datatype, np.array(data, dtype=DTYPES[datatype]))


def request(*tensors: Tensor, model="m", version="", outputs: list[str] | None = None, **extra: Any):
    wanted = [RequestedOutput(name) for name in outputs] if outputs is not None else None
    return InferRequest(model, version, extra.pop("id", ""), list(tensors), wanted, **extra)


def call(*tensors: Tensor, headers: Headers = NO_HEADERS, **extra: Any) -> Call:
    """A request as an edge hands it on."""
    return Call(request(*tensors, **extra), headers, "http")
