"""JSON lines on standard output: one per request, one per version of a model that was loaded."""

import functools
import os
import sys
import time
from collections.abc import Iterable
from typing import Any

import orjson
import psutil

from serve_app.core.call import Call
from serve_app.core.version import Version
from serve_app.runtimes.one_version import Loaded

_MOST = 128  # characters of a field that a client fills


class RequestLog:
    """Implements `serve_app.core.observer.Observer`: a line for each request that is finished."""

    def begun(self, call: Call) -> None: ...

    def executed(
        self, version: Version, rows: int, requests: int, queued: float, seconds: float
    ) -> None: ...

    def finished(self, call: Call) -> None:
        """Time, id, model and version (as found, else as asked for), status, milliseconds.

        `request_id` is the one in the HTTP headers, where the request has another of its own.
        """
        request = call.request
        line = {
            "time": round(time.time(), 3),
            "id": cut(request.id),
            "model": cut(request.model),
            "version": call.version.number if call.version else cut(request.version),
            "status": call.status,
            "ms": round((call.seconds or 0) * 1000, 3),
        }
        if call.request_id and call.request_id != request.id:
            line["request_id"] = call.request_id
        LINES.write(line)


def log_loaded(model: str, versions: Iterable[Loaded]) -> None:
    """Write a line for each: seconds of loading and warm-up, and when (epoch) the process began."""
    process = _began(os.getpid())
    for one in versions:
        LINES.write(
            {
                "time": round(time.time(), 3),
                "event": "loaded",
                "model": model,
                "version": one.version,
                "process_began": process,
                "began": round(one.began, 3),
                "load_s": round(one.load, 3),
                "warm_up_s": round(one.warm_up, 3),
            }
        )


@functools.cache
def _began(pid: int) -> float:
    began: float = psutil.Process(pid).create_time()
    return round(began, 3)


def cut(text: str) -> str:
    """What a client chose, as far as it goes into a line: an `id` may have as many bytes as a body."""
    return text if len(text) <= _MOST else f"{text[:_MOST]}... ({len(text)} characters)"


class Lines:
    """Writes lines, and counts those that can't be written: a full disk fails no request."""

    def __init__(self) -> None:
        self.dropped = 0  # since they were last taken
        self._unsaid = 0

    def write(self, line: dict[str, Any]) -> None:
        """One line; behind lines that were dropped, one that says how many."""
        if self._unsaid:
            said = {"time": round(time.time(), 3), "event": "dropped", "lines": self._unsaid}
            if not self._written(said):
                self._drop()
                return
            self._unsaid = 0
        if not self._written(line):
            self._drop()

    def take(self) -> int:
        """How many were dropped since this was last asked."""
        dropped, self.dropped = self.dropped, 0
        return dropped

    def _drop(self) -> None:
        self.dropped += 1
        self._unsaid += 1

    @staticmethod
    def _written(line: dict[str, Any]) -> bool:
        # Straight to the descriptor: Serve replaces sys.stdout by a logger that walks the stack.
        try:
            if end_line := getattr(sys.stdout, "end_line", None):
                end_line()  # of what a model printed without one
            os.write(1, orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
        except (OSError, orjson.JSONEncodeError):
            return False
        return True


LINES = Lines()  # of this process, which has one standard output
