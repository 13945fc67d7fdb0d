"""Chooses requests to be copied, and keeps what of them is needed: as little as can be on the loop.

Among the observers only while some model has a shadow.
"""

import asyncio
import os
import random
import threading
import weakref
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from serve_app.config import Shadow
from serve_app.core.call import Call
from serve_app.core.directory import Directory
from serve_app.core.shadow.answering import BYTES, QUEUE
from serve_app.core.shadow.copies import Copies, Hears
from serve_app.core.shadow.jobs import Job, kept, listened, parts, size_of
from serve_app.core.target import Relayed
from serve_app.core.version import Version
from serve_app.errors import InvalidArgument, ModelFailed
from serve_app.protocol.tensors import Arrays, InferRequest

_ANSWERS = ("OK", InvalidArgument.__name__, ModelFailed.__name__)  # the version's own
_NICE = 10  # of the thread that compares
_random = random.Random()  # noqa: S311 - a share of requests


class Shadows:
    """Implements `serve_app.core.observer.Observer` and `Tap`, for the models of `directory`."""

    def __init__(self, directory: Directory, hears: Hears) -> None:
        self._directory, self._hears = directory, hears
        self.models: dict[str, Copies] = {}
        self._open: dict[int, tuple[Job, Copies]] = {}  # calls that were chosen
        self._threads: ThreadPoolExecutor | None = None

    def configure(self, wanted: Mapping[str, Shadow]) -> bool:
        """Copy by these from now on; whether there are any. What stays as it was keeps its counts."""
        for name, copies in list(self.models.items()):
            if wanted.get(name) != copies.config:
                copies.close()
                del self.models[name]
        for name, config in wanted.items():
            if name not in self.models:
                self.models[name] = Copies(name, config, self._directory, self._hears, self._apart)
        if not self.models:  # nobody will hear how they end
            self._open.clear()
        return bool(self.models)

    def begun(self, call: Call) -> None:
        """Choose it, or not, and keep its inputs before its model gets them."""
        copies = self.models.get(call.request.model)
        if copies is None or call.verb == "explain" or _random.random() * 100 >= copies.config.percent:
            return
        if copies.waiting >= copies.config.max_queued:
            copies.drop(QUEUE)
            return
        request = call.request
        found = kept(request.inputs)
        if found is None:
            copies.drop(BYTES)
            return
        inputs, size = found
        copy = InferRequest(
            request.model, "", request.id, inputs, request.outputs, dict(request.parameters)
        )
        job = Job(copy, call.verb)
        if copies.hold(job, size):
            self._open[id(call)] = job, copies
        else:
            copies.drop(BYTES)

    def executed(
        self, version: Version, rows: int, requests: int, queued: float, seconds: float
    ) -> None: ...

    def finished(self, call: Call) -> None:
        """Hand it on, if a version answered it that isn't the shadow itself."""
        if (found := self._open.pop(id(call), None)) is None:
            return
        job, copies = found
        version = call.version
        # Without a time limit it didn't come so far as to be asked of a version.
        if (
            version is None or call.status not in _ANSWERS or call.deadline == float("inf")
            or copies.closed or version.number == copies.config.version
            or (job.verb == "relay" and not job.path)
        ):  # fmt: skip
            copies.release(job)
            return
        job.primary, job.version = version.number, weakref.ref(version)
        job.seconds = call.seconds or 0.0
        job.error = "" if call.status == "OK" else call.status
        if not job.error and call.response is not None:
            job.answer, size = parts(call.response.outputs)
            if not copies.hold(job, size):
                copies.drop(BYTES)
                copies.release(job)
                return
        copies.put(job)

    def stream(self, call: Call) -> Callable[[Arrays], None] | None:
        """What keeps the pieces of one that was chosen."""
        if (found := self._open.get(id(call))) is None:
            return None
        job, copies = found

        def piece(arrays: Arrays) -> None:
            if self._more(call, job, copies, sum(map(size_of, arrays.values()))):
                asked = call.request.outputs
                names = arrays if asked is None else [one.name for one in asked if one.name in arrays]
                job.pieces.append({name: arrays[name] for name in names})

        return piece

    def relay(
        self, call: Call, path: str, body: bytes, asked: dict[str, Any], answer: Relayed
    ) -> Relayed:
        """Another protocol's answer, of which the body is kept."""
        if (found := self._open.get(id(call))) is None:
            return answer
        job, copies = found
        job.path, job.sent, job.asked, job.kind = path, body, asked, answer.kind
        if not self._more(call, job, copies, len(body)):
            return answer

        def piece(data: bytes) -> None:
            if self._more(call, job, copies, len(data)):
                job.body.append(data)

        return listened(answer, piece)

    def _more(self, call: Call, job: Job, copies: Copies, size: int) -> bool:
        if id(call) not in self._open:
            return False  # given up before
        if copies.hold(job, size):
            return True
        del self._open[id(call)]
        copies.drop(BYTES)
        copies.release(job)
        return False

    def _apart(self, work: Callable[[], Any]) -> "asyncio.Future[Any]":
        if self._threads is None:
            self._threads = ThreadPoolExecutor(1, "shadow", _last)
        return asyncio.get_running_loop().run_in_executor(self._threads, work)


def _last() -> None:
    """This thread computes when no other wants to, where the system lets threads differ (Linux)."""
    try:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
    except (OSError, AttributeError):
        return
