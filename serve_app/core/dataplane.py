"""The V2 verbs over a directory of models. No Ray, no HTTP, no gRPC."""

import asyncio
import random
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any

from serve_app import __version__
from serve_app.config import did_you_mean
from serve_app.core.deadlines import Deadlines
from serve_app.core.model import Metrics, Model
from serve_app.errors import (
    DeadlineExceeded,
    InvalidArgument,
    ModelFailed,
    NotFound,
    TandemError,
    Unavailable,
)
from serve_app.protocol.metadata import Duration, Statistics
from serve_app.protocol.rest_codec import tensors_from
from serve_app.protocol.tensors import Arrays, InferRequest, InferResponse, TensorSpec

EXTENSIONS = ["binary_tensor_data", "model_configuration", "parameters", "statistics"]

_random = random.Random()  # noqa: S311 - unique is enough; uuid4 asks the system for entropy

# One finished request: id, model, version, status ("OK" or the error kind), milliseconds.
AccessLog = Callable[[str, str, str, str, float], None]


def new_id() -> str:
    """An id for a request that came without one: 32 hexadecimal digits."""
    return f"{_random.getrandbits(128):032x}"


class DataPlane:
    """Answers V2 for the models it is given. Everything happens on one event loop."""

    def __init__(self, metrics: Metrics) -> None:
        self.models: dict[str, Model] = {}
        self.ready = False
        self.timeout = 60.0
        self.access_log: AccessLog | None = None
        self.metrics = metrics
        self._deadlines = Deadlines()

    def model(self, name: str) -> Model:
        """The model; NotFound when the directory doesn't hold it."""
        model = self.models.get(name)
        if model is None:
            raise NotFound(f"no model '{name}'")
        return model

    def server_metadata(self) -> dict[str, Any]:
        """`GET /v2`."""
        return {"name": "tandem", "version": __version__, "extensions": EXTENSIONS}

    def model_ready(self, name: str, version: str = "") -> bool:
        """Whether this model, or this version of it, can answer. NotFound for unknown ones."""
        model = self.model(name)
        if not model.ready:
            return False
        try:
            model.resolve(version)
        except Unavailable:
            return False
        return True

    def model_metadata(self, name: str, version: str = "") -> dict[str, Any]:
        """`GET /v2/models/{name}`: the signature of the version that would answer."""
        model = self.model(name)
        chosen = model.versions[model.resolve(version)]
        return {
            "name": name,
            "versions": list(model.versions),
            "platform": model.described.platform,
            "inputs": [_tensor(spec) for spec in chosen.inputs],
            "outputs": [_tensor(spec) for spec in chosen.outputs],
        }

    def model_config(self, name: str, version: str = "") -> dict[str, Any]:
        """Triton's model configuration, the parts of it that exist here."""
        model = self.model(name)
        chosen = model.versions[model.resolve(version)]
        about = model.described
        rows = about.max_batch_size
        config: dict[str, Any] = {
            "name": name,
            "platform": about.platform,
            "backend": about.platform,
            "max_batch_size": rows,
            "input": [_config_tensor(spec, rows) for spec in chosen.inputs],
            "output": [_config_tensor(spec, rows) for spec in chosen.outputs],
        }
        if rows:
            config["dynamic_batching"] = {
                "preferred_batch_size": [rows],
                "max_queue_delay_microseconds": int(about.max_latency * 1000),
            }
        return config

    def statistics(self, name: str = "", version: str = "") -> list[dict[str, Any]]:
        """Counters of this Router replica, per model version."""
        chosen = [self.model(name)] if name else list(self.models.values())
        if name and version:
            chosen[0].resolve(version)
        return [
            _statistics(model.name, number, counters)
            for model in chosen
            for number, counters in model.statistics.items()
            if number in model.versions and version in ("", number)
        ]

    def repository_index(self, only_ready: bool = False) -> list[dict[str, str]]:
        """Every model version and its state."""
        rows = []
        for model in self.models.values():
            state = "READY" if model.ready else "UNAVAILABLE"
            if only_ready and not model.ready:
                continue
            for version in model.versions or ("",):
                rows.append(
                    {"name": model.name, "version": version, "state": state, "reason": model.reason}
                )
        return rows

    async def infer(self, request: InferRequest) -> InferResponse:
        """Run one request. Raises TandemError only; counts and logs it either way."""
        started = time.monotonic()
        request.id = request.id or new_id()
        status, version = "OK", request.version
        model: Model | None = None
        try:
            model = self.model(request.model)
            version = model.resolve(request.version)
            outputs = await self._run(model, version, request)
            names = _wanted(request, outputs)
            return InferResponse(model.name, version, request.id, tensors_from(outputs, names))
        except TandemError as error:
            status = type(error).__name__
            if isinstance(error, ModelFailed):
                raise ModelFailed(f"{error} (request id {request.id})") from error
            raise
        except asyncio.CancelledError:
            status = "Cancelled"
            raise
        except Exception as error:  # a bug of ours, which must not count as a success
            status = type(error).__name__
            raise
        finally:
            seconds = time.monotonic() - started
            self._record(model, version, request, status, seconds)

    def refused(self, name: str, version: str, error: TandemError) -> None:
        """Count and log a request that couldn't even be decoded."""
        request = InferRequest(name, version, new_id(), [])
        self._record(self.models.get(name), version, request, type(error).__name__, None)

    async def stream(self, request: InferRequest) -> AsyncGenerator[InferResponse, None]:
        """Run one request of an LLM, its answer piece by piece; the last has a finish_reason."""
        request.id = request.id or new_id()
        async with self.recorded(request) as (model, version):
            _check_outputs(request, model, version)
            if model.described.engine is None:
                raise InvalidArgument(f"model '{model.name}' generates no text: use infer")
            async with aclosing(model.stream(version, request)) as pieces:
                piece = await self._first(model.name, pieces)
                while piece is not None:
                    tensors = tensors_from(piece, _wanted(request, piece))
                    yield InferResponse(model.name, version, request.id, tensors)
                    piece = await anext(pieces, None)

    async def _first(self, name: str, pieces: AsyncIterator[Arrays]) -> Arrays | None:
        """The time limit is for the first piece: how long an answer takes is its reader's affair."""
        seconds = self.timeout
        try:
            async with asyncio.timeout(seconds):
                return await anext(pieces, None)
        except TimeoutError:
            raise DeadlineExceeded(f"model '{name}' gave no answer within {seconds:g} s") from None

    @asynccontextmanager
    async def recorded(self, request: InferRequest) -> AsyncIterator[tuple[Model, str]]:
        """A request that is answered elsewhere, counted and logged as `infer` does its own."""
        started = time.monotonic()
        status, version = "OK", request.version
        model: Model | None = None
        try:
            model = self.model(request.model)
            version = model.resolve(request.version)
            yield model, version
        except (asyncio.CancelledError, GeneratorExit):
            status = "Cancelled"
            raise
        except Exception as error:
            status = type(error).__name__
            raise
        finally:
            self._record(model, version, request, status, time.monotonic() - started)

    def engine(self, name: str) -> Model:
        """The LLM that answers to `name`, its own or an adapter's; NotFound when none does."""
        model = self.models.get(name)
        if model is not None and (not model.versions or model.described.engine):
            return model
        for model in self.engines():
            engine = model.described.engine
            assert engine is not None
            if name in engine.names or engine.loads(name):
                return model
        known = [each for model in self.engines() for each in model.described.engine.names]  # type: ignore[union-attr]
        raise NotFound(f"no language model '{name}'{did_you_mean(name, known)}")

    def engines(self) -> list[Model]:
        """The LLMs that are known to be some, by name, whichever was there first."""
        found = (one for one in self.models.values() if one.versions and one.described.engine)
        return sorted(found, key=lambda model: model.name)

    async def _run(self, model: Model, version: str, request: InferRequest) -> Arrays:
        _check_outputs(request, model, version)
        seconds = self.timeout
        asked = request.parameters.get("timeout")
        if asked is not None:
            if isinstance(asked, bool) or not isinstance(asked, int | float) or asked < 0:
                raise InvalidArgument(f"parameters.timeout must be microseconds, got {asked!r}")
            seconds = min(seconds, asked / 1e6) if asked else seconds
        try:
            with self._deadlines.within(seconds):
                return await model.run(version, request)
        except TimeoutError:
            raise DeadlineExceeded(f"model '{model.name}' gave no answer within {seconds:g} s") from None

    def _record(
        self, model: Model | None, version: str, request: InferRequest, status: str, spent: float | None
    ) -> None:
        seconds = spent or 0.0
        if model is not None:
            counters = model.statistics.get(version)
            if counters is not None:
                outcome = counters.success if status == "OK" else counters.fail
                outcome.add(int(seconds * 1e9))
                counters.last_inference_ms = int(time.time() * 1000)
            known = version if counters is not None else ""
            self.metrics.request(model.name, known, "" if status == "OK" else status, spent)
        if self.access_log is not None:
            self.access_log(request.id, request.model, version, status, seconds * 1000)


