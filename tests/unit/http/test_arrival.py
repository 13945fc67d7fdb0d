"""Bodies that come slowly, and how much of them is held."""

import asyncio

import pytest

from serve_app.config import Limits
from serve_app.errors import Overloaded, TooSlow
from serve_app.http.arrival import Arrivals
from serve_app.http.asgi import Disconnected, collect


def part(body: bytes, more: bool = True) -> dict:
    return {"type": "http.request", "body": body, "more_body": more}


class Client:
    """Sends its messages as they are put in."""

    def __init__(self, *messages: dict) -> None:
        self.messages: asyncio.Queue[dict] = asyncio.Queue()
        for one in messages:
            self.messages.put_nowait(one)

    async def receive(self) -> dict:
        return await self.messages.get()


def arrivals(**limits: float) -> Arrivals:
    given = Limits(**{"maxBodyBytes": 100, **limits})
    return Arrivals(lambda: given)


async def test_a_whole_body_is_handed_on_as_it_came():
    client = Client(part(b"ab"), part(b"cd"), part(b"", more=False))
    receive = await arrivals().whole(client.receive)
    assert await collect(receive, 100) == b"abcd"
    client.messages.put_nowait({"type": "http.disconnect"})
    assert await receive() == {"type": "http.disconnect"}


async def test_what_is_too_large_is_left_to_who_reads_it():
    client = Client(part(b"x" * 90), part(b"y" * 20), part(b"z" * 90, more=False))
    receive = await arrivals().whole(client.receive)
    assert client.messages.qsize() == 1
    assert await collect(receive, 1000) == b"x" * 90 + b"y" * 20 + b"z" * 90


async def test_a_client_that_pauses_too_long():
    client = Client(part(b"ab"))
    with pytest.raises(TooSlow, match=r"2 bytes of the body .* 0.05 s \(bodyTimeout\)"):
        await arrivals(bodyTimeout=0.05).whole(client.receive)


async def test_a_client_that_sends_next_to_nothing_for_ever():
    client = Client()

    async def trickle():
        while True:
            client.messages.put_nowait(part(b"a"))
            await asyncio.sleep(0.02)

    sending = asyncio.create_task(trickle())
    try:
        with pytest.raises(TooSlow, match="bytes/s"):
            await arrivals(bodyTimeout=0.2, maxBodyBytes=10**6).whole(client.receive)
    finally:
        sending.cancel()


async def test_a_client_that_leaves():
    with pytest.raises(Disconnected):
        await arrivals().whole(Client(part(b"ab"), {"type": "http.disconnect"}).receive)


async def test_many_large_ones_at_once():
    held, clients = arrivals(), [Client(part(b"x" * 100)) for _ in range(16)]
    waiting = [asyncio.create_task(held.whole(one.receive)) for one in clients]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await held.whole(Client(part(b"y")).receive)
    for one in clients:
        one.messages.put_nowait(part(b"", more=False))
    await asyncio.gather(*waiting)
    receive = await held.whole(Client(part(b"y"), part(b"", more=False)).receive)
    assert await collect(receive, 100) == b"y"
