"""JSON lines on standard output: one per request, one per version of a model that was loaded."""

import os
import time
from collections.abc import Iterable
from typing import Any

import orjson
import psutil

from serve_app.runtimes.host import Loaded


def log_request(id: str, model: str, version: str, status: str, milliseconds: float) -> None:
    """Write one line: time, id, model, version, status (OK or the kind of error), milliseconds."""
    line = {
        "time": round(time.time(), 3),
        "id": id,
        "model": model,
        "version": version,
        "status": status,
        "ms": round(milliseconds, 3),
    }
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
