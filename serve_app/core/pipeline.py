"""What every call goes through, whatever is asked: admit, pick, run, record.

with pipeline.bracket(call) as version:
    ...  # run it on this version; `await bracket.again(error)` gives another where this one is gone
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from types import TracebackType

from serve_app.core.asking import ASKING, on_requests
from serve_app.core.call import Call, new_id
from serve_app.core.directory import Directory, Model
from serve_app.core.observer import Observers
from serve_app.core.version import Version
from serve_app.errors import (
    Gone,
    InvalidArgument,
    ModelFailed,
    NotFound,
    TandemError,
    Unavailable,
    VersionGone,
    kind_of,
    shown,
)
from serve_app.protocol.tensors import InferRequest

log = logging.getLogger("tandem")


CANCELLED = "Cancelled"
GONE = (Gone, VersionGone)  # what a version raises that isn't there any more
# Waits until a version that is gone may have a successor; False when it won't, so far as is known.
Renew = Callable[[Version], Awaitable[bool]]


async def nothing_new(version: Version) -> bool:
    """Where nobody looks for successors."""
    return False


class Pipeline:
    """Brackets around calls to the models of a directory."""

    def __init__(self, directory: Directory, observers: Observers) -> None:
        self.directory, self.observers = directory, observers
        self.renew: Renew = nothing_new
        self.timeout = 60.0  # seconds that an answer, or a stream's first piece, may take

    def bracket(self, call: Call, whole: bool = False) -> "Bracket":
        """To be entered once; nothing happens before. `whole`: its time limit is for all of its answer,
        and the request may name a shorter one.
        """
        return Bracket(self, call, whole)

    def seconds(self, request: InferRequest) -> float:
        """Its time limit; InvalidArgument where it asks for one that is none."""
        asked = request.parameters.get("timeout")
        if asked is None:
            return self.timeout
        if isinstance(asked, bool) or not isinstance(asked, int | float) or asked < 0:
            raise InvalidArgument(f"parameters.timeout must be microseconds, got {shown(asked)}")
        return min(self.timeout, asked / 1e6) if asked else self.timeout

    def refused(self, call: Call, error: TandemError) -> None:
        """Record a request that couldn't even be decoded."""
        call.request.id = call.request.id or call.request_id or new_id()
        if model := self.directory.models.get(call.request.model):
            call.model = model.name
            call.version = model.versions.get(call.request.version)
        self.finish(call, error)

    def finish(self, call: Call, error: BaseException | None) -> None:
        """Count it, and tell the observers."""
        call.status = status_of(error)
        if isinstance(error, ModelFailed) and not error.logged:
            number = call.version.number if call.version else ""
            log.error(
                "model '%s' version %s failed on %s: %s", call.model, number, on_requests(), error.whole
            )
        if call.version is not None:
            counters = call.version.counters
            outcome = counters.success if error is None else counters.fail
            outcome.add(int(((call.seconds or 0) + call.decoding) * 1e9))
            if error is None:
                counters.compute.input.ns += int(call.decoding * 1e9)
            counters.last_inference_ms = int(time.time() * 1000)
        self.observers.finished(call)


class Bracket:
    """Around one call: its version on entering, its record on leaving, however it ends."""

    __slots__ = ("_admitted", "_call", "_pipeline", "_whole")

    def __init__(self, pipeline: Pipeline, call: Call, whole: bool) -> None:
        self._pipeline, self._call, self._whole = pipeline, call, whole
        self._admitted: Model | None = None

    def __enter__(self) -> Version:
        call, pipeline = self._call, self._pipeline
        request = call.request
        request.id = request.id or call.request_id or new_id()
        call.began = time.monotonic()
        name = call.request_id
        ASKING.set((request.id if not name or name == request.id else f"{request.id} ({name})",))
        try:
            pipeline.observers.begun(call)
            model = pipeline.directory.model(request.model)
            call.model = model.name
            call.version = version = model.pick(request.version, call)
            call.deadline = call.began + (pipeline.seconds(request) if self._whole else pipeline.timeout)
            model.admit(version, call)
        except Exception as error:
            self._end(error)
            raise
        self._admitted = model
        return version

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end(error)

    async def again(self, error: Gone | VersionGone) -> Version:
        """Another version for a call whose own is gone; what clients are told where there is none."""
        call, directory, gone = self._call, self._pipeline.directory, self._call.version
        assert gone is not None
        while True:
            hopeful = await self._pipeline.renew(gone)
            try:
                model = directory.model(gone.model)
                call.version = None  # or it would be chosen again
                try:
                    version = model.pick(call.request.version, call)
                finally:
                    call.version = gone
                if version is not gone:
                    self._move(model, version)
                    return version
                if hopeful:
                    return version  # others that have it may be there now
            except (NotFound, Unavailable):
                if not hopeful and isinstance(error, VersionGone):
                    raise
            if not hopeful:
                raise (NotFound if isinstance(error, VersionGone) else Unavailable)(str(error))

    def _move(self, model: Model, version: Version) -> None:
        call, left = self._call, self._admitted
        assert call.version is not None
        self._admitted = None
        if left is not None:
            left.leave(call.version)  # its place among those that wait may be the last one
        model.admit(version, call)
        self._admitted, call.version = model, version

    def _end(self, error: BaseException | None) -> None:
        call = self._call
        now = time.monotonic()
        call.seconds = now - call.began
        if self._admitted is not None and (version := call.version) is not None:
            self._admitted.leave(version)
            if self._whole and (waiting := version.waiting) is not None:
                if error is None:
                    waiting.stayed()
                elif isinstance(error, asyncio.CancelledError):
                    waiting.left(call.seconds, now)
        self._pipeline.finish(call, error)


def status_of(error: BaseException | None) -> str:
    """What became of a request, as metrics and the log have it."""
    if error is None:
        return "OK"
    if isinstance(error, asyncio.CancelledError | GeneratorExit):
        return CANCELLED
    # A bug of ours has its own name, and must not count as a success.
    return kind_of(error).__name__ if isinstance(error, TandemError) else type(error).__name__
