"""A job in as many processes as it is given, and their outcomes as one."""

import contextlib
import io
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import orjson

from loadtests.client.job import Job, Outcome

_ROOT = Path(__file__).parents[2]
_GRACE_S = 60  # to write down what happened
_ARRAYS = ("due", "sent", "done", "failed", "late")


class ClientError(Exception):
    """A client process failed: its own words."""


def run(job: Job, processes: int = 1, begun: Callable[[float], None] = lambda begin: None) -> Outcome:
    """Counting begins `warm_up` seconds after all processes are ready; ClientError when one fails.

    `begun` is told when that will be, on the clock of `time.monotonic()`.
    """
    command = [sys.executable, "-m", "loadtests.client"]
    clients: list[subprocess.Popen[bytes]] = []
    try:
        for share in range(processes):
            client = subprocess.Popen(
                command,
                cwd=_ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
            clients.append(client)
            _tell(client, replace(job, share=share, shares=processes).dump())
        for client in clients:
            assert client.stdout is not None
            if client.stdout.readline() != b"ready\n":
                raise ClientError(_last_words(client.communicate()[1]))
        begin = time.monotonic() + job.warm_up
        for client in clients:
            _tell(client, b"%r\n" % begin)
        begun(begin)
        last = job.schedule[-1] if job.schedule else job.seconds
        return _joined(list(_outcomes(clients, begin + last + job.patience + _GRACE_S)))
    finally:
        for client in clients:
            client.kill()
            client.wait()


def _tell(client: "subprocess.Popen[bytes]", line: bytes) -> None:
    assert client.stdin is not None
    with contextlib.suppress(BrokenPipeError):  # it has failed, and says why
        client.stdin.write(line)
        client.stdin.flush()


def _last_words(text: bytes) -> str:
    return text.decode(errors="replace").strip()[-500:]


def _outcomes(clients: list["subprocess.Popen[bytes]"], until: float) -> Iterator[Outcome]:
    for client in clients:
        try:
            out, problem = client.communicate(timeout=max(1, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise ClientError("a client process hangs") from None
        if client.returncode:
            raise ClientError(_last_words(problem))
        with np.load(io.BytesIO(out)) as found:
            about = orjson.loads(found["about"].tobytes())
            ends = np.cumsum(found["sizes"])
            bodies = found["bodies"].tobytes()
            spans = zip(about["turns"], ends - found["sizes"], ends, strict=True)
            yield Outcome(
                **{name: found[name] for name in _ARRAYS},
                errors=about["errors"],
                kept={turn: bodies[start:end] for turn, start, end in spans},
                cpu=about["cpu"],
                wall=about["wall"],
            )


def _joined(outcomes: list[Outcome]) -> Outcome:
    errors: Counter[str] = Counter()
    kept: dict[int, bytes] = {}
    for outcome in outcomes:
        errors.update(outcome.errors)
        kept.update(outcome.kept)
    arrays = {name: np.concatenate([getattr(outcome, name) for outcome in outcomes]) for name in _ARRAYS}
    cpu, wall = (sum(getattr(one, name) for one in outcomes) for name in ("cpu", "wall"))
    return Outcome(**arrays, errors=dict(errors), kept=kept, cpu=cpu, wall=wall)
