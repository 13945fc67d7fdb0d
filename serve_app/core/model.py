"""A model as the data plane sees it: a description, a way to run batches, batchers and counters."""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Iterator, Mapping
from typing import Protocol

from serve_app.core.batching import Batcher, Execute
from serve_app.errors import InvalidArgument, Overloaded, Unavailable
from serve_app.protocol.metadata import Duration, ModelDescription, Statistics, VersionDescription
from serve_app.protocol.tensors import Arrays, InferRequest, Parameters
from serve_app.routing.versions import choose

# Known to the protocol, meaningless to a model: they neither reach it nor keep requests apart.
_PROTOCOL_PARAMETERS = ("timeout", "priority")


class Backend(Protocol):
    """Where a model runs: in this process, or behind a Serve handle."""

    async def predict(self, version: str, inputs: Arrays, parameters: Parameters) -> Arrays:
        """One batch; raises TandemError only."""
        ...


class Streaming(Backend, Protocol):
    """A backend that can answer piece by piece."""

    def stream(
        self, version: str, inputs: Arrays, parameters: Parameters
    ) -> AsyncGenerator[Arrays, None]:
        """One request's answer, as it comes; raises TandemError only."""
        ...


class Metrics(Protocol):
    """Receives what happens, per model and version."""

    def execution(self, model: str, version: str, spent: float) -> None:
        """One execution of the model: seconds."""

    def batch(self, model: str, version: str, rows: int, queued: float) -> None:
        """What an execution of a batched model was made of: rows, and seconds queued (the mean)."""

    def request(self, model: str, version: str, error: str, seconds: float | None) -> None:
        """One finished request; `error` is the kind's name, empty on success.

        `seconds` is None when it came to nothing before it was begun.
        """


class Serving:
    """What answers between one `serve` and the next, and the requests that it still has to answer."""

    def __init__(self) -> None:
        self.requests = 0
        self.empty: asyncio.Event | None = None

    async def over(self) -> None:
        """Wait until nobody needs it: after the next `serve` no request is added."""
        if self.requests:
            self.empty = asyncio.Event()
            await self.empty.wait()

    def leave(self) -> None:
        """One request fewer."""
        self.requests -= 1
        if self.empty is not None and not self.requests:
            self.empty.set()


