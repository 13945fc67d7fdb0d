"""Processes that fetch a model, as replicas do; forked, so that they begin without its imports."""

import hashlib
import multiprocessing
import os
import resource
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import adlfs  # noqa: F401  # before the fork, once
import s3fs  # noqa: F401

from serve_app.errors import ConfigError
from serve_app.repository import buckets, downloads, fetching, s3  # noqa: F401
from serve_app.repository.storage import hold

BLOCK = 2**16  # bytes of a request: several for each file
_FORK = multiprocessing.get_context("fork")
STOP_S = 60.0


@dataclass
class Outcome:
    """`sums`: SHA-256 by path of what was loaded; `refused`: why nothing was; neither: it was killed."""

    sums: dict[str, str] = field(default_factory=dict)
    refused: str = ""
    fetched: int = 0


class Worker:
    """One process. `largest`: of a file that it may write, as a disk that is full."""

    def __init__(self, uri: str, env: dict[str, str], largest: int = 0) -> None:
        self.pipe, other = _FORK.Pipe()
        self._process = _FORK.Process(target=_run, args=(other, uri, env, largest))
        self._process.start()
        other.close()

    def kill(self) -> None:
        """With -9."""
        self._process.kill()

    def outcome(self) -> Outcome:
        """When it has ended, however it did."""
        try:
            found: Outcome = self.pipe.recv() if self.pipe.poll(STOP_S) else Outcome(refused="it hangs")
        except EOFError:
            found = Outcome()
        self._process.join(STOP_S)
        if self._process.is_alive():
            self._process.kill()
        return found


def any_done(workers: list[Worker], seconds: float) -> bool:
    """Whether one has something to say within that time."""
    pipes: list[Any] = [one.pipe for one in workers]
    return bool(wait(pipes, seconds))


def _run(pipe: Connection, uri: str, env: dict[str, str], largest: int) -> None:
    os.environ.update(env)
    setattr(buckets, "BLOCK", BLOCK)  # noqa: B010
    downloads.FIRST_PAUSE_S = fetching.PAUSE_S = 0.02
    if largest:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest, resource.RLIM_INFINITY))
    found = Outcome()
    real = buckets.Bucket.read

    def read(self: Any, *args: Any) -> Iterator[bytes]:
        for piece in real(self, *args):
            found.fetched += len(piece)
            yield piece

    setattr(buckets.Bucket, "read", read)  # noqa: B010
    try:
        held = hold(uri, "all")
        for folder in held.folders.values():
            for file in folder.rglob("*"):
                if file.is_file():
                    found.sums[str(file.relative_to(folder))] = _sha256(file)
    except ConfigError as error:
        found.refused = str(error)
    pipe.send(found)
    os._exit(0)


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
