"""The V2 verbs over a directory of models. No Ray, no HTTP, no gRPC."""

import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from typing import Any

from serve_app import __version__
from serve_app.core import describe
from serve_app.core.call import Call
from serve_app.core.changes import Progress, changes
from serve_app.core.cold import RETRY_S, Cold
from serve_app.core.deadlines import Deadlines
from serve_app.core.directory import Directory
from serve_app.core.explaining import explained, explaining
from serve_app.core.observer import Observer, Observers, Tap
from serve_app.core.outputs import answered
from serve_app.core.pipeline import GONE, Bracket, Pipeline, Renew
from serve_app.core.signature import check_outputs
from serve_app.core.target import Relayed
from serve_app.core.version import State, Version
from serve_app.errors import (
    DeadlineExceeded,
    Gone,
    InvalidArgument,
    ModelFailed,
    TandemError,
    Unavailable,
    VersionGone,
    reworded,
)
from serve_app.protocol.tensors import Arrays, InferRequest, InferResponse
from serve_app.redact import redacted

Pieces = AsyncGenerator[tuple[Arrays, bool], None]
EXTENSIONS = ["binary_tensor_data", "classification", "model_configuration", "parameters", "statistics"]


class DataPlane:
    """Answers V2 for the models of `directory`. Everything happens on one event loop.

    `timeout`: seconds that an answer, or a stream's first piece, may take; `strict`: whether the server
    is ready only while all of its models are; `exception_texts`: whether clients are told what a model's
    exceptions say.
    """

    def __init__(self, *observers: Observer) -> None:
        self.observers = Observers(*observers)
        self.directory = Directory(self.observers)
        self.router = ""  # its name, among several
        self.progress: Callable[[], Progress] = Progress
        self.live: Callable[[], Mapping[str, str]] = dict  # models that aren't as configured, and why
        self.extensions = EXTENSIONS
        self.tried = False  # every model that is configured, once
        self.strict = self.exception_texts = False
        self.tap: Tap | None = None
        self._pipeline = Pipeline(self.directory, self.observers)
        self._deadlines = Deadlines()

    @property
    def timeout(self) -> float:
        return self._pipeline.timeout

    @timeout.setter
    def timeout(self, seconds: float) -> None:
        self._pipeline.timeout = seconds

    def look_for_successors(self, renew: Renew) -> None:
        """How one is found for a version that is gone."""
        self._pipeline.renew = renew

    @property
    def ready(self) -> bool:
        """Whether every configured model has been loaded, or couldn't be, since this server started.

        Later one model's trouble is its own, unless `strict`.
        """
        return self.tried and (not self.strict or self.directory.ready)

    def server_metadata(self) -> dict[str, Any]:
        """`GET /v2`."""
        return {"name": "tandem", "version": __version__, "extensions": self.extensions}

    def model_ready(self, name: str, version: str = "") -> bool:
        """Whether this model, or this version of it, can answer. NotFound for unknown ones."""
        model = self.directory.model(name)
        try:
            return model.pick(version).state is State.READY
        except Unavailable:
            return False

    def why(self, name: str, version: str = "") -> str:
        """Why this model can't answer, or what it answers isn't what was wanted; else ''."""
        model = self.directory.model(name)
        try:
            picked = model.pick(version)
        except Unavailable as error:
            return error.message
        return redacted(picked.reason) or describe.refused(model.why_old(picked))

    def model_metadata(self, name: str, version: str = "") -> dict[str, Any]:
        """`GET /v2/models/{name}`."""
        return describe.metadata(self.directory, name, version)

    def model_config(self, name: str, version: str = "") -> dict[str, Any]:
        """Triton's model configuration."""
        return describe.config(self.directory, name, version)

    def statistics(self, name: str = "", version: str = "") -> list[dict[str, Any]]:
        """Counters of this Router replica, per model version."""
        return describe.statistics(self.directory, name, version)

    def decoupled(self, name: str, version: str = "") -> bool:
        """Whether a stream gets several answers to one request of this model."""
        try:
            return self.directory.model(name).pick(version).target.streams is not None
        except TandemError:
            return False  # `infer` says why

    def passes(self, name: str, version: str = "") -> bool:
        """Whether another server answers for this model, and reads requests by itself."""
        try:
            return self.directory.model(name).pick(version).signature.passes
        except TandemError:
            return False

    def repository_index(self, only_ready: bool = False) -> list[dict[str, str]]:
        """Every model version and its state."""
        return describe.index(self.directory, only_ready)

    def changes(self) -> dict[str, Any]:
        """What became of the last configuration, on this Router."""
        return changes(self.router, self.directory, self.progress(), self.live())

    async def awake(self, name: str, version: str = "", call: Call | None = None) -> Version:
        """The version that would answer (that call), loaded first where nobody knows what it takes
        otherwise.

        What its `pick` raises; Unavailable when it can't be loaded, or not in time.
        """
        model = self.directory.model(name)
        picked = model.pick(version, call)
        try:
            with self._deadlines.within(self.timeout):
                while isinstance(picked, Cold) and not picked.known:
                    await self._pipeline.renew(picked)
                    picked = model.pick(version, call)
        except TimeoutError:
            raise _late(picked, self.timeout) from None
        return picked

    def refused(self, call: Call, error: TandemError) -> None:
        """Count and log a request that couldn't even be decoded."""
        self._pipeline.refused(call, error)

    def check_room(self, call: Call) -> None:
        """Unavailable, NotFound or Overloaded for what needn't be decoded: it won't be let in."""
        model = self.directory.model(call.request.model)
        call.began = time.monotonic()
        call.deadline = call.began + self.timeout
        model.check(model.pick(call.request.version), call)

    def encoded(self, call: Call, seconds: float) -> None:
        """Count what the edge spent on the answer's bytes."""
        if call.version is not None:
            counters, ns = call.version.counters, int(seconds * 1e9)
            counters.compute.output.ns += ns
            counters.success.ns += ns

    async def infer(self, call: Call) -> InferResponse:
        """Run one request. Raises TandemError only; counts and logs it either way."""
        request = call.request
        bracket = self._pipeline.bracket(call, whole=True)
        with bracket as picked:
            version, seconds = picked, call.deadline - call.began
            try:
                with self._deadlines.within(seconds):
                    while True:
                        check_outputs(request, version.model, version.signature)
                        try:
                            outputs = await version.predict(request, call.client)
                            break
                        except GONE as error:
                            version = await bracket.again(error)
            except TimeoutError:
                raise _late(version, seconds) from None
            except ModelFailed as error:
                raise self._identified(error, request) from error
            tensors = answered(request, outputs, version)
            call.response = InferResponse(version.model, version.number, request.id, tensors)
            return call.response

    def check_explains(self, name: str, version: str = "") -> None:
        """Unsupported where nothing explains the model, NotFound or Unavailable where there is none."""
        explained(self.directory, name, version)

    async def explain(self, call: Call) -> InferResponse:
        """Why the answer to a request is what it is, by another model; else as `infer`."""
        call.verb = "explain"
        try:
            await self.awake(call.request.model, call.request.version)
            version, asked = explaining(self.directory, call, self._pipeline.seconds(call.request))
        except TandemError as error:
            self.refused(call, error)
            raise
        try:
            response = await self.infer(asked)
        finally:
            call.version = asked.version
        response.model, response.version = version.model, version.number
        return response

    async def stream(self, call: Call) -> AsyncGenerator[InferResponse, None]:
        """Run one request of an LLM, its answer piece by piece; the last is `final`.

        The time limit is for the first piece: how long an answer takes is its reader's affair.
        """
        request, call.verb = call.request, "stream"
        bracket = self._pipeline.bracket(call)
        with bracket as picked:
            version = picked
            try:
                with self._deadlines.within(self.timeout):
                    while True:
                        check_outputs(request, version.model, version.signature)
                        pieces = version.stream(request)
                        try:
                            piece = await anext(pieces, None)
                            break
                        except GONE as error:
                            version = await bracket.again(error)
            except TimeoutError:
                raise _late(version, self.timeout) from None
            except ModelFailed as error:
                raise self._identified(error, request) from error
            heard = self.tap.stream(call) if self.tap is not None else None
            async with aclosing(pieces):
                try:
                    while piece is not None:
                        arrays, final = piece
                        if heard is not None:
                            heard(arrays)
                        tensors = answered(request, arrays, version)
                        yield InferResponse(version.model, version.number, request.id, tensors, final)
                        piece = await anext(pieces, None)
                except ModelFailed as error:
                    raise self._identified(error, request) from error

    @asynccontextmanager
    async def relay(
        self, call: Call, path: str, body: bytes, asked: dict[str, Any]
    ) -> AsyncIterator[Relayed]:
        """Pass a request of another protocol on, and its answer back; an error inside counts as one."""
        call.verb = "relay"
        bracket = self._pipeline.bracket(call)
        with bracket as picked:
            version, until = picked, call.began + self.timeout
            async with AsyncExitStack() as opened:
                try:
                    while True:
                        if version.target.relays is None:
                            raise InvalidArgument(f"model '{version.model}' speaks V2 alone")
                        began = time.monotonic()
                        relayed = version.target.relays.relay(path, body, asked, self.timeout)
                        try:
                            answer = await opened.enter_async_context(relayed)
                            break
                        except GONE as error:
                            version = await self._other(bracket, error, version, until)
                    if self.tap is not None:
                        answer = self.tap.relay(call, path, body, asked, answer)
                    yield answer
                except ModelFailed as error:
                    raise self._identified(error, call.request) from error
            version.executed(1, 1, 0.0, time.monotonic() - began)

    async def _other(
        self, bracket: Bracket, error: Gone | VersionGone, version: Version, until: float
    ) -> Version:
        rest = until - time.monotonic()
        if rest <= 0:
            raise _late(version, self.timeout)
        try:
            with self._deadlines.within(rest):
                return await bracket.again(error)
        except TimeoutError:
            raise _late(version, self.timeout) from None

    def _identified(self, error: ModelFailed, request: InferRequest) -> ModelFailed:
        text, said = (error.whole, "") if self.exception_texts else (str(error), error.said)
        return reworded(error, f"{text} (request id {request.id[:128]})", said)


def _late(version: Version, seconds: float) -> DeadlineExceeded | Unavailable:
    if not version.cold:
        return DeadlineExceeded(f"model '{version.model}' gave no answer within {seconds:g} s")
    error = Unavailable(f"model '{version.model}' wasn't loaded within {seconds:g} s")
    error.retry_after = RETRY_S
    return error
