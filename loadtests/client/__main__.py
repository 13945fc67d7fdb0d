"""One client process of a measurement; `make bench`, `make compare` and the proofs start it.

Standard input: a job as a line of JSON (loadtests.client.job.Job), then a line with the time at which
to count from (as time.monotonic() of this machine). Standard output: `ready` when all connections are
open, then an .npz with an entry for each request: when it was due, sent and done, and whether it failed.
To put load on a server by hand: make load, or make load MODEL=name.
"""

import argparse
import asyncio
import io
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import uvloop

from loadtests.client import grpc, http
from loadtests.client.job import Job
from loadtests.client.loops import Record, Send, closed, kinds, opened
from loadtests.client.target import TargetError

_CONNECT_S = 5.0


async def _main(job: Job, started: Callable[[], float]) -> tuple[Record, float]:
    """What happened, and when counting began; `started` waits for that."""
    senders = _senders(job)
    # Who can't connect now tries again with each request, which then fails.
    connecting = [asyncio.create_task(sender.connect()) for sender in senders]
    _, hanging = await asyncio.wait(connecting, timeout=_CONNECT_S)
    for task in hanging:
        task.cancel()
    await asyncio.gather(*connecting, return_exceptions=True)
    sends: list[Send] = [sender for sender in senders for _ in range(job.streams)]
    record = Record(job.keep_every)
    begin = started()
    if job.schedule:
        numbered = list(enumerate(job.schedule))[job.share :: job.shares]
        due = [(turn, begin + at) for turn, at in numbered]
        await opened(sends, due, job.patience, record)
    else:
        first = len(sends) * job.share
        step = len(sends) * job.shares
        await closed(sends, begin + job.seconds, first, step, job.patience, record)
    for sender in senders:
        if (closing := sender.close()) is not None:
            await closing
    return record, begin


def _senders(job: Job) -> list[Any]:
    bodies = [(path, headers, Path(file).read_bytes()) for path, headers, file in job.requests]
    if job.grpc and not job.target.grpc:
        raise TargetError(f"target '{job.target.name}' has no grpc=host:port")
    if job.grpc:
        (path,) = {path for path, _, _ in bodies}
        messages = [body for _, _, body in bodies]
        return [grpc.Sender(job.target, path, messages) for _ in range(job.connections)]
    data = [http.encoded(job.target, *parts) for parts in bodies]
    return [http.Sender(job.target, data) for _ in range(job.connections)]


def main() -> None:
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("python -m loadtests.client", None, __doc__, formatter_class=form)
    parser.parse_args()
    try:
        job = Job.load(sys.stdin.buffer.readline())
    except (ValueError, TypeError, KeyError) as error:
        raise SystemExit(f"standard input has no job ({error}); see --help") from None

    def started() -> float:
        print("ready", flush=True)
        begin = float(sys.stdin.buffer.readline())
        before.extend((time.process_time(), time.monotonic()))
        return begin

    before: list[float] = []  # CPU and clock from then on: in short runs the start is half of all
    try:
        record, begin = uvloop.run(_main(job, started))
    except (OSError, TargetError) as error:
        raise SystemExit(str(error)) from None
    cpu, wall = time.process_time() - before[0], time.monotonic() - before[1]
    due = np.array(record.due)
    counted = due >= begin
    errors = [error for error, counts in zip(record.errors, counted, strict=True) if counts]
    about: dict[str, Any] = {"errors": kinds(filter(None, errors)), "turns": list(record.kept)}
    about |= {"cpu": cpu, "wall": wall}
    out = io.BytesIO()
    np.savez(
        out,
        due=due[counted] - begin,
        sent=np.array(record.sent)[counted] - begin,
        done=np.array(record.done)[counted] - begin,
        failed=np.array([bool(error) for error in errors], dtype=bool),
        late=np.array(record.late),
        about=np.frombuffer(orjson.dumps(about), dtype=np.uint8),
        sizes=np.array([len(body) for body in record.kept.values()], dtype=np.int64),
        bodies=np.frombuffer(b"".join(record.kept.values()), dtype=np.uint8),
    )
    # Not sys.stdout.buffer, which writes no more than a pipe holds where PYTHONUNBUFFERED is set.
    with open(sys.stdout.fileno(), "wb", closefd=False) as file:
        file.write(out.getbuffer())


if __name__ == "__main__":
    main()
