"""Large bodies are decoded in processes apart, a few at a time, so that nobody else waits for them.

A thread wouldn't do: JSON and protobuf are taken apart by calls that let no other thread run meanwhile.
"""

import asyncio
import contextlib
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from serve_app.errors import Overloaded, Unavailable
from serve_app.hop import frames
from serve_app.ingress.decoders import FOUND, JOB, REFUSED, decoded, unpacked
from serve_app.protocol import codings
from serve_app.protocol.tensors import InferRequest
from serve_app.protocol.wire import Buffer

LARGE = 2**18  # bytes of JSON or typed contents that take some milliseconds
_AT_ONCE = 2
_MOST_WAITING = 64  # bodies; each may be as large as they get


class Apart:
    """Decodes by serve_app.ingress.decoders: what is small at once, the rest elsewhere."""

    def __init__(self, at_once: int = _AT_ONCE) -> None:
        self._waiting = 0
        self._threads = ThreadPoolExecutor(at_once, thread_name_prefix="decoding")
        self._own = threading.local()  # each thread has a process
        self._processes: list[subprocess.Popen[bytes]] = []

    async def http(
        self, name: str, body: bytes, coding: bytes, limit: int, args: Sequence[Any], dear: int
    ) -> tuple[InferRequest, Any]:
        """A body as it was sent. `dear`: how many of its bytes take time, where it isn't packed."""
        if coding:
            if (small := codings.inflate_small(body, coding, limit)) is None:
                return await self.elsewhere(name, body, coding, limit, args)
            body, dear = small, len(small)
        if dear < LARGE:
            return decoded(name, body, args)
        return await self.elsewhere(name, body, b"", limit, args)

    async def elsewhere(
        self, name: str, body: Buffer, coding: bytes, limit: int, args: Sequence[Any]
    ) -> tuple[InferRequest, Any]:
        """In a process apart; Overloaded when too many wait for one."""
        if self._waiting >= _MOST_WAITING:
            raise Overloaded(f"{self._waiting} large bodies wait to be decoded; try again later")
        self._waiting += 1
        job = pickle.dumps((name, coding, limit, tuple(args)))
        future = asyncio.get_running_loop().run_in_executor(self._threads, self._ask, job, body)
        future.add_done_callback(self._done)
        return await asyncio.shield(future)  # a client that leaves takes no thread from its process

    def close(self) -> None:
        """End the processes once they are done. Those of a Router that is gone end by themselves."""
        self._threads.shutdown()
        for process in self._processes:
            _end(process)
        self._processes.clear()

    def _done(self, future: asyncio.Future[Any]) -> None:
        self._waiting -= 1
        if not future.cancelled():
            future.exception()  # whoever asked may be gone

    def _ask(self, job: bytes, body: Buffer) -> tuple[InferRequest, Any]:
        process: Any = getattr(self._own, "process", None)
        if process is None or process.poll() is not None:
            process = self._own.process = _started()
            self._processes.append(process)
        try:
            for part in (JOB.pack(len(job), len(body)), job, body):
                process.stdin.write(part)
            process.stdin.flush()
            status, size = FOUND.unpack(_read(process.stdout, FOUND.size))
            found = _read(process.stdout, size)
        except OSError:
            process.kill()
            _end(process)
            self._processes.remove(process)
            raise Unavailable("the process that decodes large bodies ended; try again") from None
        if status == REFUSED:
            raise frames.unpack_error(found)
        return unpacked(found)


def _started() -> subprocess.Popen[bytes]:
    # It finds what this process finds, which Ray may have told it by sys.path alone.
    paths = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return subprocess.Popen(
        [sys.executable, "-c", "from serve_app.ingress.decoders import main; main()"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=paths,
    )  # fmt: skip


def _end(process: subprocess.Popen[bytes]) -> None:
    for pipe in (process.stdin, process.stdout):
        with contextlib.suppress(OSError):
            assert pipe is not None
            pipe.close()
    process.wait()


def _read(pipe: Any, size: int) -> bytes:
    data: bytes = pipe.read(size)
    if len(data) != size:
        raise BrokenPipeError
    return data
