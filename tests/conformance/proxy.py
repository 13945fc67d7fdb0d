"""A server in front of another one that makes its answers late, wrong, or none at all."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass
class Faults:
    """What the proxy does to answers; may be changed while it runs."""

    delay: float = 0  # seconds
    replace: tuple[bytes, bytes] | None = None  # of equal length
    after: int | None = None  # so many answers, then none: connections are closed


@contextmanager
def proxy(port: int, faults: Faults) -> Iterator[str]:
    """Base URL of a proxy before 127.0.0.1:`port`, for clients that send one request at a time."""
    started: list[asyncio.Server] = []
    ready, loop = threading.Event(), asyncio.new_event_loop()

    async def serve() -> None:
        server = await asyncio.start_server(lambda r, w: _pair(r, w, port, faults), "127.0.0.1", 0)
        started.append(server)
        ready.set()

    def run() -> None:
        asyncio.set_event_loop(loop)
        loop.create_task(serve())
        loop.run_forever()
        for server in started:
            server.close()
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0.1))
        loop.close()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert ready.wait(10)
        yield f"http://127.0.0.1:{started[0].sockets[0].getsockname()[1]}"
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


async def _pair(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int, faults: Faults
) -> None:
    try:
        back_reader, back_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(_forward(reader, back_writer, None), _forward(back_reader, writer, faults))
    except (OSError, asyncio.CancelledError):
        writer.close()


async def _forward(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, faults: Faults | None
) -> None:
    try:
        while data := await reader.read(1 << 16):
            if faults is not None:
                if faults.after is not None:
                    if faults.after <= 0:
                        break
                    faults.after -= 1
                if faults.replace:
                    data = data.replace(*faults.replace)
                if faults.delay:
                    await asyncio.sleep(faults.delay)
            writer.write(data)
    finally:
        writer.close()
