"""An open loop from one event loop: requests leave when they are due, whatever became of others."""

import asyncio
import itertools
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import grpc
import numpy as np
import orjson

from serve_app.protocol import client
from tests.server import Server

Ask = Callable[[], Awaitable[str]]  # what became of one request: "ok", or why not


class Http:
    """One connection for each request under way, kept alive."""

    def __init__(self, server: Server, model: str) -> None:
        self._port, self._model = server.http_port, model
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self._numbers = itertools.count()
        self.hints: Counter[int] = Counter()

    async def __call__(self) -> str:
        value = float(next(self._numbers))
        tensor = {"name": "x", "datatype": "FP32", "shape": [1, 1], "data": [value]}
        body = orjson.dumps({"inputs": [tensor]})
        head = f"POST /v2/models/{self._model}/infer HTTP/1.1\r\nhost: t\r\ncontent-length: {len(body)}"
        if self._idle:
            reader, writer = self._idle.pop()
        else:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            writer.write(f"{head}\r\n\r\n".encode() + body)
            lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
            answer = await reader.readexactly(int(headers["content-length"]))
        except BaseException:
            writer.close()
            raise
        self._idle.append((reader, writer))
        if (status := lines[0].split(" ")[1]) != "200":
            if status == "503":
                self.hints[int(headers["retry-after"])] += 1
            return status
        [found] = [one for one in orjson.loads(answer)["outputs"] if one["name"] == "x"]
        return "ok" if found["data"] == [value] else "wrong"

    async def close(self) -> None:
        for _, writer in self._idle:
            writer.close()


class Grpc:
    """The same on one channel."""

    def __init__(self, server: Server, model: str) -> None:
        self._channel = grpc.aio.insecure_channel(server.grpc)
        self._infer = self._channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
        self._model = model
        self._numbers = itertools.count()
        self.hints: Counter[int] = Counter()

    async def __call__(self) -> str:
        value = float(next(self._numbers))
        asked = client.request(self._model, {"x": np.full((1, 1), value, np.float32)})
        try:
            answer = await self._infer(client.encode_grpc(asked))
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED:
                hints = dict(error.trailing_metadata() or ())
                self.hints[int(hints["retry-after"])] += 1
            return str(error.code().name)
        return "ok" if client.decode_grpc(answer).arrays["x"].tolist() == [[value]] else "wrong"

    async def close(self) -> None:
        await self._channel.close()


@dataclass
class Found:
    """What became of the requests that ended, and how long those took that were answered."""

    ended: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)

    def quantile(self, share: float) -> float:
        """Of their times."""
        found = sorted(self.seconds)
        return found[min(int(len(found) * share), len(found) - 1)]


class OpenLoop:
    """`rate` requests a second at random times, each one's time counted from when it was due."""

    def __init__(self, ask: Ask, rate: float, seed: int) -> None:
        self._ask, self._rate, self._random = ask, rate, random.Random(seed)
        self._tasks: set[asyncio.Task[None]] = set()
        self.found = Found()

    async def run(self, seconds: float) -> Found:
        """For so long; what ended meanwhile."""
        self.found = Found()
        due = time.monotonic()
        until = due + seconds
        while (due := due + self._random.expovariate(self._rate)) < until:
            if (pause := due - time.monotonic()) > 0:
                await asyncio.sleep(pause)
            task = asyncio.create_task(self._one(due))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        await asyncio.sleep(max(0.0, until - time.monotonic()))
        return self.found

    async def over(self) -> Found:
        """What ended since, when all have."""
        if self._tasks:
            await asyncio.wait(self._tasks)
        return self.found

    async def _one(self, due: float) -> None:
        try:
            became = await self._ask()
        except (OSError, EOFError) as error:
            became = type(error).__name__
        self.found.ended[became] += 1
        if became == "ok":
            self.found.seconds.append(time.monotonic() - due)


async def capacity(ask: Ask, callers: int, seconds: float) -> float:
    """Answers a second to callers that each ask again when they are answered."""
    done = 0

    async def call(until: float) -> None:
        nonlocal done
        while time.monotonic() < until:
            assert await ask() == "ok"
            done += 1

    began = time.monotonic()
    await asyncio.gather(*(call(began + seconds) for _ in range(callers)))
    return done / (time.monotonic() - began)