def _check_outputs(request: InferRequest, model: Model, version: str) -> None:
    declared = [spec.name for spec in model.versions[version].outputs]
    names = [output.name for output in request.outputs or ()]
    for name in names:
        if names.count(name) > 1:
            raise InvalidArgument(f"output '{name}' is asked for twice")
        if declared and name not in declared:
            raise InvalidArgument(
                f"output '{name}' is not an output of model '{model.name}', "
                f"which has {', '.join(declared)}"
            )


def _wanted(request: InferRequest, outputs: Arrays) -> list[str]:
    if request.outputs is None:
        return list(outputs)
    names = [output.name for output in request.outputs]
    for name in names:
        if name not in outputs:  # only a model with undeclared outputs gets here
            raise InvalidArgument(
                f"output '{name}' is not an output of model '{request.model}', "
                f"which answered {', '.join(outputs) or 'nothing'}"
            )
    return names


def _tensor(spec: TensorSpec) -> dict[str, Any]:
    return {"name": spec.name, "datatype": spec.datatype, "shape": list(spec.shape)}


def _config_tensor(spec: TensorSpec, rows: int) -> dict[str, Any]:
    kind = "STRING" if spec.datatype == "BYTES" else spec.datatype
    dims = list(spec.shape[1:] if rows else spec.shape)
    entry: dict[str, Any] = {"name": spec.name, "data_type": f"TYPE_{kind}", "dims": dims}
    return entry | ({"optional": True} if spec.optional else {})


def _duration(value: Duration) -> dict[str, int]:
    return {"count": value.count, "ns": value.ns}


def _statistics(name: str, version: str, counters: Statistics) -> dict[str, Any]:
    return {
        "name": name,
        "version": version,
        "last_inference": counters.last_inference_ms,
        "inference_count": counters.inferences,
        "execution_count": counters.executions,
        "inference_stats": {
            "success": _duration(counters.success),
            "fail": _duration(counters.fail),
            "queue": _duration(counters.queue),
            "compute_input": _duration(Duration()),
            "compute_infer": _duration(counters.infer),
            "compute_output": _duration(Duration()),
        },
        "batch_stats": [
            {
                "batch_size": rows,
                "compute_input": _duration(Duration()),
                "compute_infer": _duration(spent),
                "compute_output": _duration(Duration()),
            }
            for rows, spent in sorted(counters.batches.items())
        ],
    }
