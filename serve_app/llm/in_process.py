"""An ASGI application called without a network in between."""

import asyncio
from collections.abc import AsyncIterator, MutableMapping
from typing import Any


async def call(app: Any, path: str, body: bytes) -> AsyncIterator[Any]:
    """POST JSON to `app`: (status, content type), then the body in pieces.

    Closing the iterator is the client's leaving: the application sees a disconnect.
    """
    pieces: asyncio.Queue[Any] = asyncio.Queue()
    gone = asyncio.Event()
    asked = False

    async def receive() -> dict[str, Any]:
        nonlocal asked
        if not asked:
            asked = True
            return {"type": "http.request", "body": body, "more_body": False}
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            headers = dict(message["headers"])
            pieces.put_nowait((message["status"], headers.get(b"content-type", b"")))
        elif message.get("body"):
            pieces.put_nowait(bytes(message["body"]))

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))],
        "client": ("127.0.0.1", 0),
        "server": ("127.0.0.1", 0),
    }
    task = asyncio.create_task(app(scope, receive, send))
    task.add_done_callback(lambda _: pieces.put_nowait(None))
    try:
        while (piece := await pieces.get()) is not None:
            yield piece
        await task  # its error, if it failed
    finally:
        gone.set()
        task.cancel()
