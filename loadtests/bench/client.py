"""The Python load generator: grpc.aio as it is in clients, HTTP/1.1 as thin as it can be.

Closed loop: each of the connections (times streams) has one request in flight, always. Open loop
(`--rate`): requests arrive by a Poisson process whether or not earlier ones were answered, and a
latency counts from the arrival, waiting for a connection included.
"""

import argparse
import asyncio
import json
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc.aio
import uvloop

Send = Callable[[int], Awaitable[bool]]
WARM_UP_S = 1.0


class Connection(asyncio.Protocol):
    """One kept-alive HTTP connection, one request in flight."""

    def __init__(self) -> None:
        self._transport: Any = None
        self._answer: asyncio.Future[bool] | None = None
        self._got = bytearray()
        self._left = -1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Kept for writing."""
        self._transport = transport

    async def send(self, data: bytes) -> bool:
        """One request; whether it was answered with 200."""
        if self._transport.is_closing():
            raise ConnectionError("the server closed the connection")
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(data)
        return await self._answer

    def data_received(self, data: bytes) -> None:
        """Collect until the length that the headers state."""
        if self._left < 0:
            self._got += data
            head, end, rest = self._got.partition(b"\r\n\r\n")
            if not end:
                return
            fields = head.lower().split(b"\r\n")
            self._ok = b" 200" in fields[0]
            length = next((f for f in fields if f.startswith(b"content-length:")), b":0")
            self._left = int(length.partition(b":")[2]) - len(rest)
            self._got.clear()
        else:
            self._left -= len(data)
        if self._left <= 0 and self._answer is not None:
            self._left = -1
            answer, self._answer = self._answer, None
            answer.set_result(self._ok)

    def connection_lost(self, exc: Exception | None) -> None:
        """An unanswered request failed."""
        if self._answer is not None:
            self._answer.set_result(False)


def _read(file: str) -> bytes:
    return Path(file).read_bytes()


async def _http(requests: list[Any], port: int, count: int) -> list[Send]:
    data = []
    for path, headers, file in requests:
        body = _read(file)
        fields = {"Host": "127.0.0.1", **headers, "Content-Length": str(len(body))}
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        data.append(f"POST {path} HTTP/1.1\r\n{lines}\r\n".encode() + body)
    loop = asyncio.get_running_loop()
    made = [(await loop.create_connection(Connection, "127.0.0.1", port))[1] for _ in range(count)]
    return [lambda turn, one=one: one.send(data[turn % len(data)]) for one in made]  # type: ignore[misc]


async def _grpc(requests: list[Any], port: int, count: int, streams: int) -> list[Send]:
    path, _, file = requests[0]
    body = _read(file)
    big = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    sends: list[Send] = []
    for _ in range(count):
        # A pool of its own: channels to one address otherwise share one connection.
        options = [*big, ("grpc.use_local_subchannel_pool", 1)]
        call = grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=options).unary_unary(path)

        async def send(turn: int, call: Any = call) -> bool:
            try:
                return bool(await call(body))
            except grpc.aio.AioRpcError:
                return False

        sends += [send] * streams
    return sends


async def _closed(sends: list[Send], until: float, times: list[tuple[float, float]]) -> int:
    async def one(send: Send, turn: int) -> int:
        errors = 0
        while (started := time.monotonic()) < until:
            errors += not await send(turn)
            times.append((started, time.monotonic()))
            turn += len(sends)
        return errors

    return sum(await asyncio.gather(*(one(send, turn) for turn, send in enumerate(sends))))


async def _open(sends: list[Send], until: float, rate: float, times: list[tuple[float, float]]) -> int:
    idle, waiting = deque(sends), deque[tuple[float, int]]()
    tasks: set[asyncio.Task[int]] = set()

    async def work(send: Send) -> int:
        errors = 0
        while waiting:
            arrived, turn = waiting.popleft()
            errors += not await send(turn)
            times.append((arrived, time.monotonic()))
        idle.append(send)
        return errors

    chance, due, turn = random.Random(7), time.monotonic(), 0
    while due < until:
        if (pause := due - time.monotonic()) > 0:
            await asyncio.sleep(pause)
        waiting.append((due, turn))
        due, turn = due + chance.expovariate(rate), turn + 1
        if idle:
            tasks.add(asyncio.create_task(work(idle.popleft())))
    return sum(await asyncio.gather(*tasks))


async def _main(given: argparse.Namespace) -> dict[str, float]:
    requests = [json.loads(line) for line in _read(given.requests).splitlines()]
    if given.grpc:
        sends = await _grpc(requests, given.port, given.connections, given.streams)
    else:
        sends = await _http(requests, given.port, given.connections)
    times: list[tuple[float, float]] = []
    begin = time.monotonic() + WARM_UP_S
    until = begin + given.seconds
    if given.rate:
        errors = await _open(sends, until, given.rate, times)
    else:
        errors = await _closed(sends, until, times)
    counted = sorted(end - start for start, end in times if start >= begin)
    if not counted:
        raise SystemExit("no request was answered in time")
    at = [counted[int(len(counted) * share)] for share in (0.5, 0.99)]
    spent = max(end for _, end in times) - begin
    return {"rate": len(counted) / spent, "p50": at[0], "p99": at[1], "errors": errors}


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    for name, kind in (("requests", str), ("port", int), ("seconds", float), ("rate", float),
                       ("connections", int), ("streams", int)):  # fmt: skip
        parser.add_argument(f"--{name}", type=kind, required=True)
    parser.add_argument("--grpc", action="store_true")
    print(json.dumps(uvloop.run(_main(parser.parse_args()))))
