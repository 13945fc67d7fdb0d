"""One JSON line per request on standard output."""

import os
import time

import orjson


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
    # Straight to the file descriptor: Serve replaces sys.stdout by a logger that walks the stack.
    os.write(1, orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
