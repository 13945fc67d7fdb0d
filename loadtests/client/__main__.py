"""One client process: a Job on standard input, a .npz of what happened on standard output."""

import asyncio
import io
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import uvloop

from loadtests.client import grpc, http
from loadtests.client.job import Job
from loadtests.client.loops import Record, Send, closed, opened


async def _main(job: Job) -> Record:
    senders = _senders(job)
    await asyncio.gather(*(sender.connect() for sender in senders), return_exceptions=True)
    sends: list[Send] = [sender for sender in senders for _ in range(job.streams)]
    record = Record(job.keep_every)
    if job.schedule:
        numbered = list(enumerate(job.schedule))[job.share :: job.shares]
        due = [(turn, job.begin + at) for turn, at in numbered]
        await opened(sends, due, job.patience, record)
    else:
        first = len(sends) * job.share
        until = job.begin + job.seconds
        await closed(sends, until, first, len(sends) * job.shares, record)
    for sender in senders:
        if (closing := sender.close()) is not None:
            await closing
    return record


def _senders(job: Job) -> list[Any]:
    bodies = [(path, headers, Path(file).read_bytes()) for path, headers, file in job.requests]
    if job.grpc:
        (path,) = {path for path, _, _ in bodies}
        messages = [body for _, _, body in bodies]
        return [grpc.Sender(job.target, path, messages) for _ in range(job.connections)]
    data = [http.encoded(job.target, *parts) for parts in bodies]
    return [http.Sender(job.target, data) for _ in range(job.connections)]


def main() -> None:
    """Run and tell."""
    job = Job.load(sys.stdin.buffer.read())
    before = time.process_time()
    record = uvloop.run(_main(job))
    cpu = time.process_time() - before
    sent = np.array(record.sent)
    counted = np.array(record.due) >= job.begin
    about = {"errors": record.errors, "cpu": cpu, "turns": list(record.kept)}
    out = io.BytesIO()
    np.savez(
        out,
        due=np.array(record.due)[counted] - job.begin,
        sent=sent[counted] - job.begin,
        done=np.array(record.done)[counted] - job.begin,
        failed=np.array(record.failed, dtype=bool)[counted],
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
