"""The limit of a model: called in this process, batch after batch, by nobody but itself.

Prints JSON: rows per second for each batch size, requests taken in the order the servers get them;
and with CALLERS, each waiting for its answer to one row, whom Tandem's batching brings together. That
is what is left of the limit when nothing stands between them and the model.
"""

import argparse
import asyncio
import itertools
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from loadtests.hosted import latest, load
from loadtests.payloads import PIXELS, TEXTS
from serve_app.core.batching import Batcher

BATCHES = (1, 8, 16, 32, 64)
CALLERS = 32


def _inputs(model: str, at: int, rows: int) -> dict[str, Any]:
    if model == "digits":
        return {"pixels": PIXELS[np.arange(at, at + rows) % len(PIXELS)]}
    texts = [TEXTS[index % len(TEXTS)].encode() for index in range(at, at + rows)]
    return {"text": np.array(texts, dtype=object)}


async def _rate(host: Any, model: str, rows: int, seconds: float) -> float:
    version, _ = latest(host)
    await host.predict(version, _inputs(model, 0, rows), {})
    started, done = time.monotonic(), 0
    # Whole rounds through the texts only: a part of one would favour its lengths.
    while time.monotonic() - started < seconds or done % len(TEXTS):
        await host.predict(version, _inputs(model, done, rows), {})
        done += rows
    return done / (time.monotonic() - started)


async def _called(host: Any, model: str, seconds: float) -> float:
    version, _ = latest(host)
    batcher = Batcher(
        lambda inputs, parameters: host.predict(version, inputs, parameters),
        host.config.batching.max_batch_size,
        host.config.batching.max_latency,
    )
    sent, answers = itertools.count(), list[float]()
    begin = time.monotonic()
    end = begin + seconds

    async def caller() -> None:
        while time.monotonic() < end or not answers:
            await batcher.submit(_inputs(model, next(sent), 1), {})
            answers.append(time.monotonic())

    async with asyncio.TaskGroup() as group:
        for _ in range(CALLERS):
            group.create_task(caller())
    end = max(end, answers[0])
    return sum(at <= end for at in answers) / (end - begin)


async def _main(given: argparse.Namespace) -> dict[str, float]:
    host = load(given.config, {given.model})[given.model]
    found = {str(rows): await _rate(host, given.model, rows, given.seconds) for rows in BATCHES}
    # The first batches are of other sizes than the rest: a longer time has fewer of them.
    return {**found, f"{CALLERS} callers": await _called(host, given.model, 2 * given.seconds)}


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--seconds", type=float, required=True)
    print(json.dumps(asyncio.run(_main(parser.parse_args()))))
