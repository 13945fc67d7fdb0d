"""One client process: streams of chat completions, timed as their bytes come.

Standard input: an Order as JSON. Output: a Sample as JSON. As thin as it can be, since it shares the
cores with what it measures.
"""

import asyncio
import random
import re
import sys
import time
from dataclasses import asdict, dataclass, field
from typing import Any

import orjson
import uvloop

from loadtests.client.http import Connection
from loadtests.payloads import SENTENCES

_TEXT = re.compile(rb'"content": ?"(?!")')  # not the chunk of the role, which is empty
_USAGE = re.compile(rb'"completion_tokens": ?(\d+)')


@dataclass
class Order:
    """What to send: `streams` at once for `seconds`, answers of `tokens` each."""

    port: int
    model: str
    streams: int
    seconds: float
    tokens: int
    warm_up: float = 2
    seed: int = 0


@dataclass
class Sample:
    """What came of it, of answers that began after the warm-up. Times in seconds."""

    seconds: float
    tokens: int = 0  # that came within `seconds`
    answers: int = 0
    cut: int = 0  # answers with another number of tokens than asked for
    first: list[float] = field(default_factory=list)  # until the first token
    gaps: list[float] = field(default_factory=list)  # between tokens, one answer's mean
    client_cpu: float = 0  # cores
    server_cpu: float = 0

    @property
    def rate(self) -> float:
        """Tokens per second."""
        return self.tokens / self.seconds


class Stream(Connection):
    """Notes when text comes."""

    def __init__(self) -> None:
        super().__init__()
        self.times: list[float] = []

    def on_body(self, data: bytes) -> None:
        super().on_body(data)
        if texts := len(_TEXT.findall(data)):
            self.times += [time.monotonic()] * texts


def _request(order: Order, chance: random.Random) -> bytes:
    # In a new order each time, so that nobody remembers the beginning.
    text = " ".join(chance.sample(SENTENCES, 3))
    body = orjson.dumps(
        {
            "model": order.model, "messages": [{"role": "user", "content": text}],
            "max_tokens": order.tokens, "temperature": 0, "ignore_eos": True,
            "stream": True, "stream_options": {"include_usage": True},
        }
    )  # fmt: skip
    head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    return head + b"content-length: %d\r\n\r\n" % len(body) + body


async def _follow(order: Order, begin: float, number: int, sample: Sample) -> None:
    chance = random.Random(order.seed * 1000 + number)
    loop = asyncio.get_running_loop()
    end = begin + order.seconds
    _, stream = await loop.create_connection(Stream, "127.0.0.1", order.port)
    while (sent := time.monotonic()) < end:
        stream.times = []
        status, body = await stream.send(_request(order, chance))
        if status != 200 or not body.rstrip().endswith(b"data: [DONE]"):
            raise SystemExit(f"{status}: {body[-300:]!r}")
        usage = int(_USAGE.findall(body)[-1])
        # Where a chunk has several tokens, or a token no text of its own, times stand for more than one.
        each = usage / len(stream.times)
        sample.tokens += round(each * sum(begin <= at < end for at in stream.times))
        sample.cut += usage != order.tokens
        if sent >= begin:
            sample.answers += 1
            sample.first.append(stream.times[0] - sent)
            sample.gaps.append((stream.times[-1] - stream.times[0]) / (usage - 1))
    stream.close()


async def _main(order: Order) -> Sample:
    sample = Sample(order.seconds)
    begin = time.monotonic() + order.warm_up
    streams = (_follow(order, begin, number, sample) for number in range(order.streams))
    await asyncio.gather(*streams)
    return sample


def main() -> None:
    """Read, run, tell."""
    order = Order(**orjson.loads(sys.stdin.buffer.read()))
    before, started = time.process_time(), time.monotonic()
    sample = uvloop.run(_main(order))
    sample.client_cpu = (time.process_time() - before) / (time.monotonic() - started)
    result: dict[str, Any] = asdict(sample)
    sys.stdout.buffer.write(orjson.dumps(result))


if __name__ == "__main__":
    main()
