"""A copy's answer beside the one that the client got: how they differ, and what is shown of it."""

import time
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from serve_app.config import Tolerance
from serve_app.core.shadow.jobs import Job
from serve_app.errors import ModelFailed
from serve_app.protocol.answers import EVENTS, arrays_of, joined
from serve_app.protocol.datatypes import BYTES
from serve_app.protocol.tensors import Arrays
from serve_app.routing.comparing import Compared, compare, failures

_ELEMENTS, _LETTERS, _TENSORS = 16, 300, 8  # of what is shown
HERE = 2**15  # bytes that are compared on the event loop: as text that takes one or two milliseconds
MOST_JSON = 2**20  # bytes that are read in one go, for 5 ms, in which no other thread has a turn


def readable(job: Job) -> bool:
    """Whether an answer of OpenAI's routes is read in a moment; a stream is, event by event."""
    whole = job.verb == "relay" and not job.kind.startswith(EVENTS)
    return not whole or sum(map(len, job.body)) <= MOST_JSON


def judged(
    job: Job, other: Job, tolerances: Mapping[str, Tolerance], generated: bool
) -> tuple[Compared, Arrays, Arrays]:
    """What differs between a job and what came of its copy, and both answers as arrays."""
    if job.error or other.error:
        return failures(job.error, other.error), {}, {}
    sides = [_arrays(job), _arrays(other)]
    wrong = ["" if isinstance(one, dict) else one for one in sides]
    if any(wrong):  # an answer that can't be read is none
        return failures(*wrong), {}, {}
    answer, copy = (one for one in sides if isinstance(one, dict))
    return compare(answer, copy, tolerances, generated), answer, copy


def _arrays(job: Job) -> Arrays | str:
    """The kind of an error for what can't be read."""
    if job.verb == "infer":
        return job.answer
    try:
        if job.verb == "stream":
            return joined(job.pieces)
        return arrays_of(job.kind, b"".join(job.body))
    except (ValueError, TypeError, KeyError, AttributeError):
        return ModelFailed.__name__


def example(
    job: Job, number: str, found: Compared, answer: Arrays, copy: Arrays, failed: str
) -> dict[str, Any]:
    """One request with answers that differ, all of it cut."""
    if job.verb == "relay":
        inputs: Any = job.sent[:_LETTERS].decode("utf-8", "replace")
    else:
        inputs = shown((one.name, one.data) for one in job.request.inputs)
    return {
        "time": round(time.time(), 3),
        "id": job.request.id[:128],
        "primary": job.primary,
        "shadow": number,
        "differences": [
            {"output": one.output, "kind": one.kind, "text": one.text, "values": one.shown}
            for one in found.differences[:_TENSORS]
        ],
        "inputs": inputs,
        "answer": job.error or shown(answer.items()),
        "copy": failed or shown(copy.items()),
    }


def shown(arrays: Iterable[tuple[str, np.ndarray]]) -> list[dict[str, Any]]:
    """Names, shapes and the first elements."""
    found: list[dict[str, Any]] = []
    for name, array in arrays:
        if len(found) == _TENSORS:
            break
        first = array.reshape(-1)[:_ELEMENTS]
        if array.dtype == BYTES:
            values: list[Any] = [
                one[:_LETTERS].decode("utf-8", "backslashreplace") for one in first[: _ELEMENTS // 4]
            ]
        else:
            # As text where JSON has no number: NaN, infinity.
            plain = first.astype(np.float64) if array.dtype.kind not in "iub" else first
            values = [
                value if isinstance(value, int) or np.isfinite(value) else str(value)
                for value in plain.tolist()
            ]
        found.append({"name": name[:128], "shape": list(array.shape), "first": values})
    return found
