"""A steady stream of requests, HTTP and gRPC at once, in an open loop: what failed, and when."""

import tempfile
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from loadtests.arrivals import constant
from loadtests.client.job import Job, Outcome
from loadtests.client.run import run
from loadtests.client.target import Target
from loadtests.requests import Request, binary_request, digits, echo

_GRPC_SHARE = 0.25
_REMOTE = "digits-remote"


@dataclass
class Stream:
    """Requests by the monotonic time at which each was sent and over."""

    sent: np.ndarray
    done: np.ndarray
    failed: np.ndarray
    errors: dict[str, int]

    @property
    def longest(self) -> float:
        """Seconds, of the answered ones."""
        return float((self.done - self.sent)[~self.failed].max())


def _requests(grpc: bool) -> list[Request]:
    """The inline model and the remote one in turn."""
    if grpc:
        return [binary_request("identity", 16, grpc=True)]
    remote = [Request(_REMOTE, one.body) for one in digits()]
    return [request for one in remote for request in (echo(), one)]


class Steady:
    """`start`, do things, `wait`: then everything that was sent is accounted for."""

    def __init__(self, target: Target, count: int, seconds: float) -> None:
        self._target, self._count, self._seconds = target, count, seconds
        self._ready = threading.Semaphore(0)
        self._pool = ThreadPoolExecutor(2)

    def start(self) -> None:
        """Returns when both streams flow."""
        self._runs = [self._pool.submit(self._stream, grpc) for grpc in (False, True)]
        for _ in self._runs:
            while not self._ready.acquire(timeout=1):
                for one in self._runs:
                    if one.done():
                        one.result()  # raises

    def wait(self) -> Stream:
        parts = [one.result() for one in self._runs]
        self._pool.shutdown()
        errors: Counter[str] = Counter()
        for _, outcome in parts:
            errors.update(outcome.errors)
        return Stream(
            sent=np.concatenate([begin + outcome.sent for begin, outcome in parts]),
            done=np.concatenate([begin + outcome.done for begin, outcome in parts]),
            failed=np.concatenate([outcome.failed.astype(bool) for _, outcome in parts]),
            errors=dict(errors),
        )

    def _stream(self, grpc: bool) -> tuple[float, Outcome]:
        count = self._count * (_GRPC_SHARE if grpc else 1 - _GRPC_SHARE)
        schedule = constant(count / self._seconds, self._seconds).arrivals("constant").tolist()
        begins: list[float] = []

        def begun(begin: float) -> None:
            begins.append(begin)
            self._ready.release()

        with tempfile.TemporaryDirectory(prefix="tandem-steady-") as folder:
            files = []
            for index, request in enumerate(_requests(grpc)):
                file = Path(folder) / str(index)
                file.write_bytes(request.body)
                files.append((request.path, request.headers, str(file)))
            streams = 4 if grpc else 1
            job = Job(self._target, files, grpc, 8 // streams, schedule=schedule, streams=streams)
            outcome = run(job, 1, begun)
        return begins[0], outcome
