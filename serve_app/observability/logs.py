"""One JSON line per request on standard output."""

import sys
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
    sys.stdout.write(orjson.dumps(line).decode() + "\n")
