"""uvicorn's own protocol, and what an answer in one write relies on in it."""

import asyncio
import inspect
from typing import Any

import pytest
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from serve_app.internals.uvicorn_cork import Cork, corked, still_coming

HEADERS = [(b"content-type", b"a/b"), (b"content-length", b"5")]
START = {"type": "http.response.start", "status": 200, "headers": HEADERS}
LAST = {"type": "http.response.body", "body": b""}


class Transport:
    """Notes what is written, as asyncio's transports take it."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []
        self.closed = self.closing = False

    def write(self, data: bytes) -> None:
        self.writes.append(bytes(data))

    def writelines(self, parts: Any) -> None:
        self.writes.append(b"".join(parts))

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closing

    def get_extra_info(self, name: str) -> Any:
        return None

    def set_protocol(self, protocol: Any) -> None: ...

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


class Connection:
    """uvicorn's protocol around `app`, on that transport."""

    def __init__(self, app: Any) -> None:
        async def asgi(scope: Any, receive: Any, send: Any) -> None:
            await app(scope, receive, send)

        config = uvicorn.Config(asgi, log_config=None, access_log=False, date_header=False)
        config.server_header = False
        self.state, self.transport = ServerState(), Transport()
        self.protocol = HttpToolsProtocol(config, self.state, {})
        self.protocol.connection_made(self.transport)  # type: ignore[arg-type]

    async def ask(self, data: bytes) -> list[bytes]:
        """The writes that it takes to answer."""
        self.transport.writes.clear()
        self.protocol.data_received(data)
        while self.state.tasks:
            await next(iter(self.state.tasks))
        return self.transport.writes


@pytest.fixture
async def connection() -> Connection:
    return Connection(answer)


async def answer(scope: Any, receive: Any, send: Any) -> None:
    """With the cork, as serve_app.http.asgi does it."""
    cork = corked(send)
    assert cork is not None
    try:
        await send(START)
        cork.finish([b"he", b"llo"])
        await send(LAST)
    finally:
        cork.remove()


def request(method: str = "GET", *headers: str) -> bytes:
    return "\r\n".join([f"{method} / HTTP/1.1", "Host: t", *headers, "", ""]).encode()


HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: a/b\r\ncontent-length: 5\r\n\r\n"


async def test_send_is_a_method_of_the_cycle():
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append((type(send.__self__), type(receive.__self__)))
        await send(START)
        await send({**LAST, "body": b"hello"})

    assert b"".join(await Connection(app).ask(request())) == HEAD + b"hello"
    assert seen == [(RequestResponseCycle, RequestResponseCycle)]


async def test_names_of_a_cycle():
    seen: dict[str, Any] = {}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.update(vars(send.__self__))
        await send(START)
        await send({**LAST, "body": b"hello"})

    connection = Connection(app)
    await connection.ask(request())
    assert seen["transport"] is connection.transport
    assert seen["expected_content_length"] == 0
    assert seen["scope"]["method"] == "GET"


async def test_whether_a_body_is_still_coming():
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(still_coming(receive))
        while (await receive()).get("more_body"):
            pass
        seen.append(still_coming(receive))
        await answer(scope, receive, send)

    for body in (b"abcd", b"ab"):
        connection = Connection(app)
        asked = asyncio.ensure_future(connection.ask(request("POST", "Content-Length: 4") + body))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        if len(body) < 4:
            connection.protocol.data_received(b"cd")
        await asked
    await Connection(app).ask(request())
    assert seen == [False, False, True, False, False, False]
    assert not still_coming(None)


async def test_head_and_body_are_one_write(connection):
    assert await connection.ask(request()) == [HEAD + b"hello"]
    assert not connection.transport.closed


async def test_a_connection_goes_on(connection):
    for _ in range(3):
        assert await connection.ask(request()) == [HEAD + b"hello"]


async def test_head_has_no_body(connection):
    assert await connection.ask(request("HEAD")) == [HEAD]


async def test_the_last_answer_closes_after_it_is_written(connection):
    (written,) = await connection.ask(request("GET", "Connection: close"))
    assert written.endswith(b"connection: close\r\n\r\nhello")
    assert connection.transport.closed


async def test_nothing_is_written_to_who_has_left(connection):
    connection.transport.closing = True
    assert await connection.ask(request()) == []


async def test_the_cycle_has_its_transport_back():
    cycles = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        cycles.append(send.__self__)
        await answer(scope, receive, send)

    connection = Connection(app)
    await connection.ask(request())
    assert cycles[0].transport is connection.transport


async def test_a_length_that_is_not_kept_is_an_error_of_uvicorn_s():
    """Which is why `finish` says that nothing more is expected."""
    failures = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        try:
            await send(LAST)
        except RuntimeError as error:
            failures.append(str(error))
            raise

    await Connection(app).ask(request())
    assert failures == ["Response content shorter than Content-Length"]


def test_a_cork_takes_a_cycle():
    inspect.signature(Cork).bind(object())
    assert inspect.iscoroutinefunction(RequestResponseCycle.send)
