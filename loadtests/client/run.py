"""A job in as many processes as it is given, and their outcomes as one."""

import io
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import orjson

from loadtests.client.job import Job, Outcome

ROOT = Path(__file__).parents[2]
_START_S = 1.0  # until every process has started and connected
_GRACE_S = 60
_ARRAYS = ("due", "sent", "done", "failed", "late")


class ClientError(Exception):
    """A client process failed: its own words."""


def run(job: Job, processes: int = 1) -> Outcome:
    """Begin `warm_up` seconds after the processes have started; ClientError when one fails."""
    begin = time.monotonic() + _START_S + job.warm_up
    last = job.schedule[-1] if job.schedule else job.seconds
    patience = _START_S + job.warm_up + last + job.patience + _GRACE_S
    command = [sys.executable, "-m", "loadtests.client"]
    clients = []
    try:
        for share in range(processes):
            client = subprocess.Popen(
                command,
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
            clients.append(client)
            assert client.stdin is not None
            client.stdin.write(replace(job, begin=begin, share=share, shares=processes).dump())
            client.stdin.close()
            client.stdin = None  # or `communicate` would close it again
        return _joined(list(_outcomes(clients, time.monotonic() + patience)))
    finally:
        for client in clients:
            if client.poll() is None:
                client.kill()
                client.wait()


def _outcomes(clients: list["subprocess.Popen[bytes]"], until: float) -> Iterator[Outcome]:
    for client in clients:
        try:
            out, problem = client.communicate(timeout=max(1, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise ClientError("a client process hangs") from None
        if client.returncode:
            raise ClientError(problem.decode(errors="replace").strip()[-500:])
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
            )


def _joined(outcomes: list[Outcome]) -> Outcome:
    errors: Counter[str] = Counter()
    kept: dict[int, bytes] = {}
    for outcome in outcomes:
        errors.update(outcome.errors)
        kept.update(outcome.kept)
    arrays = {name: np.concatenate([getattr(outcome, name) for outcome in outcomes]) for name in _ARRAYS}
    return Outcome(**arrays, errors=dict(errors), kept=kept, cpu=sum(o.cpu for o in outcomes))
