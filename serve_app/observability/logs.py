"""JSON lines on standard output: one per request, one per version of a model that was loaded."""

import os
import time
from collections.abc import Iterable
from typing import Any

import orjson
import psutil

from serve_app.core.call import Call
from serve_app.core.version import Version
from serve_app.runtimes.host import Loaded


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
            "id": request.id,
            "model": request.model,
            "version": call.version.number if call.version else request.version,
            "status": call.status,
            "ms": round((call.seconds or 0) * 1000, 3),
        }
        if call.request_id and call.request_id != request.id:
            line["request_id"] = call.request_id
        _write(line)


def log_loaded(model: str, versions: Iterable[Loaded]) -> None:
    """Write a line for each: seconds of loading and warm-up, and when (epoch) the process began."""
    process = round(psutil.Process().create_time(), 3)
    for one in versions:
        _write(
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


def _write(line: dict[str, Any]) -> None:
    # Straight to the file descriptor: Serve replaces sys.stdout by a logger that walks the stack.
    os.write(1, orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