class Model:
    """One served model. Not ready until it has a description and a backend."""

    def __init__(self, name: str, metrics: Metrics, reason: str = "loading") -> None:
        self.name = name
        self.reason = reason  # why it isn't ready
        self.default_version: str | None = None
        self.max_queued = 1
        self.statistics: dict[str, Statistics] = {}
        self._metrics = metrics
        self._description: ModelDescription | None = None
        self._backend: Backend | None = None
        self._batchers: dict[str, Batcher] = {}
        self._pending = 0
        self._serving = Serving()

    def serve(
        self, description: ModelDescription, backend: Backend, slots: int = 1, spare: int = 0
    ) -> Serving:
        """Take or replace what answers. `slots` and `spare`: serve_app.core.batching.

        What waits for a version that is gone is answered by the old backend, which must live until
        the returned Serving is over.
        """
        self._description, self._backend = description, backend
        replaced, self._serving = self._serving, Serving()
        for version in list(self._batchers):
            if version not in description.versions or not description.max_batch_size:
                del self._batchers[version]  # it goes on until it is empty
        for version in description.versions:
            self.statistics.setdefault(version, Statistics())
            if description.max_batch_size:
                limits = (description.max_batch_size, description.max_latency, slots, spare)
                if batcher := self._batchers.get(version):
                    batcher.execute = _executing(version, backend)
                    batcher.configure(*limits)
                else:
                    batcher = self._batchers[version] = self._batcher(version, backend, *limits)
                batcher.stubborn = getattr(backend, "stubborn", False)
        self.reason = ""
        return replaced

    def resize(self, slots: int, spare: int = 0) -> None:
        """Change how many batches may be in flight."""
        about = self.described
        for batcher in self._batchers.values():
            batcher.configure(about.max_batch_size, about.max_latency, slots, spare)

    def stop_serving(self, reason: str) -> None:
        """Answer 503 from now on; what runs may finish."""
        self.reason = reason

    def _batcher(
        self, version: str, backend: Backend, rows: int, latency: float, slots: int, spare: int
    ) -> Batcher:
        def observe(rows: int, requests: int, queued: float, spent: float) -> None:
            self._count(version, rows, requests, queued, spent)
            self._metrics.batch(self.name, version, rows, queued / requests)

        return Batcher(_executing(version, backend), rows, latency, slots, observe, spare)

    @property
    def ready(self) -> bool:
        """Whether the default version can answer."""
        return not self.reason

    @property
    def versions(self) -> Mapping[str, VersionDescription]:
        """The loaded versions, oldest first; empty before the first load."""
        return self._description.versions if self._description else {}

    @property
    def described(self) -> ModelDescription:
        """The description; Unavailable before the first load."""
        if self._description is None:
            raise Unavailable(f"model '{self.name}' is not ready: {self.reason}")
        return self._description

    def resolve(self, asked: str) -> str:
        """The version that answers a request for `asked` ('' for the default)."""
        self.described  # noqa: B018 - Unavailable beats NotFound while loading
        return choose(self.name, asked, self.default_version, self.versions)

    async def run(self, version: str, request: InferRequest) -> Arrays:
        """Validate and run one request on a resolved version."""
        self._admit()
        inputs = validated(request, self.versions[version])
        parameters = {k: v for k, v in request.parameters.items() if k not in _PROTOCOL_PARAMETERS}
        serving = self._serving
        serving.requests += 1
        self._pending += 1
        try:
            if batcher := self._batchers.get(version):
                return await batcher.submit(inputs, parameters)
            assert self._backend is not None  # ready
            started = time.monotonic()
            outputs = await self._backend.predict(version, inputs, parameters)
            self._count(version, 1, 1, 0, time.monotonic() - started)
            return outputs
        finally:
            self._pending -= 1
            serving.leave()

    async def stream(self, version: str, request: InferRequest) -> AsyncGenerator[Arrays, None]:
        """The same, piece by piece, of an LLM."""
        self._admit()
        inputs = validated(request, self.versions[version])
        parameters = {k: v for k, v in request.parameters.items() if k not in _PROTOCOL_PARAMETERS}
        backend: Streaming = self._backend  # type: ignore[assignment]  # of an LLM
        with self.busy(version):
            async with contextlib.aclosing(backend.stream(version, inputs, parameters)) as pieces:
                async for piece in pieces:
                    yield piece

    @contextlib.contextmanager
    def busy(self, version: str) -> Iterator[Backend]:
        """One request more for as long as it lasts; its backend, which lives until then."""
        self._admit()
        assert self._backend is not None  # ready
        serving = self._serving
        serving.requests += 1
        self._pending += 1
        started = time.monotonic()
        try:
            yield self._backend
            self._count(version, 1, 1, 0, time.monotonic() - started)
        finally:
            self._pending -= 1
            serving.leave()

    def _admit(self) -> None:
        if self.reason:
            raise Unavailable(f"model '{self.name}' is not ready: {self.reason}")
        if self._pending >= self.max_queued:
            raise Overloaded(
                f"model '{self.name}' has {self._pending} requests waiting, the limit; try again later"
            )

    def _count(self, version: str, rows: int, requests: int, queued: float, spent: float) -> None:
        counters = self.statistics[version]
        ns = int(spent * 1e9)
        counters.inferences += rows
        counters.executions += 1
        counters.queue.add(int(queued * 1e9), requests)
        counters.infer.add(ns * requests, requests)
        if (batches := counters.batches.get(rows)) is None:
            batches = counters.batches[rows] = Duration()
        batches.add(ns)
        self._metrics.execution(self.name, version, spent)

    def close(self) -> None:
        """The model was removed: what waits is refused."""
        self.stop_serving("it was removed")
        for batcher in self._batchers.values():
            batcher.close()


def _executing(version: str, backend: Backend) -> Execute:
    async def execute(inputs: Arrays, parameters: Parameters) -> Arrays:
        return await backend.predict(version, inputs, parameters)

    return execute


def validated(request: InferRequest, version: VersionDescription) -> Arrays:
    """The request's arrays in the declared order; InvalidArgument names tensor, expected and got."""
    arrays: Arrays = {}
    given = {tensor.name: tensor for tensor in request.inputs}
    if len(given) != len(request.inputs):
        names = [tensor.name for tensor in request.inputs]
        twice = next(name for name in names if names.count(name) > 1)
        raise InvalidArgument(f"tensor '{twice}' is given twice")
    if not version.inputs:
        return {name: tensor.data for name, tensor in given.items()}
    for spec in version.inputs:
        tensor = given.pop(spec.name, None)
        if tensor is None:
            if spec.optional:
                continue
            raise InvalidArgument(
                f"tensor '{spec.name}' is missing: expected {spec.datatype} {list(spec.shape)}"
            )
        if tensor.datatype != spec.datatype:
            raise InvalidArgument(
                f"tensor '{spec.name}': expected datatype {spec.datatype}, got {tensor.datatype}"
            )
        if not spec.accepts(tensor.data.shape):
            raise InvalidArgument(
                f"tensor '{spec.name}': expected shape {list(spec.shape)} (-1 is any), "
                f"got {list(tensor.data.shape)}"
            )
        arrays[spec.name] = tensor.data
    for name in given:
        expected = ", ".join(spec.name for spec in version.inputs)
        raise InvalidArgument(f"tensor '{name}' is not an input of this model: expected {expected}")
    return arrays
