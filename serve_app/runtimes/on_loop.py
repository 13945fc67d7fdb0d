"""What other threads have to say to the event loop."""

import asyncio
from collections.abc import Callable


def on_loop(call: Callable[[], None]) -> Callable[[], None]:
    """`call`, on the loop that runs now, when another thread says so; never where none runs now."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return lambda: None

    def told() -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(call)

    return told
