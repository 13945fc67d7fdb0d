"""How long one thread of Python keeps the others waiting, while something is loaded beside requests."""

import contextlib
import sys
import threading
from collections.abc import Iterator

# A request goes from the event loop to the model's thread and back: three times it may have to wait so
# long for a thread that loads. Python's own 5 ms are more than most requests take.
TURN_S = 0.0005


class _Loads:
    """Those under way in this process."""

    def __init__(self) -> None:
        self.lock, self.now, self.usual = threading.Lock(), 0, 0.0


_LOADS = _Loads()


@contextlib.contextmanager
def short_turns() -> Iterator[None]:
    """Around a load."""
    loads = _LOADS
    with loads.lock:
        loads.now += 1
        if loads.now == 1:
            loads.usual = sys.getswitchinterval()
            sys.setswitchinterval(min(loads.usual, TURN_S))
    try:
        yield
    finally:
        with loads.lock:
            loads.now -= 1
            if not loads.now:
                sys.setswitchinterval(loads.usual)
